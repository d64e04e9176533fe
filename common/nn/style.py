"""Layers of style-based generators (Karras, Laine and Aila 2019, arXiv:1812.04948)."""

from common.distributed import collectives

import keras
import tensorflow as tf
from keras import ops


class Blur(keras.layers.Layer):
    """Low-pass filter [1, 2, 1] in each direction, over zeros outside the image.

    Every channel is convolved with the outer product of [1, 2, 1] / 4 with itself. It has
    derivatives of any order.

    Input and output: float (batch, height, width, channels).
    """

    def call(self, inputs):
        return blurred(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


@tf.custom_gradient
def blurred(x: tf.Tensor):
    """The result of `Blur`, which as a symmetric filter is its own gradient."""
    x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    for _ in range(2):  # [1, 2, 1] is [1, 1] after [1, 1]
        x = tf.nn.avg_pool2d(x, 2, 1, "VALID")
    return x, blurred


class AdaptiveInstanceNormalization(keras.layers.Layer):
    """Instance normalization whose scale and offset are given: x_hat (1 + s) + b (equation 1).

    x_hat are the maps of an image, normalized to mean 0 and variance 1 each.

    Args:
        epsilon: constant added to the variance.

    Input: x, float (batch, height, width, channels), and a style, float (batch, 2 channels), with s
    in its first half and b in the second; output as x. Statistics are computed in float32.
    """

    def __init__(self, epsilon=1e-8, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, inputs):
        x, style = (ops.cast(each, "float32") for each in inputs)
        mean, variance = ops.moments(x, axes=[1, 2], keepdims=True)  # (B, 1, 1, C)
        s, b = ops.split(style[:, None, None], 2, axis=-1)
        y = (x - mean) * ops.rsqrt(variance + self.epsilon) * (1.0 + s) + b
        return ops.cast(y, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return super().get_config() | {"epsilon": self.epsilon}


class NoiseInjection(keras.layers.Layer):
    """Adds noise: one N(0, 1) map for each image, with a weight for each channel, initially 0.

    Training draws fresh maps. At inference all images have the same one, a variable of the layer
    that `fix_noise` sets, so that an image depends neither on others nor on earlier calls.

    Input and output: float (batch, height, width, channels).
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator()

    def build(self, input_shape):
        *sides, channels = input_shape[1:]
        self.weight = self.add_weight((channels,), "zeros", name="weight")
        fixed = {"dtype": "float32", "autocast": False, "trainable": False}
        self.map = self.add_weight((*sides, 1), "zeros", name="map", **fixed)

    def call(self, inputs, training=False):
        noise = self.map
        if training:
            shape = (*ops.shape(inputs)[:3], 1)
            noise = collectives.sharded_random(
                keras.random.normal, shape, dtype="float32", seed=self.seed_generator
            )
        return inputs + self.weight * ops.cast(noise, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape


def fix_noise(network: keras.Model, seed: int | None):
    """Sets the noise that a network's images have at inference.

    Args:
        network: has layers `NoiseInjection`; the maps of each are independent.
        seed: seed for the maps; None for images without noise.
    """
    layers = [each for each in network._flatten_layers() if isinstance(each, NoiseInjection)]
    for number, layer in enumerate(layers):
        shape = layer.map.shape
        none = seed is None
        layer.map.assign(
            tf.zeros(shape) if none else tf.random.stateless_normal(shape, (seed, number))
        )


class RunningMean(keras.layers.Layer):
    """Passes its input through, and in training takes its mean over the batch into a running mean.

    Args:
        rate: what remains of the running mean at each batch, initially 0.

    Attributes:
        mean: the running mean, float32 (size,), which no optimizer changes.

    Input and output: float (batch, size).
    """

    def __init__(self, rate=0.995, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate

    def build(self, input_shape):
        fixed = {"dtype": "float32", "autocast": False, "trainable": False}
        self.mean = self.add_weight(input_shape[1:], "zeros", name="mean", **fixed)

    def call(self, inputs, training=False):
        if training:
            rows = collectives.all_gather(tf.stop_gradient(ops.cast(inputs, "float32")))
            self.mean.assign(self.rate * self.mean + (1.0 - self.rate) * ops.mean(rows, axis=0))
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"rate": self.rate}


class Constant(keras.layers.Layer):
    """A learned tensor, initially 1, the same for all samples.

    Args:
        shape: shape of the tensor.

    Input: anything of the batch, (batch, ...); output: float (batch, *shape).
    """

    def __init__(self, shape, **kwargs):
        super().__init__(**kwargs)
        self.shape = tuple(shape)

    def build(self, input_shape):
        self.value = self.add_weight(self.shape, "ones", name="value")

    def call(self, inputs):
        value = ops.convert_to_tensor(self.value)
        return ops.broadcast_to(value[None], (ops.shape(inputs)[0], *self.shape))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.shape)

    def get_config(self):
        return super().get_config() | {"shape": self.shape}
