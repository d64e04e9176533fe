"""Weights files: trained networks in one `.npz` file, for use without the run.

The file has every variable of some of a model's networks under the key `network/number`, as a
checkpoint has, with floats rounded to float16. Under `about` it has, as JSON, what rebuilds the
model and what was measured, and under `sha256` a digest of all that. It holds no pickled objects,
and none are read.

Small files come with the project, as MODEL/weights/NAME.npz, where NAME is a recipe.
"""

import hashlib
import json
import re
import zipfile
from pathlib import Path
from typing import NamedTuple

from common.errors import DAMAGE, UserError, one_line
from common.io.atomic import atomic_file
from common.io.download import fetch_file, sha256_of
from common.io.keras_cache import keras_home

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SUFFIX = ".npz"
_ABOUT, _DIGEST = "about", "sha256"
_FRAGMENT = f"#{_DIGEST}="
_FACTS = {"model", "options", "step", "network"}  # of every file


class WeightsFile(NamedTuple):
    """The content of a weights file.

    Attributes:
        path: the file.
        about: `model`, its name; `options`, those of the run; `step`, that of the checkpoint;
            `network`, "average" or "generator"; and what else `weights_writer.write` notes.
        arrays: variables under `network/number`, float16 or integers.
    """

    path: Path
    about: dict
    arrays: dict[str, np.ndarray]

    @property
    def networks(self) -> list[str]:
        """Names of the networks that it holds, in alphabetical order."""
        return sorted({key.split("/")[0] for key in self.arrays})

    def variables(self, network: str) -> list[np.ndarray]:
        """The variables of a network in their order, with float32 for float16."""
        keys = sorted(key for key in self.arrays if key.split("/")[0] == network)
        return [widened(self.arrays[key]) for key in keys]


def rounded(array: np.ndarray) -> np.ndarray:
    """Floats as float16, with infinity for what is out of its range; integers as they are."""
    if not np.issubdtype(array.dtype, np.floating):
        return array
    with np.errstate(over="ignore"):
        return array.astype(np.float16)


def widened(array: np.ndarray) -> np.ndarray:
    """float16 as float32; anything else as it is."""
    return array.astype(np.float32) if array.dtype == np.float16 else array


def write(path: Path, about: dict, arrays: dict[str, np.ndarray]):
    """Writes a weights file atomically; equal content gives equal bytes.

    Args:
        path: the file; its folder is created.
        about: as `WeightsFile.about`.
        arrays: as `WeightsFile.arrays`.

    Raises:
        UserError: it cannot be written.
    """
    text = json.dumps(about, indent=1, sort_keys=True, allow_nan=False).encode()
    content = {_ABOUT: np.frombuffer(text, np.uint8)} | arrays
    content[_DIGEST] = np.frombuffer(_digest(content), np.uint8)
    with atomic_file(path) as part, open(part, "wb") as file:
        np.savez_compressed(file, **content)


def read(path: Path) -> WeightsFile:
    """Reads a weights file.

    Raises:
        UserError: there is no such file, it is damaged, or it is another kind of file.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("no .npz archive")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        expected = arrays.pop(_DIGEST).tobytes()
        if _digest(arrays) != expected:
            raise ValueError("the content does not match its digest")
        about = json.loads(arrays.pop(_ABOUT).tobytes())
        missing = _FACTS - (about.keys() if isinstance(about, dict) else set())
        if missing:
            raise ValueError(f"it does not say {', '.join(sorted(missing))}")
    except DAMAGE as error:
        raise UserError(
            f"{path}: damaged, or not a weights file ({one_line(error)}); get the file again, or "
            "write one with export --format weights"
        ) from error
    return WeightsFile(path, about, arrays)


def named(model_name: str) -> dict[str, Path]:
    """The weights files of a model that come with the project, by name."""
    folder = ROOT / model_name / "weights"
    return {file.stem: file for file in sorted(folder.glob(f"*{SUFFIX}"))}


def listed(model_name: str) -> str:
    """The end of an error message: which weights of a model there are by name, if any."""
    names = ", ".join(named(model_name))
    return f"; trained weights of {model_name}: {names}" if names else ""


def find(text: str, model_name: str) -> Path | None:
    """The weights file that a user names: one of the model's own, or as `located`."""
    return named(model_name).get(text) or located(text)


def located(text: str) -> Path | None:
    """The weights file at a path or URL; None if the text is neither.

    Args:
        text: a path that ends with .npz, or a URL; either may end with `#sha256=` and the SHA-256
            of the file. A URL's file is downloaded to the folder `models` of Keras' cache, unless
            it is there.

    Raises:
        UserError: the file has another digest, or cannot be downloaded.
    """
    place, fragment, sha256 = text.partition(_FRAGMENT)
    if fragment and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UserError(f"{text}: give 64 hexadecimal digits after {_FRAGMENT}")
    if re.match(r"https?://", place):
        # A hash of the URL, because files of one name come from different places.
        name = re.sub(r"[^\w.-]", "_", place.rpartition("/")[2]).removesuffix(SUFFIX)
        name = f"{name}-{hashlib.sha256(place.encode()).hexdigest()[:8]}{SUFFIX}"
        return fetch_file(place, keras_home() / "models" / name, sha256.lower() or None)
    if not place.endswith(SUFFIX):
        return None
    path = Path(place)
    if fragment and path.is_file() and sha256_of(path) != sha256.lower():
        raise UserError(f"{place}: the file has the SHA-256 {sha256_of(path)}, not {sha256}")
    return path


def _digest(arrays: dict[str, np.ndarray]) -> bytes:
    digest = hashlib.sha256()
    for key, array in sorted(arrays.items()):
        digest.update(f"{key} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()
