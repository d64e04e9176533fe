"""DCGAN's networks (Radford et al. 2016), for papers that change the objective.

They are functions of Keras tensors, to be called between `keras.Input` and `keras.Model`.
"""

from common.nn.blocks import base_and_stages, conv, conv_transpose, dense
from common.nn.layers import BatchNormalization, Dropout

from keras.layers import Activation, Flatten, LeakyReLU, ReLU, Reshape


def generator(
    z, image_size: int, channels: int, width: int, dense_units: int, *, normalize: bool = True
):
    """Transposed 5x5 convolutions that double the side up to the image's.

    Args:
        z: noise, float (B, N).
        image_size: side of the images: 4 to 7 times a power of two.
        channels: channels of the images.
        width: filters before the last convolution; the layers towards z have multiples.
        dense_units: units of a hidden dense layer; 0 for none.
        normalize: batch normalization of every layer but the last.

    Returns:
        Images, float32 (B, S, S, C) in [-1, 1].
    """

    def activated(h):
        return ReLU()(BatchNormalization()(h) if normalize else h)

    base, stages = base_and_stages(image_size)
    widest, *narrower = (width * 2**k for k in reversed(range(stages)))
    h = z
    for units in (dense_units, base * base * widest):
        if units:
            h = activated(dense(h, units, use_bias=not normalize))
    h = Reshape((base, base, widest))(h)  # (B, 7, 7, 2 width) for 28 pixels
    for filters in narrower:
        h = activated(conv_transpose(h, filters, kernel=5, use_bias=not normalize))
    h = conv_transpose(h, channels, kernel=5)
    return Activation("tanh", dtype="float32")(h)


def discriminator(x, width: int, dense_units: int, *, normalize: bool = True):
    """Strided 5x5 convolutions with leaky ReLU; mirrors the generator.

    Args:
        x, width, dense_units, normalize: as of `features`.

    Returns:
        Scores, float32 (B, 1).
    """
    h = features(x, width, dense_units, normalize=normalize)
    return Activation("linear", dtype="float32")(dense(h, 1))


def features(x, width: int, dense_units: int, *, normalize: bool = True, dropout: float = 0.0):
    """The discriminator without its last layer.

    Args:
        x: images, float (B, S, S, C) in [-1, 1].
        width: filters of the first convolution; the next ones have multiples.
        dense_units: units of a hidden dense layer; 0 for none.
        normalize: batch normalization of every layer but the first and the last. A penalty on the
            gradient of an image's score forbids it: the score would depend on the other images.
        dropout: dropout rate after the convolutions.

    Returns:
        float (B, dense_units), or all maps without a hidden layer.
    """

    def activated(h):
        return LeakyReLU(0.2)(BatchNormalization()(h) if normalize else h)

    _, stages = base_and_stages(x.shape[1])
    h = LeakyReLU(0.2)(conv(x, width, kernel=5))
    for k in range(1, stages):
        h = activated(conv(h, width * 2**k, kernel=5, use_bias=not normalize))
    h = Flatten()(Dropout(dropout)(h) if dropout else h)
    if dense_units:
        h = activated(dense(h, dense_units, use_bias=not normalize))
    return h
