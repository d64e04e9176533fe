"""Normalized convolutions without biases, and residual blocks with a narrow middle, of StackGAN.

They are functions of Keras tensors, to be called between `keras.Input` and `keras.Model`.
"""

from common.nn.blocks import normal_init
from common.nn.layers import BatchNormalization

from keras import ops
from keras.layers import Activation, Add, Concatenate, Conv2D, ReLU, Reshape, UpSampling2D


def conv(x, filters: int, kernel: int = 3, strides: int = 1, padding: str = "same"):
    """Convolution without a bias."""
    options = {"use_bias": False, "kernel_initializer": normal_init()}
    return Conv2D(filters, kernel, strides, padding, **options)(x)


def normalized_conv(x, filters: int, kernel: int = 3, strides: int = 1):
    return BatchNormalization()(conv(x, filters, kernel, strides))


def enlarged(x, filters: int):
    """Doubles the sides."""
    return normalized_conv(UpSampling2D()(x), filters)


def residual(x, activation=None):
    """A block of three convolutions, of a quarter of the channels, added to its input."""
    channels = x.shape[-1]
    inner, activation = max(1, channels // 4), activation or ReLU()
    h = activation(normalized_conv(x, inner, 1))
    h = activation(normalized_conv(h, inner))
    return Add()([x, normalized_conv(h, channels)])


def joined(x, c):
    """A map (B, H, W, C) with a vector (B, N) beside each of its pixels."""
    height, width = x.shape[1:3]
    c = ops.tile(Reshape((1, 1, c.shape[-1]))(c), (1, height, width, 1))
    return Concatenate()([x, c])


def painted(h, channels: int):
    return Activation("tanh", dtype="float32")(conv(h, channels))
