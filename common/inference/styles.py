"""Style-based generators at inference: truncated and mixed styles."""

from collections.abc import Callable
from math import ceil, sqrt
from pathlib import Path

from common.adversarial import Adversarial
from common.images import image_file
from common.images.captions import titled
from common.images.grid import grid
from common.inference.draw import Sampling
from common.inference.endpoints import labels_in_turn
from common.inference.sampler import Sampler, batched
from common.reports.result_page import LinkedImage, ResultPage

import numpy as np
import tensorflow as tf

MIXING = "mixing.png"
TRUNCATED_LAYERS = 8  # up to 32x32 pixels (Karras et al. 2019, appendix B)


def mean_of(model: Adversarial) -> tf.Tensor:
    """The running mean of w, float32 (latent,), of a model with `mapping`."""
    return tf.convert_to_tensor(model.mapping.get_layer("w").mean)


def styles_of(w, mean, psi, layers: int, truncated_layers: int = TRUNCATED_LAYERS) -> tf.Tensor:
    """Styles of all layers, of which the first ones are truncated: mean + psi (w - mean).

    Args:
        w: float32 (B, latent).
        mean: the mean of w, float32 (latent,).
        psi: a number, or one for each w, float32 (B,).
        layers: number of layers that take a style.
        truncated_layers: number of the first layers whose styles are truncated.

    Returns:
        float32 (B, layers, latent).
    """
    w = tf.repeat(w[:, None], layers, axis=1)
    near = mean + tf.reshape(tf.cast(psi, tf.float32), (-1, 1, 1)) * (w - mean)
    return tf.where(tf.range(layers)[None, :, None] < truncated_layers, near, w)


def truncated(model: Adversarial, psi, truncated_layers: int = TRUNCATED_LAYERS) -> Callable:
    """A function of what the model's `sampler` takes -> its images with truncated styles."""
    mapping, synthesis = model.mapping, model.synthesis
    layers = synthesis.input_shape[1]

    def network(inputs, training=False):
        w = mapping(inputs, training=training)
        styles = styles_of(w, mapping.get_layer("w").mean.value, psi, layers, truncated_layers)
        return synthesis(styles, training=training)

    return network


class StyleNetworks:
    """The two parts of a style-based generator, for arrays of any length.

    Args:
        model: has `mapping` (z [, one-hot class] to w), `synthesis` (styles to images), `latent`
            and `classes`.

    Attributes:
        layers: number of layers that take a style.
    """

    def __init__(self, model: Adversarial):
        mapping, synthesis = model.mapping, model.synthesis
        _, self.layers, size = synthesis.input_shape
        self._classes, self._mean = model.classes, mapping.get_layer("w").mean
        inputs = tf.TensorSpec((None, size + model.classes), tf.float32)

        def mapped(x):
            parts = [x[:, :size], x[:, size:]] if model.classes else x
            return mapping(parts, training=False)

        self._map = batched(mapped, inputs)
        styles = tf.TensorSpec((None, self.layers, size), tf.float32)
        self._draw = batched(lambda styles: synthesis(styles, training=False), styles)

    def w(self, noise: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """w, float32 (N, latent), of z (N, latent) and classes (N,)."""
        if self._classes:
            noise = np.concatenate([noise, np.eye(self._classes)[labels]], axis=1)
        return self._map(noise)

    def styles(self, w: np.ndarray, psi: float = 1.0, layers: int = TRUNCATED_LAYERS) -> np.ndarray:
        """`styles_of` w (N, latent), float32 (N, layers, latent)."""
        return styles_of(w, self._mean.value, psi, self.layers, layers).numpy()

    def images(self, styles: np.ndarray) -> np.ndarray:
        """Images, uint8 (N, S, S, C), of styles (N, layers, latent)."""
        return image_file.to_uint8(self._draw(styles))


def mixed(coarse: np.ndarray, fine: np.ndarray, crossover: int) -> np.ndarray:
    """Styles (N, layers, latent): `coarse` before layer `crossover`, from there on `fine`."""
    return np.concatenate([coarse[:, :crossover], fine[:, crossover:]], axis=1)


def mixing_matrix(
    networks: StyleNetworks, coarse: np.ndarray, fine: np.ndarray, crossover: int
) -> np.ndarray:
    """Images of all pairs of styles, uint8 (H, W, C).

    Args:
        networks: the generator.
        coarse: styles (N, layers, latent) of the rows: their layers before `crossover`.
        fine: styles (M, layers, latent) of the columns: the other layers.
        crossover: number of layers with the styles of the row.

    Returns:
        A grid: above it the images of the columns' styles, on its left those of the rows'.
    """
    top, left = networks.images(fine), networks.images(coarse)
    pairs = mixed(coarse.repeat(len(fine), axis=0), np.tile(fine, (len(coarse), 1, 1)), crossover)
    inside = networks.images(pairs).reshape(len(coarse), len(fine), *top.shape[1:])
    corner = np.full_like(top[0], 255)
    rows = [[one, *row] for one, row in zip(left, inside, strict=True)]
    return grid([[corner, *top], *rows])


def draw_mixing(
    sampler: Sampler, class_ids: list[int], sampling: Sampling, folder: Path, page: ResultPage
) -> str:
    """Writes mixing.png, a square `mixing_matrix` of at least `sampling.count` mixed images.

    Args, returns, raises: as `draw_images`; `sampling` is a `StyleSampling` with `mix`.
    """
    networks, side = StyleNetworks(sampler.model), ceil(sqrt(sampling.count or 64))
    noise = sampler.noise(sampling.seed, 2 * side)
    w = networks.w(noise, labels_in_turn(class_ids, len(noise)))
    styles = networks.styles(w, sampling.truncation, sampling.truncation_layers)
    matrix = mixing_matrix(networks, styles[:side], styles[side:], sampling.mix)
    title = f"first {sampling.mix} layers: styles of the left; others: of the top"
    image_file.write(folder / MIXING, titled(matrix, title))
    page.single(MIXING, LinkedImage.of(folder / MIXING))
    return f"{side} x {side} mixed images in {folder / MIXING}"
