"""An activity: gives back what it got."""


def main(value: int) -> int:
    return value
