"""Blocks of the convolutional networks that several papers share.

They are functions of Keras tensors, to be called between `keras.Input` and `keras.Model`.
"""

from collections.abc import Callable

from common.errors import UserError
from common.nn.layers import BatchNormalization

import keras


def normal_init() -> keras.initializers.Initializer:
    """N(0, 0.02), the weight initialisation of DCGAN (Radford et al. 2016, section 4)."""
    return keras.initializers.RandomNormal(0.0, 0.02)


def conv(x, filters: int, *, kernel: int = 4, strides: int = 2, use_bias: bool = True):
    """Convolution that halves the sides (strides 2) or shortens them by kernel - 3 (strides 1).

    With strides 1, or kernel 4 and an even side, zeros are padded by one pixel on every side, as
    by Torch's `padding=1`: with kernel 4 and strides 1 a side of n becomes n - 1. With strides 2
    and an odd kernel the "same" padding is one pixel larger at the end of an even side: with kernel
    5, output j sees the pixels 2j - 1 to 2j + 3, and 2j - 2 to 2j + 2 with Torch's `padding=2`.
    """
    if strides == 1:
        x = keras.layers.ZeroPadding2D(1)(x)
    return keras.layers.Conv2D(
        filters,
        kernel,
        strides=strides,
        padding="same" if strides == 2 else "valid",
        use_bias=use_bias,
        kernel_initializer=normal_init(),
    )(x)


def conv_transpose(x, filters: int, *, kernel: int = 4, use_bias: bool = True):
    """Transposed convolution with strides 2, which doubles the sides.

    With kernel 4 it is Torch's `padding=1`: pixel j contributes to the pixels 2j - 1 to 2j + 2.
    With kernel 5 the "same" padding is asymmetric: pixel j contributes to the pixels 2j - 1 to
    2j + 3, and to 2j - 2 to 2j + 2 with Torch's `padding=2, output_padding=1`. So with the same
    weights the output is shifted by one pixel down and to the right.
    """
    return keras.layers.Conv2DTranspose(
        filters,
        kernel,
        strides=2,
        padding="same",
        use_bias=use_bias,
        kernel_initializer=normal_init(),
    )(x)


def dense(x, units: int, *, use_bias: bool = True):
    """Dense layer, without an activation."""
    return keras.layers.Dense(units, use_bias=use_bias, kernel_initializer=normal_init())(x)


def prelu(x):
    """PReLU (He et al. 2015) with one slope for all units, initially 0.25: float (B, H, W, C)."""
    return keras.layers.PReLU(keras.initializers.Constant(0.25), shared_axes=[1, 2, 3])(x)


def affine(x, units: int, reach: float, **options):
    """Dense layer with initial weights from U(-reach, reach), without an activation.

    `options` are further arguments of the Keras layer.
    """
    init = keras.initializers.RandomUniform(-reach, reach)
    return keras.layers.Dense(units, kernel_initializer=init, **options)(x)


def maxout(x, units: int, pieces: int, reach: float = 0.005):
    """Maxout layer (Goodfellow et al. 2013): the largest of `pieces` affine functions of the input.

    Args:
        x: float (B, N).
        units: number of outputs, each of which has its own functions.
        pieces: number of functions.
        reach: bound on the absolute value of the initial weights.

    Returns:
        float (B, units).
    """
    h = keras.layers.Reshape((units, pieces))(affine(x, units * pieces, reach))
    return keras.ops.max(h, axis=-1)


def hidden_units(image_size: int, requested: int | None) -> int:
    """Units of a hidden dense layer in both networks of an unconditional GAN; 0 for none.

    After two strided convolutions the receptive field covers 10 or 13 of a digit's 28 pixels, and
    without a hidden layer the logit is a sum of such local scores. So with fewer than three stages
    the default is 1024 units, as in the DCGAN authors' code for MNIST.

    Args:
        image_size: side of the images in pixels.
        requested: number of units; None for the default.
    """
    _, stages = base_and_stages(image_size)
    return (1024 if stages < 3 else 0) if requested is None else requested


def base_and_stages(image_size: int) -> tuple[int, int]:
    """Returns a base side of 4 to 7 pixels and the number of stages that double it to `image_size`.

    28 gives (7, 2), 64 gives (4, 4) as in DCGAN.

    Raises:
        UserError: no side of 4 to 7 pixels doubles to that size.
    """
    base, stages = image_size, 0
    while base >= 8 and base % 2 == 0:
        base, stages = base // 2, stages + 1
    if not (4 <= base < 8 and stages):
        raise UserError(
            f"--image_size {image_size}: give 4 to 7 times a power of two, such as 28, 32 or 64"
        )
    return base, stages


def patchgan(
    x,
    width: int = 64,
    strided: int = 3,
    normalization: Callable[[], keras.layers.Layer] = BatchNormalization,
):
    """PatchGAN: a convolutional discriminator that classifies patches (Isola et al. 2017, 3.2).

    With `strided` = 3 the receptive field of an output is 70x70 pixels: C64-C128-C256 with strides
    2, C512 and the last convolution with strides 1. The first convolution is not normalised.

    Args:
        x: float (B, H, W, C); in pix2pix, input and image concatenated along the channels.
        width: filters of the first convolution; doubled each time, up to eight times.
        strided: number of convolutions with strides 2; the receptive field is 16x16 pixels with 1,
            70x70 with 3, 286x286 with 5.
        normalization: function without arguments that makes the layer after each inner
            convolution.

    Returns:
        Logits, float32 (B, H/2^strided - 2, W/2^strided - 2, 1): 30x30 for 256x256.
    """
    h = keras.layers.LeakyReLU(0.2)(conv(x, width))
    for k in range(1, strided + 1):
        strides = 2 if k < strided else 1
        h = conv(h, width * min(2**k, 8), strides=strides, use_bias=False)
        h = keras.layers.LeakyReLU(0.2)(normalization()(h))
    h = conv(h, 1, strides=1)
    return keras.layers.Activation("linear", dtype="float32")(h)
