"""Ways through noise and classes: what lies between two images of a generator."""

import io
from pathlib import Path

from common.images import image_file
from common.images.grid import grid
from common.inference.sampler import Sampler
from common.io.atomic import atomic_file

import numpy as np
from PIL import Image

FRAME_MILLISECONDS = 80
ROWS, ANIMATION = "interpolation.png", "interpolation.gif"  # the files of a way


def between(a: np.ndarray, b: np.ndarray, frames: int, distribution: str) -> np.ndarray:
    """Noise on the way from a to b.

    Normal noise lies near a sphere, and a straight line would cut through its empty inside: it is
    led along an arc (White 2016, Sampling Generative Networks, arXiv:1609.04468, section 2.1).
    Uniform noise fills a cube, in which straight lines stay.

    Args:
        a, b: noise, float (N, size) each.
        frames: F, 2 or more.
        distribution: of the noise, "normal" or "uniform".

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


def write(
    sampler: Sampler,
    asked: list[int],
    seeds: tuple[int, int],
    count: int,
    frames: int,
    folder: Path,
    label_to: int | None = None,
):
    """Writes interpolation.png, a row of frames for each way, and interpolation.gif.

    Args:
        sampler: draws the images.
        asked: the classes to show, each on the same ways; none if the sampler takes no class.
        seeds: of the noise at both ends.
        count: ways from noise to noise, of each class.
        frames: images on a way, 2 or more.
        folder: made if it is not there.
        label_to: the class to which each way leads from the asked one; default none.

    Raises:
        UserError: a file cannot be written.
    """
    ends = [sampler.noise(seed, count) for seed in seeds]
    way = between(*ends, frames, sampler.latent.distribution)  # (count, frames, size)
    rows = count * max(1, len(asked))
    noise = np.tile(way, (max(1, len(asked)), 1, 1)).reshape(rows * frames, -1)
    labels = np.repeat(asked, count * frames) if asked else None
    if label_to is not None:
        share = np.tile(np.linspace(0.0, 1.0, frames), rows)[:, None]
        one_hot = np.eye(sampler.classes)
        labels = (1 - share) * one_hot[labels] + share * one_hot[label_to]
    shown = sampler.all(noise, labels)
    shown = shown.reshape(rows, frames, *shown.shape[1:])
    write_frames(folder, shown)


def write_frames(folder: Path, shown: np.ndarray):
    """Writes interpolation.png and interpolation.gif: shown is uint8 (rows, frames, S, S, C)."""
    image_file.write(folder / ROWS, grid(shown))
    there = [grid([[row[frame]] for row in shown]) for frame in range(shown.shape[1])]
    write_gif(folder / ANIMATION, there + there[-2:0:-1])


def write_gif(path: Path, frames: list[np.ndarray]):
    """Writes images, uint8 (H, W, 1 or 3), as an animation that goes on for ever.

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
