"""In-painting networks applied to images of any size: holes given by a box or by a mask.

Here a mask is 1, or white in a file, where an image is to be filled; a model's own mask, as in the
papers, is 1 on the visible pixels.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from common.adversarial import Adversarial
from common.errors import UserError, at_least_one
from common.images import image_file, tiling
from common.images.image_file import BadImage
from common.inference.image_to_image import Progress, Row, Size, resized
from common.inference.sampler import BATCH_SIZE
from common.reports.result_page import LinkedImage

import keras
import numpy as np
import tensorflow as tf
from scipy.ndimage import distance_transform_edt

WHITE = 128  # grey level from which a pixel of a mask is white
GREY = 128  # grey level in which a hole is shown
Complete = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Hole:
    """Part of each image to fill.

    Args:
        box: rectangle to fill, as x,y,width,height in pixels from the top left corner; default,
            without --mask, the centre, half as wide and high as the image.
        mask: image file of the image's size, white where the image is to be filled.
    """

    box: str | None = None
    mask: str | None = None

    def __post_init__(self):
        if self.box is not None and self.mask is not None:
            raise UserError(f"--box {self.box}: cannot be combined with --mask; give one of them")
        if self.box is not None and not re.fullmatch(r"\d+(,\d+){3}", self.box):
            raise UserError(f"--box {self.box}: give x,y,width,height in pixels, such as 7,7,14,14")

    def check(self):
        """Raises a UserError if the mask cannot be read."""
        if self.mask is not None:
            try:
                self._white.any()
            except BadImage as error:
                raise UserError(f"--mask {error}") from error

    def of(self, name: str, height: int, width: int) -> np.ndarray:
        """The hole in an image, bool (height, width), True where it is to be filled.

        Args:
            name: name of the image, for error messages.
            height, width: its size in pixels.

        Raises:
            BadImage: the box or the mask does not fit the image, or is empty or all of it.
        """
        given = f"--mask {self.mask}" if self.mask is not None else f"--box {self.box}"
        size = f"{name}, which has {width}x{height} pixels"
        if self.mask is not None:
            hole = self._white
            if hole.shape != (height, width):
                mask_size = f"{hole.shape[1]}x{hole.shape[0]} pixels"
                raise BadImage(f"{given}: has {mask_size}; give one of the size of {size}")
        else:
            x, y, w, h = self._corner_and_size(height, width)
            if x + w > width or y + h > height:
                raise BadImage(
                    f"{given}: outside of {size}; give x + width up to {width} and y + height up "
                    f"to {height}"
                )
            hole = np.zeros((height, width), bool)
            hole[y : y + h, x : x + w] = True
        if not hole.any():
            remedy = "make a pixel white" if self.mask is not None else "give a width and a height"
            raise BadImage(f"{given}: nothing is to be filled in {name}; {remedy}")
        if hole.all():
            raise BadImage(f"{given}: all of {size}, is to be filled; leave something visible")
        return hole

    @cached_property
    def _white(self) -> np.ndarray:
        return image_file.read(self.mask, 1)[..., 0] >= WHITE

    def _corner_and_size(self, height: int, width: int) -> tuple[int, ...]:
        if self.box is not None:
            return tuple(map(int, self.box.split(",")))
        w, h = (max(1, side // 2) for side in (width, height))
        return (width - w) // 2, (height - h) // 2, w, h


@dataclass(frozen=True)
class Inpainter:
    """An in-painting network at inference, from a run or a SavedModel.

    Attributes:
        call: images, float32 (B, h, w, C) in [-1, 1], of any sides, and masks (B, h, w, 1), 1 where
            they are to be filled -> completed images (B, h, w, C).
        channels: C.
        image_size: side of the training images in pixels.
    """

    call: Complete
    channels: int
    image_size: int

    def complete(
        self,
        image: np.ndarray,
        hole: np.ndarray,
        side: int | None = None,
        tile: int = 512,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Fills a hole in an image; the visible pixels stay as they are.

        Args:
            image: uint8 (H, W, C).
            hole: bool (H, W), True where the image is to be filled.
            side: shorter side in pixels at which the network works; what it fills in is resized to
                the image. None for the image's own.
            tile: side in pixels of the overlapping tiles that larger images are split into.
            progress: called after each tile.

        Returns:
            uint8 (H, W, C).
        """
        small, small_hole = image, hole
        if side not in (None, min(image.shape[:2])):
            # What the hole contains must not be mixed into the visible pixels around it.
            small = resized(without_hole(image, hole), side)
            small_hole = resized(255 * hole[..., None].astype(np.uint8), side)[..., 0] > 0
        stacked = [image_file.to_unit(small), small_hole[..., None].astype(np.float32)]
        bands = tiling.blended_bands(
            lambda part: self.call(part[..., :-1], part[..., -1:]),
            np.concatenate(stacked, axis=-1),
            multiple=1,
            tile=tile,
            progress=progress,
        )
        filled = image_file.to_uint8(np.concatenate([*bands]))
        if small is not image:
            filled = image_file.resize(filled, *image.shape[:2])
        return np.where(hole[..., None], filled, image)

    def complete_all(self, images: np.ndarray, holes: np.ndarray) -> np.ndarray:
        """Fills holes, bool (N, S, S), in small images of one size, uint8 (N, S, S, C)."""
        completed = np.empty_like(images)
        for first in range(0, len(images), BATCH_SIZE):
            part = slice(first, first + BATCH_SIZE)
            mask = holes[part, ..., None].astype(np.float32)
            x = image_file.to_unit(images[part])
            completed[part] = image_file.to_uint8(self.call(x, mask))
        return completed


