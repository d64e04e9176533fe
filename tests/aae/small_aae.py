"""Small adversarial auto-encoders, and their forward passes in NumPy."""

from functools import cache

from aae.aae import AAE

import keras
import numpy as np
import tensorflow as tf

RANDOM = np.random.default_rng(0)
SIDE, CLASSES = 6, 3


class FewLabels:
    """Data that give images to those who ask for labelled ones."""

    classes, class_names, training_count = CLASSES, ("a", "b", "c"), 60

    def arrays(self, split, count):
        x = np.random.default_rng(1).integers(0, 256, (count, SIDE, SIDE, 1), "uint8")
        return x, np.arange(count, dtype="int32") % CLASSES


def batch(count=8, channels=1):
    x = RANDOM.uniform(-1, 1, (count, SIDE, SIDE, channels))
    return tf.constant(x, tf.float32), tf.constant(RANDOM.integers(0, CLASSES, count), tf.int32)


@cache
def built(**options):
    """A small model whose weights are large enough to tell wrong losses from right ones."""
    keras.utils.set_random_seed(1)
    sizes = {"image_size": SIDE, "classes": CLASSES, "code_size": 4, "hidden": 12}
    model = AAE(**(sizes | options))
    model.compile(jit="off")
    model.prepare(FewLabels())
    random = np.random.default_rng(2)
    for network in model.networks.values():
        for v in network.trainable_variables:
            v.assign(random.normal(0, 0.3, v.shape))
    return model, kept(model)


def small(**options):
    """The model of these options as it was built; tests share it, to trace its phases once."""
    model, state = built(**options)
    restore(model, state)
    return model


def kept(model):
    return {name: [v.numpy() for v in group] for name, group in model.state().items()}


def restore(model, state):
    for name, group in model.state().items():
        for v, value in zip(group, state[name], strict=True):
            v.assign(value)


# Forward passes in NumPy: three dense layers, ReLU after all but the last.


def dense_layers(network):
    return [v.numpy() for v in network.trainable_variables]


def perceptron(weights, h):
    for kernel, bias in zip(weights[0:4:2], weights[1:4:2], strict=True):
        h = np.maximum(h @ kernel + bias, 0)
    return h @ weights[4] + weights[5]


def encoded(model, x):
    return perceptron(dense_layers(model.encoder), (np.asarray(x).reshape(len(x), -1) + 1) / 2)


def decoded(model, code):
    """In [0, 1]."""
    flat = 1 / (1 + np.exp(-perceptron(dense_layers(model.decoder), code)))
    return flat.reshape(-1, SIDE, SIDE, model.channels)


def log_sigmoid(logits):
    return -np.logaddexp(0, -np.asarray(logits, "float64"))


def drawn(model, number=8):
    """What the next step will draw from the prior."""
    state = model.noise.state.numpy()
    code = model.prior_sample(number).numpy()
    model.noise.state.assign(state)
    return code


def values(variables):
    return [v.numpy() for v in variables]


# The phases of a step, each by itself: what is logged after its update.


def reconstruct(model, x, y):
    return model.update(x, y, objectives=model.reconstruction, only=["reconstruction"])


def regularize(model, x):
    return model.update(x, objectives=model.regularization, only=["encoder"])


def discriminate(model, code):
    return model.update(code, objectives=model.discrimination, only=["discriminator"])


def classify_labelled(model, count):
    return model.update(count, objectives=model.classification, only=["classifier"])
