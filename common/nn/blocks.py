"""Networks and blocks that several papers share.

They are functions of Keras tensors, to be called between `keras.Input` and `keras.Model`.
"""

from collections.abc import Callable

from common.errors import UserError
from common.nn.layers import BatchNormalization

import keras


def normal_init() -> keras.initializers.Initializer:
    """N(0, 0.02), the weights' initialisation since DCGAN (Radford et al. 2016, section 4)."""
    return keras.initializers.RandomNormal(0.0, 0.02)


def conv(x, filters: int, *, kernel: int = 4, strides: int = 2, use_bias: bool = True):
    """Convolution that halves the sides (strides 2) or shortens them by kernel - 3 (strides 1).

    With strides 1, or kernel 4 and an even side, zeros are padded by one pixel on every side, as
    Torch's `padding=1` does: with kernel 4 and strides 1 a side of n becomes n - 1. With strides 2
    and an odd kernel the end of a side gets one more than its beginning: "same" padding.
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
    """Transposed convolution with strides 2: doubles the sides."""
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


def hidden_units(image_size: int, asked: int | None) -> int:
    """Units of a hidden dense layer in each player of an unconditional GAN; 0 for none.

    Two strided convolutions see 10 or 13 of a digit's 28 pixels, and the score is a sum over what
    they see: it judges parts, and no digit. So where no more than two halve the images the
    default is 1024, as in the code of DCGAN's authors for MNIST.
    """
    _, stages = base_and_stages(image_size)
    return (1024 if stages < 3 else 0) if asked is None else asked


def base_and_stages(image_size: int) -> tuple[int, int]:
    """The side of 4 to 7 pixels that doubles to `image_size`, and how often it doubles.

    28 gives (7, 2) as for digits, 64 gives (4, 4) as in DCGAN.

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
    """PatchGAN: a convolutional discriminator that judges patches (Isola et al. 2017, section 3.2).

    With `strided` = 3 each output unit sees 70x70 pixels: C64-C128-C256 with strides 2, C512 and
    the last convolution with strides 1. No normalisation after the first convolution.

    Args:
        x: float (B, H, W, C), in pix2pix condition and image side by side in the channels.
        width: filters of the first convolution; doubled each time, up to eight times.
        strided: convolutions with strides 2; 1 sees 16x16 pixels, 3 sees 70x70, 5 sees 286x286.
        normalization: called without arguments, gives the layer after each inner convolution.

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
