"""Draws and classifies images; the model is loaded once per process."""

from functools import cache
from typing import Any

import numpy
import tensorflow
from train import CLASSES, MODEL, draw


@cache
def model() -> Any:
    """The trained model; the first call takes a second, all others none."""
    return tensorflow.keras.models.load_model(MODEL)


def image_of(name: str) -> numpy.ndarray:
    """The image of a name such as ``disc-3``: its kind, and a number that makes it different."""
    kind, _, number = name.partition("-")
    return draw(kind, numpy.random.default_rng(int(number)))


def classify(name: str) -> str:
    """What the model takes an image for."""
    scores = model()(image_of(name)[None, ..., None], training=False)
    return CLASSES[int(numpy.argmax(scores))]
