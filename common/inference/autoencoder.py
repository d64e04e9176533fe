"""Encoder and decoder at inference: images to codes, and codes to images."""

from common.adversarial import Adversarial
from common.images import image_file
from common.inference.sampler import batched, batched_on_images

import numpy as np
import tensorflow as tf


class Coder:
    """Encoder and decoder of a model, with its current weights.

    Args:
        model: an auto-encoder, as described by `common.tasks.autoencoding.AutoEncoding`.
    """

    def __init__(self, model: Adversarial):
        self.size, self.classes = model.code_size, model.classes
        self._encode = batched_on_images(model, lambda x: model.encoder(x, training=False))
        self._decode = batched(
            lambda code: model.decoder(code, training=False),
            tf.TensorSpec(model.decoder.input_shape, tf.float32),
        )

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Images, uint8 (N, S, S, C), to codes, float32 (N, D)."""
        return self._encode(x)

    def decode(self, code: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """Codes, float32 (N, D), to images, uint8 (N, S, S, C).

        Args:
            code: z, followed by class probabilities if the encoder predicts classes.
            labels: classes, int (N,), that replace what follows z.
        """
        if labels is not None:
            one_hot = np.eye(self.classes, dtype=np.float32)[labels]
            code = np.concatenate([code[:, : self.size], one_hot], axis=1)
        return image_file.to_uint8(self._decode(code))

    def decode_classes(self, code: np.ndarray, class_ids: list[int]) -> np.ndarray:
        """Codes (N, D) to images, uint8 (R, N, S, S, C): one row for each class.

        Without classes there is one row: the code contains the class, or there is none.
        """
        rows = [self.decode(code, np.full(len(code), k)) for k in class_ids]
        return np.stack(rows or [self.decode(code)])


def prior_codes(model: Adversarial, count: int) -> np.ndarray:
    """Returns codes drawn from the prior with a fixed seed, float32 (count, D).

    They are in the form that the discriminator takes: where the encoder predicts classes, z is
    followed by a one-hot class, of all classes in turn.
    """
    z = np.asarray(model.prior_code(model.latent.of_seed(0, count)))
    if not model.labels:
        return z
    one_hot = np.eye(model.classes, dtype=np.float32)[np.arange(count) % model.classes]
    return np.concatenate([z, one_hot], axis=1)
