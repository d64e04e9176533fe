"""Residual blocks of spectrally normalized networks, and the widths of SAGAN's and BigGAN's.

They are functions of Keras tensors, to be called between `keras.Input` and `keras.Model`. In all
of them `spectral` has further arguments of the spectrally normalized layers, such as
`kernel_initializer` and `eps`.

A 1x1 convolution commutes with nearest upsampling and with average pooling, so the shortcuts have
it on the smaller of the two maps: the function is the same whichever comes first in a paper, and
it costs a quarter.
"""

from collections.abc import Callable
from typing import NamedTuple

from common.errors import UserError
from common.nn.spectral import SpectralConv2D, SpectralDense, SpectralEmbedding

from keras import ops
from keras.layers import Activation, AveragePooling2D, ReLU, UpSampling2D


class Layout(NamedTuple):
    """The blocks of both networks, which go from 4x4 pixels to the image and back.

    Attributes:
        generator: filters of the 4x4 map and of each block, which doubles the side, as multiples
            of the width.
        discriminator: filters of each block, as multiples of the width.
        halvings: number of the discriminator's first blocks that halve the side.
    """

    generator: tuple[int, ...]
    discriminator: tuple[int, ...]
    halvings: int


LAYOUTS = {  # by the side of the images, in pixels
    32: Layout((4, 4, 4, 4), (4, 4, 4, 4), 2),
    64: Layout((16, 16, 8, 4, 2), (1, 2, 4, 8, 16), 4),
    128: Layout((16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16), 5),
    256: Layout((16, 16, 8, 8, 4, 2, 1), (1, 2, 4, 8, 8, 16, 16), 6),
}


def layout_of(image_size: int) -> Layout:
    """The layout for images of this side.

    Raises:
        UserError: there is none.
    """
    if image_size not in LAYOUTS:
        sizes = ", ".join(map(str, LAYOUTS))
        raise UserError(f"--image_size {image_size}: give one of {sizes}")
    return LAYOUTS[image_size]


def check_attention(side: int, image_size: int):
    """Raises a UserError unless both networks have a map of this side; 0 is no attention."""
    sides = [image_size // 2**k for k in range(1, layout_of(image_size).halvings + 1)]
    sides = [each for each in sides if each >= 8]  # the generator's first block makes 8x8
    if side and side not in sides:
        choice = ", ".join(map(str, sides))
        raise UserError(
            f"--attention_size {side}: images of {image_size} pixels have maps of {choice} pixels "
            "in both networks; give one of these, or 0 for no attention"
        )


def up_block(x, filters: int, normalized: Callable, spectral: dict | None = None):
    """Doubles the side: two 3x3 convolutions, each after a normalization and ReLU.

    Args:
        x: float (B, H, W, C).
        filters: number of channels of the result.
        normalized: function of a map that normalizes it, by a new layer at each call.

    Returns:
        float (B, 2 H, 2 W, filters).
    """
    spectral = spectral or {}
    h = UpSampling2D()(ReLU()(normalized(x)))
    h = SpectralConv2D(filters, **spectral)(h)
    h = SpectralConv2D(filters, **spectral)(ReLU()(normalized(h)))
    return h + UpSampling2D()(SpectralConv2D(filters, kernel_size=1, **spectral)(x))


def down_block(
    x, filters: int, *, activate: bool = True, halve: bool = True, spectral: dict | None = None
):
    """Two 3x3 convolutions, then average pooling.

    Args:
        x: float (B, H, W, C).
        filters: number of channels of the result.
        activate: ReLU before the first convolution; not for images.
        halve: halves the side. Otherwise, the shortcut is the identity where `x` has as many
            channels.

    Returns:
        float (B, H / 2, W / 2, filters), or (B, H, W, filters).
    """
    spectral = spectral or {}
    h = SpectralConv2D(filters, **spectral)(ReLU()(x) if activate else x)
    h = SpectralConv2D(filters, **spectral)(ReLU()(h))
    if halve:
        h, x = AveragePooling2D(2)(h), AveragePooling2D(2)(x)
    if halve or x.shape[-1] != filters:
        x = SpectralConv2D(filters, kernel_size=1, **spectral)(x)
    return h + x


def projection_score(h, classes, spectral: dict | None = None):
    """Score of features and a class, w h + b + <embedding of the class, h>.

    The output of a projection discriminator (Miyato and Koyama 2018, arXiv:1802.05637, equation
    4), with h the sum over the pixels after ReLU.

    Args:
        h: float (B, H, W, C).
        classes: one-hot, float (B, K).

    Returns:
        float32 (B, 1).
    """
    exact = (spectral or {}) | {"dtype": "float32"}
    h = ops.sum(Activation("relu", dtype="float32")(h), axis=(1, 2))
    embedded = SpectralEmbedding(h.shape[-1], **exact)(classes)
    score = SpectralDense(1, **exact)(h) + ops.sum(h * embedded, axis=-1, keepdims=True)
    return Activation("linear", dtype="float32")(score)
