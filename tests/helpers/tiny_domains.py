"""The smallest models of two domains, whose classifiers look at the mean brightness; their runs."""

from typing import Literal

from common.adversarial import Adversarial
from common.nn import losses
from common.nn.latent import Latent
from common.signatures import pick
from common.training import checkpoint
from common.training.run_folder import Run
from tests.helpers.tiny_gan import TinyGan

import keras
import numpy as np
import tensorflow as tf
from keras import layers

CLASSES = ["black", "grey", "white"]
LEVELS = np.array([20, 127, 230])


def brightness_classifier() -> keras.Model:
    """Logits -4 m, 2 and 4 m for a mean m in [-1, 1]: three classes of brightness."""
    x = keras.Input((8, 8, 1))
    network = keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)), name="classifier")
    network.set_weights([np.array([[-4, 0, 4]], "float32"), np.array([0, 2, 0], "float32")])
    return network


class TinyAdapter(Adversarial):
    """A translator that adds noise to a scaled image.

    Args:
        image_size: side of the images in pixels.
        channels: channels of the images.
        classes: number of classes.
        baseline: as of other models of two domains.
    """

    has_baseline = True

    def __init__(
        self,
        image_size: int = 8,
        channels: int = 1,
        classes: int = 3,
        baseline: Literal["source", "target"] | None = None,
    ):
        super().__init__(name="tiny_domains")
        self.image_size, self.channels, self.baseline = image_size, channels, baseline
        self.latent = Latent(2, "uniform")
        self.classifier = brightness_classifier()
        x, z = keras.Input((8, 8, 1)), keras.Input((2,))
        h = layers.Conv2D(1, 1)(x) + layers.Reshape((8, 8, 1))(layers.Dense(64)(z))
        self.generator = keras.Model([x, z], layers.Activation("tanh")(h), name="generator")
        self.discriminator = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten()])
        self.combined = keras.Model([x, z], self.discriminator(self.generator([x, z])))
        for network in (self.discriminator, self.combined):
            network.compile(loss=losses.cross_entropy, optimizer=keras.optimizers.SGD())
        self.compile()

    @property
    def networks(self):
        return super().networks | {"classifier": self.classifier}

    def classify(self, x):
        return tf.nn.softmax(self.classifier(x, training=False))


class TinyCouple(TinyGan):
    """A generator of pairs, 8 by 16 pixels.

    Args:
        channels: channels of the images.
        classes: number of classes of the data.
        class_weight: 0 for no classifier.
        baseline: as of other models of two domains.
    """

    has_baseline = True

    def __init__(
        self,
        channels: int = 1,
        classes: int = 3,
        class_weight: float = 1.0,
        baseline: Literal["source", "target"] | None = None,
    ):
        super().__init__(8, channels, classes)
        self.baseline = baseline
        self.classifier = brightness_classifier()
        self.classify = self.probabilities if class_weight else None

    def build_generator(self):
        z = keras.Input((self.latent.size,))
        h = layers.Reshape((8, 16, 1))(layers.Dense(128)(z))
        return keras.Model(z, layers.Activation("tanh")(h), name="generator")

    def build_discriminator(self):
        x = keras.Input((8, 16, 1))
        return keras.Model(x, layers.Dense(1)(layers.Flatten()(x)), name="discriminator")

    @property
    def networks(self):
        return super().networks | {"classifier": self.classifier}

    def probabilities(self, x):
        return tf.nn.softmax(self.classifier(x, training=False))


def flat(labels) -> np.ndarray:
    """Images of one brightness each, uint8 (N, 8, 8)."""
    return np.broadcast_to(LEVELS[labels][:, None, None], (len(labels), 8, 8)).astype(np.uint8)


def write_domains(folder, target_labels=True) -> str:
    """Writes source.npz and target.npz of nine flat training images each; returns their names.

    Of the target's eight test images a white one is labelled black, of its training images three.
    """
    y = np.arange(9) % 3
    shown, y_test = np.array([0, 0, 1, 1, 1, 2, 2, 2]), np.array([0, 0, 1, 1, 1, 2, 2, 0])
    y_train = np.where(y == 2, 0, y)
    names = np.array(CLASSES)
    arrays = {"x_train": flat(y), "x_test": flat(shown)}
    np.savez(folder / "source.npz", **arrays, y_train=names[y], y_test=names[shown])
    labels = {"y_train": names[[*y_train[:-1], 2]], "y_test": names[y_test]}
    np.savez(folder / "target.npz", **arrays, **(labels if target_labels else {}))
    return f"{folder / 'source.npz'},{folder / 'target.npz'}"


def make_run(task, folder, dataset, **options) -> Run:
    """A run of 4 steps of the task's model, with random weights of its generator."""
    data = task.data(image_size=8, seed=5, dataset=dataset, **pick(task.data, options))
    model = task.model_class(**pick(task.model_class, options))
    random = np.random.default_rng(0)
    for variable in model.generator.trainable_variables:
        variable.assign(random.normal(0, 1, variable.shape))
    run = Run(folder)
    noted = {"seed": 5, "image_size": 8} | options | data.found
    run.write_config("tiny_domains", noted, data.fingerprint())
    checkpoint.save(run.checkpoints, 4, model)
    return run
