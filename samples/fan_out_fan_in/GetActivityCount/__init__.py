"""An activity: gives the number of activities to run."""


def main(wanted: int) -> int:
    return wanted or 5