def inpainter_of(model: Adversarial) -> Inpainter:
    """Returns the in-painter of a model; it always uses the model's current weights.

    Args:
        model: has `sampler`, `channels` and `image_size`.
    """
    specs = signature(model.channels)
    graph = tf.function(endpoint(model.sampler), input_signature=specs, autograph=False)
    return Inpainter(
        lambda x, mask: graph(tf.constant(x), tf.constant(mask))["completed"].numpy(),
        model.channels,
        model.image_size,
    )


def signature(channels: int) -> list[tf.TensorSpec]:
    """The inputs of an `endpoint`."""
    depths = {"image": channels, "mask": 1}
    return [tf.TensorSpec((None, None, None, n), tf.float32, k) for k, n in depths.items()]


def endpoint(sampler: keras.Model) -> Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]:
    """The function image, mask -> {"completed": float32}, in TensorFlow operations only.

    Values of the mask above 0.5 are to be filled.

    Args:
        sampler: [images (B, H, W, C), masks (B, H, W, 1), 1 on the visible pixels] -> completed
            images.
    """

    def complete(image, mask):
        visible = tf.cast(mask <= 0.5, tf.float32)
        return {"completed": tf.cast(sampler([image, visible], training=False), tf.float32)}

    return complete


def without_hole(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Replaces the pixels of the hole by the nearest visible ones.

    Args:
        image: uint8 (H, W, C).
        hole: bool (H, W), not all True.
    """
    y, x = distance_transform_edt(hole, return_distances=False, return_indices=True)
    return image[y, x]


def masked(images: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """Images, uint8 (..., H, W, C), with their holes, bool (..., H, W), in grey."""
    return np.where(holes[..., None], np.uint8(GREY), images)


def working_side(size: Size | None, inpainter: Inpainter) -> int | None:
    """Returns the shorter side in pixels at which the network works; None for the images' own.

    By default it is that of the training images, at whose scale the network has learned; a line is
    printed about it.

    Raises:
        UserError: the size is not positive.
    """
    if size == "original":
        return None
    at_least_one(size=size)
    if size is None:
        print(
            f"holes are filled at the scale of the training images, {inpainter.image_size} pixels "
            "(shorter side), and resized to the images; --size original fills them at theirs"
        )
    return size or inpainter.image_size


def write_completed(
    inpainter: Inpainter,
    hole: Hole,
    side: int | None,
    tile: int,
    source: Path,
    target: Path,
    progress: Progress | None = None,
) -> Row:
    """Completes an image file into a PNG file; `side` and `tile` as for `Inpainter.complete`."""
    image = image_file.read(source, inpainter.channels)
    to_fill = hole.of(source.name, *image.shape[:2])
    completed = inpainter.complete(image, to_fill, side, tile, progress)
    image_file.write(target, completed)
    linked = LinkedImage(target.name, *image.shape[:2])
    return {"masked": masked(image, to_fill), "completed": linked, "original": image}
