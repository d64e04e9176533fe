"""Content losses: distances between images in features of VGG19, trained on ImageNet.

Ledig et al., arXiv:1609.04802, section 2.2.1. Images are preprocessed as Keras does for VGG: values
0 to 255, BGR order, ImageNet's mean colour subtracted.
"""

from collections.abc import Callable

from common.errors import UserError
from common.io import keras_cache
from common.nn import losses

import keras
import tensorflow as tf

WEIGHTS_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
WEIGHTS_URL = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg19/{WEIGHTS_FILE}"
WEIGHTS_MD5 = "253f8cb515780f3b799900260a226db6"
IMAGENET_BGR = (103.939, 116.779, 123.68)
LAYERS = {"vgg54": "block5_conv4", "vgg22": "block2_conv2"}  # the paper's phi_{5,4}, phi_{2,2}
SCALE = 1 / 12.75  # of the features: brings their distance to the magnitude of that of pixels


Distance = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def content_loss(name: str | None) -> tuple[str, Distance]:
    """Returns a content loss by name.

    Args:
        name: a key of LAYERS; or "mse", the loss of pixels; None for vgg54 if its weights are on
            disk or downloadable, else mse, which is printed.

    Returns:
        The name, and the distance of two images float32 (B, H, W, 3) in [-1, 1].

    Raises:
        UserError: VGG19 was asked for by name and its weights are not available.
    """
    if name == "mse":
        return name, losses.mse
    layer = name or "vgg54"
    try:
        return layer, distance(vgg19_features(LAYERS[layer], vgg19_weights()))
    except UserError as error:
        if name:
            raise UserError(f"--content {name}: {error}; or give --content mse") from error
        print(f"{error}\nso the content loss is that of pixels instead, as with --content mse")
        return "mse", losses.mse


def vgg19_weights() -> str:
    """The path of Keras' weights; raises UserError as `keras_cache.weights_file`."""
    return keras_cache.weights_file(WEIGHTS_FILE, WEIGHTS_URL, WEIGHTS_MD5, "VGG19")


def vgg19_features(layer: str, weights: str | None = None) -> keras.Model:
    """VGG19 up to a convolution and its activation, frozen.

    Args:
        layer: Keras' name; block5_conv4 is the paper's phi_{5,4}, block2_conv2 its phi_{2,2}.
        weights: path of Keras' file; None for random weights.

    Returns:
        A model: float32 (B, H, W, 3) in [-1, 1] -> (B, H / 2^k, W / 2^k, C) after k poolings.
    """
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")  # deep features overflow float16
    try:
        vgg = keras.applications.VGG19(include_top=False, weights=weights)
        x = keras.Input((None, None, 3))
        h = (x + 1.0) * 127.5
        h = h[..., ::-1] - tf.constant(IMAGENET_BGR)
        for each in vgg.layers[1:]:
            h = each(h)
            if each.name == layer:
                break
        features = keras.Model(x, h, name=f"vgg19_{layer}")
    finally:
        keras.config.set_dtype_policy(policy)
    features.trainable = False
    return features


def distance(features: keras.Model) -> Distance:
    """mean( (phi(x) / 12.75 - phi(y) / 12.75)^2 ), equation 5, as a function of two images."""

    def content(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        difference = features(x, training=False) - features(y, training=False)
        return tf.reduce_mean(tf.square(SCALE * difference))

    return content
