"""An activity: does what was decided."""


def main(decision: bool) -> str:
    return "approved" if decision else "rejected"
