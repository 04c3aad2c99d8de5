"""Train a small model on images that this script draws, and save it as model.keras.

    python train.py

The images are 16x16: horizontal stripes, vertical stripes or a disc, each with noise.
"""

from pathlib import Path

import numpy
import tensorflow

SIZE = 16
CLASSES = ("horizontal", "vertical", "disc")
MODEL = Path(__file__).parent / "model.keras"


def draw(kind: str, random: numpy.random.Generator) -> numpy.ndarray:
    """One image, with values from 0 to 1."""
    rows, columns = numpy.mgrid[0:SIZE, 0:SIZE]
    shift = int(random.integers(0, 4))
    if kind == "horizontal":
        image = (rows + shift) // 2 % 2
    elif kind == "vertical":
        image = (columns + shift) // 2 % 2
    else:
        middle = SIZE / 2 + random.uniform(-2, 2, 2)
        image = (rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 < random.uniform(9, 30)
    return numpy.clip(image + random.normal(0, 0.2, (SIZE, SIZE)), 0, 1).astype("float32")


def train() -> float:
    """Train and save; gives the share of unseen images that the model gets right."""
    tensorflow.keras.utils.set_random_seed(7)
    random = numpy.random.default_rng(7)
    labels = random.integers(0, len(CLASSES), 900)
    images = numpy.stack([draw(CLASSES[label], random) for label in labels])[..., None]
    layers = tensorflow.keras.layers
    model = tensorflow.keras.Sequential(
        [
            layers.Input((SIZE, SIZE, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(len(CLASSES), activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images[:700], labels[:700], epochs=8, verbose=0)
    _, accuracy = model.evaluate(images[700:], labels[700:], verbose=0)
    model.save(MODEL)
    return float(accuracy)


if __name__ == "__main__":
    print(f"Saved {MODEL.name}; it gets {train():.0%} of 200 unseen images right.")
