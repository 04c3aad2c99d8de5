"""The activity: gives its word back; slowly, if the app setting STEP_SECONDS says so."""

import os
import time


def main(name: str) -> str:
    time.sleep(float(os.environ.get("STEP_SECONDS", "0")))
    return name
