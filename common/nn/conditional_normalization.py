"""Batch normalization whose scale and offset depend on a class or on a vector."""

from common.nn.layers import BatchNormalization
from common.nn.spectral import SpectralDense

import keras
from keras import ops


class ConditionalBatchNormalization(keras.layers.Layer):
    """Batch normalization with a gain and a bias of each image's own (Dumoulin et al. 2017).

    By class, each class has its row in a table of gains, initially 1, and of biases, initially 0.
    By vector e, as in BigGAN, gain = 1 + W_g e and bias = W_b e, where W_g and W_b are spectrally
    normalized.

    Args:
        by: "class" or "vector".
        momentum, epsilon: as of `BatchNormalization`, to which the moving statistics belong.
        spectral: by vector, further arguments of the dense layers, such as `kernel_initializer`.

    Inputs: float (batch, height, width, C), and float (batch, N): one-hot classes, or the weights
    of a mixture of them; or vectors. Output: as the first input. It is computed in float32.
    """

    def __init__(self, by="class", momentum=0.9, epsilon=1e-5, spectral=None, **kwargs):
        super().__init__(**kwargs)
        if by not in ("class", "vector"):
            raise ValueError(f"by must be 'class' or 'vector', not {by!r}")
        self.by, self.spectral = by, spectral or {}
        self.normalization = BatchNormalization(
            momentum=momentum, epsilon=epsilon, scale=False, center=False, dtype="float32"
        )

    def build(self, input_shape):
        images, condition = input_shape
        self.normalization.build(images)
        channels, size = images[-1], condition[-1]
        if self.by == "vector":
            options = {"use_bias": False, "dtype": "float32"} | self.spectral
            self.to_gain = SpectralDense(channels, name="gain", **options)
            self.to_bias = SpectralDense(channels, name="bias", **options)
            self.to_gain.build(condition)
            self.to_bias.build(condition)
            return
        exact = {"shape": (size, channels), "dtype": "float32", "autocast": False}
        self.gains = self.add_weight(initializer="ones", name="gains", **exact)
        self.biases = self.add_weight(initializer="zeros", name="biases", **exact)

    def call(self, inputs, training=False):
        x, condition = inputs
        x = self.normalization(x, training=training)
        condition = ops.cast(condition, "float32")
        if self.by == "vector":
            gain = 1.0 + self.to_gain(condition, training=training)
            bias = self.to_bias(condition, training=training)
        else:
            gain, bias = ops.matmul(condition, self.gains), ops.matmul(condition, self.biases)
        y = x * gain[:, None, None] + bias[:, None, None]  # (B, 1, 1, C) each
        return ops.cast(y, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        own = {"by": self.by, "spectral": self.spectral}
        statistics = {name: getattr(self.normalization, name) for name in ("momentum", "epsilon")}
        return super().get_config() | own | statistics
