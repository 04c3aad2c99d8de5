"""An activity: tells what an image shows."""

from classifier import classify


def main(image: str) -> str:
    return classify(image)
