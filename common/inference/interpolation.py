"""Interpolation in latent space and between classes, written as an image and an animation."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from common.errors import UserError
from common.images import image_file
from common.images.grid import grid
from common.inference.draw import Sampling, check_seed, select_classes
from common.inference.sampler import Sampler
from common.io.atomic import atomic_file
from common.reports.result_page import LinkedImage, ResultPage

import numpy as np
from PIL import Image

FRAME_MILLISECONDS = 80
ROWS, ANIMATION = "interpolation.png", "interpolation.gif"


@dataclass(frozen=True)
class Interpolation:
    """Interpolation in latent space or between classes.

    Args:
        interpolate: number of frames from the noise of --seed to that of --seed_to;
            interpolation.png shows them in a row, interpolation.gif as an animation.
        seed_to: seed for the noise of the last frame; default the seed after --seed, or with
            --label_to the same noise.
        label_to: class of the last frame, by name or number; that of the first is --label.
    """

    interpolate: int | None = None
    seed_to: int | None = None
    label_to: str | None = None

    def __post_init__(self):
        if self.interpolate is not None and self.interpolate < 2:
            raise UserError(f"--interpolate {self.interpolate}: give 2 frames or more, such as 16")
        check_seed(seed_to=self.seed_to)
        for option, value in (("seed_to", self.seed_to), ("label_to", self.label_to)):
            if value is not None and not self.interpolate:
                raise UserError(f"--{option} {value}: needs --interpolate, such as 16")

    def check(self, sampling: Sampling):
        """Raises a UserError where the options of `predict` do not fit together."""
        if form := sampling.form:
            raise UserError(f"--{form}: interpolations are a grid already; leave one of them out")
        if self.label_to is not None and sampling.label is None:
            raise UserError(f"--label_to {self.label_to}: needs --label, the class of the start")

    def draw(
        self,
        sampler: Sampler,
        class_ids: list[int],
        sampling: Sampling,
        folder: Path,
        page: ResultPage,
    ) -> str:
        """Writes at least `sampling.count` interpolations: of each class equally many.

        Args, returns, raises: as `draw_images`.
        """
        count = ceil((sampling.count or 1) / max(1, len(class_ids)))
        ends = [sampler.noise(seed, count) for seed in (sampling.seed, self._last_seed(sampling))]
        noise = between(*ends, self.interpolate, sampler.latent.distribution)
        names = [sampler.class_names[k] for k in class_ids for _ in range(count)]
        if self.label_to is not None:
            names = [f"{name} to {self.label_to}" for name in names]
        write_frames(folder, self._frames(sampler, class_ids, noise), names)
        add_to_page(page, folder)
        return f"{self.interpolate} frames in {folder / ROWS} and .gif"

    def _last_seed(self, sampling: Sampling) -> int:
        if self.seed_to is not None:
            return self.seed_to
        return (sampling.seed + 1) % 2**63 if self.label_to is None else sampling.seed

    def _frames(self, sampler: Sampler, class_ids: list[int], noise: np.ndarray) -> np.ndarray:
        """Returns images, uint8 (rows, F, S, S, C), for noise (N, F, size): N rows per class."""
        count, frames, size = noise.shape
        rows = count * max(1, len(class_ids))
        noise = np.tile(noise, (max(1, len(class_ids)), 1, 1)).reshape(rows * frames, size)
        labels = np.repeat(class_ids, count * frames) if class_ids else None
        if self.label_to is not None:
            (last,) = select_classes(sampler.class_names, self.label_to, "label_to")
            if sampler.mixture is None:
                raise UserError(
                    f"--label_to {self.label_to}: this SavedModel takes no class weights; export "
                    "the run again"
                )
            share = np.tile(np.linspace(0.0, 1.0, frames), rows)[:, None]
            one_hot = np.eye(sampler.classes)
            labels = (1 - share) * one_hot[labels] + share * one_hot[last]
        drawn = sampler.all(noise, labels)
        return drawn.reshape(rows, frames, *drawn.shape[1:])


def between(a: np.ndarray, b: np.ndarray, frames: int, distribution: str) -> np.ndarray:
    """Interpolates noise from a to b.

    Normal noise is concentrated near a sphere, whose inside a straight line would cross: it is
    interpolated along an arc (White 2016, Sampling Generative Networks, arXiv:1609.04468, section
    2.1). Uniform noise fills a cube, which contains the straight line.

    Args:
        a, b: noise, float (N, size) each.
        frames: F, 2 or more.
        distribution: distribution of the noise, "normal" or "uniform".

    Returns:
        float32 (N, F, size): the first frame is a, the last one b.
    """
    a, b = a[:, None].astype(np.float64), b[:, None].astype(np.float64)
    t = np.linspace(0.0, 1.0, frames)[None, :, None]
    straight = (1 - t) * a + t * b
    if distribution != "normal":
        return straight.astype(np.float32)
    norms = np.linalg.norm(a, axis=-1, keepdims=True) * np.linalg.norm(b, axis=-1, keepdims=True)
    cosine = np.clip((a * b).sum(-1, keepdims=True) / norms, -1, 1)
    angle = np.arccos(cosine)  # (N, 1, 1)
    sine = np.sin(angle)
    with np.errstate(divide="ignore", invalid="ignore"):
        arc = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / sine
    return np.where(sine > 1e-6, arc, straight).astype(np.float32)


def write_frames(folder: Path, images: np.ndarray, names: Sequence[str] = ()):
    """Writes interpolation.png and interpolation.gif from images, uint8 (rows, F, S, S, C).

    Args:
        folder: folder of the two files.
        images: the frames.
        names: what the rows of interpolation.png show.

    Raises:
        UserError: a file cannot be written.
    """
    image_file.write(folder / ROWS, grid(images, names=names))
    forth = [grid([[row[frame]] for row in images]) for frame in range(images.shape[1])]
    write_gif(folder / ANIMATION, forth + forth[-2:0:-1])


def add_to_page(page: ResultPage, folder: Path):
    """Adds the two files of `write_frames` to a page in the same folder."""
    for name in (ROWS, ANIMATION):
        page.single(name, LinkedImage.of(folder / name))


def write_gif(path: Path, frames: list[np.ndarray]):
    """Writes images, uint8 (H, W, 1 or 3), as an endless animation.

    Raises:
        UserError: it cannot be written.
    """
    first, *others = (Image.fromarray(f if f.shape[-1] == 3 else f[..., 0]) for f in frames)
    content = io.BytesIO()
    first.save(
        content,
        "GIF",
        save_all=True,
        append_images=others,
        duration=FRAME_MILLISECONDS,
        loop=0,
    )
    with atomic_file(path) as part:
        part.write_bytes(content.getvalue())
