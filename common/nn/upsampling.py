"""Layers that double the sides of maps by convolution.

A transposed convolution reaches some pixels of its output by other weights than their neighbours,
which shows as a checkerboard in the images, above all early in training. Resizing the
maps before a convolution with strides 1 treats all pixels alike (Odena et al., Deconvolution and
Checkerboard Artifacts, Distill 2016).
"""

from typing import Literal

from common.nn.blocks import conv_transpose, normal_init

import keras
import tensorflow as tf
from keras import ops

Upsampling = Literal["transposed", "nearest", "bilinear"]


def upsample(x, filters: int, upsampling: Upsampling, *, kernel: int = 4, use_bias: bool = True):
    """Convolution that doubles the sides.

    Args:
        x: float (B, H, W, C).
        filters: channels of the result.
        upsampling: "transposed" for a transposed convolution, "nearest" or "bilinear" for maps that
            are resized that way, then convolved with strides 1.
        kernel: side of the transposed kernel. An even one becomes odd after resizing, less by one.
        use_bias: whether each filter has a bias.

    Returns:
        float (B, 2 H, 2 W, filters).
    """
    if upsampling == "transposed":
        return conv_transpose(x, filters, kernel=kernel, use_bias=use_bias)
    side = kernel - 1 + kernel % 2
    init = normal_init()
    return ResizeConvolution(filters, side, upsampling, use_bias=use_bias, kernel_initializer=init)(
        x
    )


class DoublingConvolution(keras.layers.Conv2DTranspose):
    """Transposed convolution with kernel 3, strides 2 and no bias, which doubles the sides.

    The padding is Torch's `padding=1, output_padding=1`: pixel j contributes to the pixels 2j - 1,
    2j and 2j + 1, where Keras' "same" padding takes 2j, 2j + 1 and 2j + 2. Cropping the output of
    "valid" padding would take 50 % longer.

    Input (batch, height, width, channels), output (batch, 2 height, 2 width, filters).
    """

    def __init__(self, filters, kernel_initializer="glorot_uniform", **kwargs):
        fixed = {"strides": 2, "padding": "same", "use_bias": False}
        super().__init__(filters, 3, kernel_initializer=kernel_initializer, **fixed, **kwargs)

    def call(self, inputs):
        batch, height, width, _ = ops.shape(inputs)
        shape = (batch, 2 * height, 2 * width, self.filters)
        one_before = [[0, 0], [1, 0], [1, 0], [0, 0]]
        kernel = ops.convert_to_tensor(self.kernel)
        return tf.nn.conv2d_transpose(inputs, kernel, shape, self.strides, one_before)

    def get_config(self):
        config = super().get_config()
        free = "name", "trainable", "dtype", "filters", "kernel_initializer"
        return {key: config[key] for key in free}


class ResizeConvolution(keras.layers.Conv2D):
    """Doubles the sides of maps by interpolation, then convolves them with strides 1.

    It computes the same as Keras' UpSampling2D(2) and Conv2D(padding="same"), for maps of sides
    that are unknown until they are served too.

    Args:
        filters: channels of the result.
        kernel_size: side of the kernel, odd.
        interpolation: "nearest" or "bilinear".
        kwargs: name, dtype, use_bias, activation and initializers, as for Keras' Conv2D.

    Input (batch, height, width, channels), output (batch, 2 height, 2 width, filters).
    """

    def __init__(self, filters, kernel_size, interpolation="nearest", **kwargs):
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, not {kernel_size}")
        super().__init__(filters, kernel_size, padding="same", **kwargs)
        if interpolation not in ("nearest", "bilinear"):
            raise ValueError(f"interpolation must be nearest or bilinear, not {interpolation!r}")
        self.interpolation = interpolation

    def call(self, inputs):
        if self.interpolation == "nearest":
            return super().call(ops.repeat(ops.repeat(inputs, 2, axis=1), 2, axis=2))
        _, height, width, _ = ops.shape(inputs)
        resized = tf.image.resize(inputs, (2 * height, 2 * width), "bilinear")
        return super().call(ops.cast(resized, self.compute_dtype))

    def compute_output_shape(self, input_shape):
        batch, *sides, _ = input_shape
        return batch, *(side and 2 * side for side in sides), self.filters

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)

    def get_config(self):
        config = super().get_config()
        free = "name", "trainable", "dtype", "filters", "use_bias", "activation"
        kept = {key: config[key] for key in (*free, "kernel_initializer", "bias_initializer")}
        own = {"kernel_size": self.kernel_size[0], "interpolation": self.interpolation}
        return kept | own
