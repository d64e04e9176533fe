"""Self-attention among the pixels of a feature map (Zhang et al. 2019, arXiv:1805.08318)."""

from common.nn.spectral import SpectralConv2D

import keras
import tensorflow as tf
from keras import ops


class SelfAttention(keras.layers.Layer):
    """Adds to each pixel a mixture of the whole map, which its attention weights (section 3).

        y = x + gamma o,    o = Conv1(A g(x)),    A = softmax over the keys of theta(x) phi(x)^T

    Queries theta, C / 8 channels, come from every pixel; keys phi, C / 8, and values g, C / 2, from
    the largest of each 2x2 pixels, so the map of a pixel has a quarter as many weights. All four
    convolutions are 1x1, spectrally normalized and without a bias. The logits are not scaled. gamma
    is a scalar and initially 0: the layer starts as the identity.

    Args:
        spectral: further arguments of the convolutions, such as `kernel_initializer` and `eps`.

    Input and output: float (batch, height, width, C), with even sides. Weights are float32.
    """

    def __init__(self, spectral: dict | None = None, **kwargs):
        super().__init__(**kwargs)
        self.spectral = spectral or {}

    def build(self, input_shape):
        *_, height, width, channels = input_shape
        if height % 2 or width % 2:
            raise ValueError(f"SelfAttention needs even sides, not {height}x{width}")
        sizes = {
            "theta": max(1, channels // 8),
            "phi": max(1, channels // 8),
            "g": max(1, channels // 2),
            "out": channels,
        }
        options = {"kernel_size": 1, "use_bias": False, "dtype": self.dtype_policy}
        layers = {
            name: SpectralConv2D(units, name=name, **options | self.spectral)
            for name, units in sizes.items()
        }
        self.theta, self.phi, self.g, self.out = layers.values()
        for layer in layers.values():
            layer.build((*input_shape[:-1], sizes["g"] if layer is self.out else channels))
        self.gamma = self.add_weight((), "zeros", name="gamma")

    def attention(self, x, training=False):
        """A, float32 (batch, height width, height width / 4): each pixel's weights, of sum 1."""
        queries = flattened(self.theta(x, training=training))
        keys = flattened(pooled(self.phi(tf.identity(x), training=training)))
        logits = ops.matmul(queries, ops.transpose(keys, (0, 2, 1)))
        return ops.softmax(ops.cast(logits, "float32"), axis=-1)

    def call(self, inputs, training=False):
        # No tensor is used more than twice: a sum of three gradients can have another order in the
        # graph of a resumed run, and then other bytes.
        x, y = tf.identity(inputs), tf.identity(inputs)
        weights = ops.cast(self.attention(x, training), self.compute_dtype)
        values = flattened(pooled(self.g(y, training=training)))
        _, *sides, _ = inputs.shape
        o = ops.reshape(ops.matmul(weights, values), (-1, *sides, values.shape[-1]))
        return y + self.gamma * self.out(o, training=training)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"spectral": self.spectral}


def pooled(x):
    """The largest of each 2x2 pixels: (B, H, W, C) -> (B, H / 2, W / 2, C)."""
    return ops.max_pool(x, 2, 2)


def flattened(x):
    """The pixels in one row: (B, H, W, C) -> (B, H W, C)."""
    _, height, width, channels = x.shape
    return ops.reshape(x, (-1, height * width, channels))


def attention_of(network: keras.Model) -> SelfAttention | None:
    """The network's self-attention, if it has any."""
    return next((layer for layer in network.layers if isinstance(layer, SelfAttention)), None)
