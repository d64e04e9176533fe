"""Conditioning augmentation: a condition drawn from a Gaussian that depends on a text's embedding.

Of a sentence there are more images than of a fixed vector. So the generator takes a sample

    c = mu(t) + sigma(t) eps,    [mu, log sigma] = LeakyReLU(W t + b)

with a penalty that keeps the Gaussian close to N(0, I) (Zhang et al. 2017, section 3.2).
"""

import math

import keras
from keras import ops

BOUND = 2.0  # standard deviations at which eps is cut off


class ConditioningAugmentation(keras.layers.Layer):
    """Samples the condition of an embedding.

    Args:
        size: number of components of the condition.

    Inputs: embeddings t, float (B, d), and noise from N(0, 1), float (B, size), which becomes eps,
    from a normal distribution that is cut off at two standard deviations. Outputs: the condition
    c (B, size) of the layer's precision, and mu and log sigma, float32 (B, 2 size).
    """

    def __init__(self, size, **kwargs):
        super().__init__(autocast=False, **kwargs)  # noise and statistics stay float32
        self.size = size
        init = keras.initializers.RandomNormal(0.0, 0.02)
        self.dense = keras.layers.Dense(2 * size, kernel_initializer=init, dtype="float32")

    def build(self, input_shape):
        self.dense.build(input_shape[0])

    def call(self, inputs):
        t, noise = inputs
        statistics = ops.leaky_relu(self.dense(ops.cast(t, "float32")), 0.2)
        mu, log_sigma = ops.split(statistics, 2, axis=-1)
        c = mu + ops.exp(log_sigma) * truncated(ops.cast(noise, "float32"))
        return ops.cast(c, self.compute_dtype), statistics

    def compute_output_spec(self, inputs):
        batch = inputs[0].shape[0]
        return (
            keras.KerasTensor((batch, self.size), self.compute_dtype),
            keras.KerasTensor((batch, 2 * self.size), "float32"),
        )

    def get_config(self):
        return super().get_config() | {"size": self.size}


def truncated(noise):
    """Maps N(0, 1) to the normal distribution between -2 and 2, quantile by quantile: float32.

    A function of the noise rather than a draw of its own, so that an exported network can be given
    its noise.
    """
    share = math.erf(BOUND / math.sqrt(2.0))
    return math.sqrt(2.0) * ops.erfinv(share * ops.erf(noise / math.sqrt(2.0)))


def kl_divergence(statistics):
    """Mean KL(N(mu, sigma^2) || N(0, 1)), over the batch and over the components.

    Args:
        statistics: mu and log sigma, float32 (B, 2 size).

    Returns:
        mean(-log sigma + (sigma^2 + mu^2 - 1) / 2), a scalar.
    """
    mu, log_sigma = ops.split(statistics, 2, axis=-1)
    return ops.mean(-log_sigma + (ops.exp(2.0 * log_sigma) + ops.square(mu) - 1.0) / 2.0)
