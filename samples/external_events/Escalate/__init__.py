"""An activity: tells somebody else."""


def main(reason: str) -> str:
    return f"escalated: {reason}"
