"""Texts to draw, from the command line, and the images of them, written to files."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from common.data.sources.embeddings import Embeddings
from common.errors import UserError, reason_of
from common.images import image_file
from common.images.grid import grid
from common.inference.draw import with_progress_bar
from common.inference.interpolation import add_to_page, write_frames
from common.inference.text_sampler import Images, TextSampler
from common.reports.result_page import LinkedImage, ResultPage

import numpy as np


@dataclass(frozen=True)
class Texts:
    """What to draw.

    Args:
        text: the text that images are drawn of; default a few captions of held-out images.
        texts: a file with a text a line; for a run on given embeddings an .npz file of the same
            form.
        skip_bad_texts: exit with status 0 even if the model knows no word of some texts of --texts;
            the others are drawn in any case.
        text_to: second text, for frames from --text to it, all with the same noise.
        interpolate: number of frames from --text to --text_to; interpolation.png shows them in a
            row, interpolation.gif as an animation.
    """

    text: str | None = None
    texts: str | None = None
    skip_bad_texts: bool = False
    text_to: str | None = None
    interpolate: int = 16

    def __post_init__(self):
        if self.text is not None and self.texts is not None:
            raise UserError(f"--texts {self.texts}: cannot be combined with --text")
        if self.text_to is not None and self.text is None:
            raise UserError(
                f"--text_to {self.text_to!r}: needs --text, the text of the first frame"
            )
        if self.interpolate < 2:
            raise UserError(f"--interpolate {self.interpolate}: give 2 frames or more, such as 16")
        for option, text in (("text", self.text), ("text_to", self.text_to)):
            if text is not None and not text.strip():
                raise UserError(f"--{option}: is empty; write what the image shows")

    def check_file(self):
        """Raises a UserError if the file --texts is missing."""
        if self.texts is not None and not Path(self.texts).is_file():
            raise UserError(f"--texts {self.texts}: cannot be read (no such file); check the path")

    def read(self) -> list[str]:
        """The lines of the file --texts, without empty ones."""
        try:
            lines = Path(self.texts).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"--texts {self.texts}: cannot be read ({reason_of(error)})") from error
        if not (texts := [line.strip() for line in lines if line.strip()]):
            raise UserError(f"--texts {self.texts}: is empty; write a text a line")
        return texts


class Asked(NamedTuple):
    """What to draw.

    Attributes:
        texts: texts, or their embeddings.
        names: what they are called.
        left_out: reasons why other texts of the file cannot be drawn.
    """

    texts: list[str] | np.ndarray
    names: list[str]
    left_out: list[str]

    def of(self, turns: np.ndarray) -> "Asked":
        """The texts of these numbers, int (N,)."""
        names = [self.names[i] for i in turns]
        return Asked(names if isinstance(self.texts, list) else self.texts[turns], names, [])


def asked_of(sampler: TextSampler, texts: Texts) -> Asked:
    """Finds out what to draw. Raises a UserError if nothing can be drawn."""
    if not sampler.takes_text:
        if texts.texts is None:
            raise UserError(
                "this model takes embeddings; give --texts FILE.npz with files and embeddings"
            )
        given = Embeddings.read(texts.texts)
        return Asked(np.stack([given.of(name) for name in given.rows]), [*given.rows], [])
    if texts.text is not None:
        asked = [texts.text]
    else:
        asked = texts.read() if texts.texts is not None else sampler.examples
    known, errors = [], []
    for text in asked:
        try:
            sampler.check(text)
            known.append(text)
        except UserError as error:
            errors.append(error)
    if not known:
        raise errors[0]
    return Asked(known, known, [str(error).removeprefix("--text ") for error in errors])


def name_left_out(asked: Asked, texts: Texts):
    """Names the texts that were not drawn; a UserError unless they are to be skipped."""
    for reason in asked.left_out:
        print(f"left out: {reason}")
    if asked.left_out and not texts.skip_bad_texts:
        raise UserError(
            f"--texts {texts.texts}: {len(asked.left_out)} texts could not be drawn, the others "
            "are; correct them, or add --skip_bad_texts for exit status 0"
        )


def columns_of(turns: np.ndarray) -> np.ndarray:
    """The number of each image among those of its text."""
    return np.arange(len(turns)) - np.searchsorted(turns, turns)


def interpolate(
    sampler: TextSampler, texts: Texts, seed: int, folder: Path, page: ResultPage
) -> str:
    if not sampler.takes_text:
        raise UserError("--text_to: this model takes embeddings, not texts")
    for text in (texts.text, texts.text_to):
        sampler.check(text)
    noise = sampler.latent.array_of_seed(seed, 1)[0]
    frames = sampler.between(texts.text, texts.text_to, texts.interpolate, noise)
    write_frames(folder, frames.images[None], [f"{texts.text} to {texts.text_to}"])
    add_to_page(page, folder)
    return f"{texts.interpolate} frames in {folder / 'interpolation.png'} and .gif"


def write_files(sampler, asked, names, noise, coarse: bool, folder: Path, page: ResultPage) -> str:
    digits, number = max(4, len(str(len(names) - 1))), 0
    batches = with_progress_bar((batch for batch in sampler.batches(asked, noise)), len(names))
    for images, small in batches:
        for image, small_image in zip(images, small, strict=True):
            stem = f"{number:0{digits}}"
            image_file.write(folder / f"{stem}.png", image)
            if coarse:
                image_file.write(folder / f"{stem}_coarse.png", small_image)
            page.single(names[number], LinkedImage(f"{stem}.png", *image.shape[:2]))
            number += 1
    return f"{number} images in {folder}"


def write_grid(sampler, asked, names, noise, coarse: bool, folder: Path, page: ResultPage) -> str:
    drawn: Images = sampler.all(asked, noise)
    rows, labels, columns = [], [], names.count(names[0])
    for first in range(0, len(names), columns):
        part = slice(first, first + columns)
        if coarse:
            side = drawn.images.shape[1:3]
            rows.append([image_file.resize(each, *side) for each in drawn.coarse[part]])
            labels.append("stage I")
        rows.append(list(drawn.images[part]))
        labels.append(names[first])
    image_file.write(folder / "grid.png", grid(rows, names=labels))
    page.single("grid.png", LinkedImage.of(folder / "grid.png"))
    page.note("\n".join(dict.fromkeys(names)))
    return f"{len(names)} images in {folder / 'grid.png'}"
