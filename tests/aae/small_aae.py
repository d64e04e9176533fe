"""Small adversarial autoencoders, their forward passes in NumPy, and the phases of a step."""

from functools import cache

from aae.aae import AAE
from tests.helpers.models import assign, random_batch, values

import keras
import numpy as np

SIDE, CLASSES = 6, 3


class LabelledData:
    """The part of a labelled dataset from which `prepare` takes its subset."""

    classes, class_names, training_count = CLASSES, ("a", "b", "c"), 60

    def arrays(self, split, count):
        x = np.random.default_rng(1).integers(0, 256, (count, SIDE, SIDE, 1), "uint8")
        return x, np.arange(count, dtype="int32") % CLASSES


def batch(count=8, channels=1):
    return random_batch(SIDE, count, channels, CLASSES)


@cache
def built(**options):
    """A small model with its initial state; weights are large, so that losses depend on them."""
    keras.utils.set_random_seed(1)
    sizes = {"image_size": SIDE, "classes": CLASSES, "code_size": 4, "hidden": 12}
    model = AAE(**(sizes | options))
    model.compile(jit="off")
    model.prepare(LabelledData())
    random = np.random.default_rng(2)
    for network in model.networks.values():
        for v in network.trainable_variables:
            v.assign(random.normal(0, 0.3, v.shape))
    return model, state_of(model)


def small(**options):
    """A small model in its initial state. Tests with the same options share it."""
    model, state = built(**options)
    restore(model, state)
    return model


def state_of(model):
    return {name: values(group) for name, group in model.state().items()}


def restore(model, state):
    for name, group in model.state().items():
        assign(group, state[name])


# Forward passes in NumPy: three dense layers, with ReLU after all but the last.


def weights_of(network):
    return values(network.trainable_variables)


def perceptron(weights, h):
    for kernel, bias in zip(weights[0:4:2], weights[1:4:2], strict=True):
        h = np.maximum(h @ kernel + bias, 0)
    return h @ weights[4] + weights[5]


def encoded(model, x):
    return perceptron(weights_of(model.encoder), (np.asarray(x).reshape(len(x), -1) + 1) / 2)


def decoded(model, code):
    """Images in [0, 1]."""
    flat = 1 / (1 + np.exp(-perceptron(weights_of(model.decoder), code)))
    return flat.reshape(-1, SIDE, SIDE, model.channels)


def next_prior_sample(model, count=8):
    """The codes that the model's next step will draw from the prior; restores the state."""
    state = model.noise.state.numpy()
    code = model.prior_sample(count).numpy()
    model.noise.state.assign(state)
    return code


# The phases of a step, one by one: each updates its players and returns the logs.


def reconstruct(model, x, y):
    return model.update(x, y, objectives=model.reconstruction, only=["reconstruction"])


def regularize(model, x):
    return model.update(x, objectives=model.regularization, only=["encoder"])


def discriminate(model, code):
    return model.update(code, objectives=model.discrimination, only=["discriminator"])


def classify_labelled(model, count):
    return model.update(count, objectives=model.classification, only=["classifier"])
