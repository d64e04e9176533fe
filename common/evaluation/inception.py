"""Keras-Inception FID: the Frechet distance between pooled features of Keras' InceptionV3.

It goes by that name everywhere, because Keras' ImageNet weights are not those of the original FID
network, so its numbers do not compare with published FIDs.
"""

from collections.abc import Iterable
from itertools import islice

from common.errors import UserError
from common.images import image_file
from common.io import keras_cache
from common.metrics.frechet_distance import frechet_distance, mean_and_covariance

import keras
import numpy as np
import tensorflow as tf

# The file that InceptionV3(include_top=False, weights="imagenet") loads. Downloading it separately
# distinguishes a failed download from other errors.
WEIGHTS_FILE = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
WEIGHTS_URL = (
    f"https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/{WEIGHTS_FILE}"
)
WEIGHTS_MD5 = "bcbd6486424b2319ff4ef7d526e38f63"
INPUT_SIZE = 299  # px, the size of its training images


def keras_inception():
    """Returns Keras' InceptionV3 with ImageNet weights, up to the pooled features.

    Returns:
        keras.Model: (N, 299, 299, 3) in [-1, 1] -> (N, 2048).

    Raises:
        UserError: the weights are not on disk and cannot be downloaded; no partial file remains.
    """
    weights = keras_cache.weights_file(
        WEIGHTS_FILE, WEIGHTS_URL, WEIGHTS_MD5, "Keras-Inception FID"
    )
    return keras.applications.InceptionV3(include_top=False, pooling="avg", weights=weights)


def keras_inception_features(images, batch=32, network=None):
    """Returns features for the Keras-Inception FID.

    Images are resized to 299 px, bilinear with antialiasing, without rounding to grey levels.

    Args:
        images: iterable of uint8 images (H, W, 3) of any sizes, or an array (N, H, W, 3).
        batch: number of images per forward pass, and in memory at a time.
        network: (N, 299, 299, 3) in [-1, 1] -> (N, D); `keras_inception()` by default.

    Returns:
        float32 array (N, D), D = 2048 for Inception.

    Raises:
        UserError: there are no images, or the default network's weights are not available.
        ValueError: an image is not uint8 (H, W, 3).
    """
    network = network or keras_inception()
    extract = tf.function(lambda x: network(x, training=False), reduce_retracing=True)
    images, features = iter(images), []
    while group := [_inception_input(image) for image in islice(images, batch)]:
        features.append(extract(tf.stack(group)).numpy())
    if not features:
        raise UserError("Keras-Inception FID: there are no images")
    return np.concatenate(features)


def keras_inception_fid(
    real: Iterable[np.ndarray], generated: Iterable[np.ndarray], channels: int
) -> float | None:
    """Computes and prints the Keras-Inception FID between real and generated images.

    Args:
        real, generated: float images (H, W, channels) in [-1, 1]; each is consumed once.
        channels: number of channels of both.

    Returns:
        The distance; None, with a printed reason, if Inception's weights are not available or the
        images are not RGB.
    """
    if channels != 3:
        print("Keras-Inception FID: skipped; it is defined for RGB images")
        return None

    def features(images: Iterable[np.ndarray]) -> np.ndarray:
        return keras_inception_features(map(image_file.to_uint8, images), network=network)

    try:
        network = keras_inception()
        real_features, generated_features = features(real), features(generated)
        moments = *mean_and_covariance(real_features), *mean_and_covariance(generated_features)
    except UserError as error:
        print(f"Keras-Inception FID: skipped; {error}")
        return None
    fid = frechet_distance(*moments)
    print(f"Keras-Inception FID: {fid:.1f} ({len(generated_features)} images)")
    return fid


def _inception_input(image):
    """Resizes and rescales an image: uint8 (H, W, 3) -> float32 (299, 299, 3) in [-1, 1]."""
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(f"uint8 (H, W, 3) is needed, not {image.dtype} {image.shape}")
    resized = tf.image.resize(image, (INPUT_SIZE, INPUT_SIZE), "bilinear", antialias=True)
    return keras.applications.inception_v3.preprocess_input(resized)
