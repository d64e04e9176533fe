"""Embeddings of captions by another encoder, in an .npz file."""

import hashlib
from dataclasses import dataclass

from common.data.sources.captioned_files import CaptionedFiles
from common.errors import DAMAGE, UserError, one_line

import numpy as np


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of captions that another encoder made.

    Attributes:
        rows: row of an image's name in `values`.
        values: float32 (N, captions, d).
    """

    rows: dict[str, int]
    values: np.ndarray

    @property
    def size(self) -> int:
        return self.values.shape[-1]

    @classmethod
    def read(cls, file: str) -> "Embeddings":
        """Reads an .npz file with `files` and `embeddings`."""
        try:
            with np.load(file) as archive:
                files, values = archive["files"], archive["embeddings"].astype(np.float32)
        except DAMAGE as error:
            reason = one_line(error)
            if "pickle" in reason:  # NumPy's word for what it does not know, and for objects
                reason = "no .npz file, or arrays of Python objects: save names with astype(str)"
            raise UserError(
                f"--embeddings {file}: cannot be read ({reason}); give an .npz file with "
                "files and embeddings (N, captions, d)"
            ) from error
        if values.ndim != 3 or len(files) != len(values):
            raise UserError(
                f"--embeddings {file}: embeddings {values.shape} do not fit {len(files)} files; "
                "give (N, captions, d)"
            )
        names = np.char.decode(files, "utf-8") if files.dtype.kind == "S" else files
        return cls({str(name): row for row, name in enumerate(names)}, values)

    def check(self, split: CaptionedFiles, file: str):
        """Raises a UserError if an image has no embeddings."""
        for index in range(len(split)):
            if split.name(index) not in self.rows:
                raise UserError(f"--embeddings {file}: has none of {split.name(index)}")

    def of(self, name: str, random: np.random.Generator | None = None, most: int = 4) -> np.ndarray:
        """The mean of a few of an image's embeddings, drawn at random; without, the first: (d,)."""
        values = self.values[self.rows[name]]
        if random is None:
            return values[0]
        chosen = random.choice(len(values), min(most, len(values)), replace=False)
        return values[np.sort(chosen)].mean(axis=0)

    def digest(self) -> str:
        return hashlib.sha256(self.values.tobytes()).hexdigest()[:16]
