"""Conversion of a signature of a SavedModel to an ONNX or a LiteRT file, by Keras' exporters.

A file computes what the signature does, with inputs and outputs of the same names; what it gives is
compared with what the SavedModel gives. Both formats hold numbers only: signatures that take or
give texts or encoded images stay with the SavedModel. Batches and the sides of images are free
where the signature leaves them free, with two exceptions. A LiteRT file takes one input at a time,
since its convolutions need to know the shapes that are computed from that of the batch; and the
mask of a dropout that stays on at inference is one for given sides.
"""

import importlib.util
import logging
import re
import shutil
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from common.errors import UserError, at_least_one, one_line
from common.io.records import read_json
from common.serving import saved_model
from common.serving.frozen import Frozen

import numpy as np
import tensorflow as tf

Format = Literal["saved_model", "onnx", "litert"]
REQUIREMENTS = "requirements-export.txt"
TOLERANCE = 1e-3  # of the largest output, or of 1 if that is more
_DEFAULT = "serving_default"
_COMPARED_SIDES = 41, 54  # px, where sides are free; few numbers divide them
_COMPARED_COUNT = 3  # inputs that are compared, where the batch is free

# Named inputs -> named outputs.
Function = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
Specs = dict[str, tf.TensorSpec]


class Converted(NamedTuple):
    """A file in another format.

    Attributes:
        file: its name.
        takes: shapes of its inputs by name, with None where a size is free.
        difference: largest absolute difference between its outputs and the SavedModel's.
    """

    file: str
    takes: dict[str, tuple[int | None, ...]]
    difference: float

    def __str__(self):
        sizes = {
            name: " x ".join("any" if size is None else str(size) for size in shape)
            for name, shape in self.takes.items()
        }
        takes = ", ".join(f"{name} ({size})" for name, size in sizes.items())
        return f"takes {takes}; differs from the SavedModel by at most {self.difference:.1e}"


class _Kind(NamedTuple):
    """How files of a format are written and run."""

    suffix: str
    batch: int | None
    packages: tuple[str, ...]
    keras_options: dict
    load: Callable[[Path], Function]


def packages(form: str) -> tuple[str, ...]:
    """The packages that write and run files of a format."""
    return _KINDS[form].packages


def check_packages(form: str):
    """Raises a UserError that names the requirements if the packages of a format are missing."""
    missing = [each for each in packages(form) if importlib.util.find_spec(each) is None]
    if missing:
        raise UserError(
            f"--format {form}: needs {', '.join(missing)}; install with: pip install -r "
            f"{REQUIREMENTS}"
        )


def convert(
    folder: Path, form: str, target: Path, name: str | None = None, size: int | None = None
) -> Converted:
    """Converts a signature of a SavedModel, and compares what the file gives.

    Args:
        folder: folder of the SavedModel.
        form: "onnx" or "litert".
        target: folder for the file, SIGNATURE.onnx or SIGNATURE.tflite, and for the metadata that
            the SavedModel has in its assets.extra/.
        name: name of the signature; default `serving_default`, or the first one of numbers alone
            if that takes texts.
        size: side in pixels of square images, for a signature that leaves it free; default free
            or, with dropout at inference, that of the training images.

    Raises:
        UserError: packages are missing, there is no such signature, its images have a size, it has
            an operation that the format lacks, or the file gives something else.
    """
    check_packages(form)
    kind, loaded = _KINDS[form], saved_model.load(folder)
    name = chosen(loaded.signatures, name, form)
    signature = loaded.signatures[name]
    extra = sorted((folder / saved_model.EXTRA).glob("*.json"))
    about = {key: value for path in extra for key, value in read_json(path).items()}
    target.mkdir(parents=True, exist_ok=True)
    file = target / f"{name}{kind.suffix}"
    with _conversion(f"--format {form}: {name} cannot be converted"):
        network, specs = _frozen(signature, name, kind.batch, size, about.get("image_size"))
        options = {"verbose": False, "input_signature": [specs], **kind.keras_options}
        network.export(str(file), form, **options)
        run = kind.load(file)
        inputs = random_inputs(specs, len(about.get("class_names", [])))
        results = run(inputs)
        given = {key: results[output] for key, output in network.output_names.items()}
    expected = signature(**{key: tf.constant(value) for key, value in inputs.items()})
    difference = _difference(f"--format {form}: {name}", given, expected)
    for path in extra:
        shutil.copy(path, target)
    return Converted(file.name, {key: tuple(s.shape) for key, s in specs.items()}, difference)


def chosen(signatures, name: str | None, form: str) -> str:
    """The name of the signature to convert.

    Raises:
        UserError: it is not known, or takes or gives texts or encoded images.
    """
    possible = sorted(key for key, signature in signatures.items() if _of_numbers(signature))
    if name is None:
        return _DEFAULT if _DEFAULT in possible else possible[0]
    if name not in possible:
        what = "takes or gives texts or files" if name in signatures else "is not a signature"
        raise UserError(
            f"--signature {name}: {what}; with --format {form} choose from {', '.join(possible)}"
        )
    return name


def random_inputs(specs: Specs, classes: int) -> dict[str, np.ndarray]:
    """Inputs to compare: floats in [-1, 1], and for integers the classes in turn."""
    random, inputs = np.random.default_rng(0), {}
    for key, spec in specs.items():
        (count, *rest), sides = spec.shape, iter(_COMPARED_SIDES)
        shape = [count or _COMPARED_COUNT, *(size or next(sides) for size in rest)]
        drawn = random.uniform(-1, 1, shape)
        if spec.dtype.is_integer:
            drawn = np.resize(np.arange(max(classes, 1)), shape)
        inputs[key] = drawn.astype(spec.dtype.name)
    return inputs


def _frozen(
    signature, name: str, batch: int | None, size: int | None, usual: int | None
) -> tuple[Frozen, Specs]:
    """The network of a signature and its inputs, with a size for the images if it needs one."""
    specs = signature.structured_input_signature[1]
    free = any(None in spec.shape[1:] for spec in specs.values())
    at_least_one(size=size)
    if size is not None and not free:
        raise UserError(f"--size {size}: the inputs of {name} have a size; leave the option out")
    network = Frozen(signature, _sized(specs, batch, size))
    if network.draws and free and size is None:
        size = usual
        network = Frozen(signature, _sized(specs, batch, size))
    return network, _sized(specs, batch, size)


def _sized(specs: Specs, batch: int | None, size: int | None) -> Specs:
    return {
        key: tf.TensorSpec([batch, *(side or size for side in spec.shape[1:])], spec.dtype, key)
        for key, spec in specs.items()
    }


def _of_numbers(signature) -> bool:
    """Whether a signature takes and gives nothing but batches of numbers."""
    takes = signature.structured_input_signature[1].values()
    both = [*takes, *signature.structured_outputs.values()]
    return all(spec.shape.rank and spec.dtype != tf.string for spec in both)


def _difference(what: str, given: dict, expected: dict) -> float:
    """The largest absolute difference of an output.

    Raises:
        UserError: it is more than rounding explains, or not a number; or the shapes differ.
    """
    largest = max(1.0, *(float(np.abs(value).max()) for value in expected.values()))
    difference = max(
        float(np.abs(given[key] - value).max()) if given[key].shape == value.shape else np.inf
        for key, value in expected.items()
    )
    if not difference <= TOLERANCE * largest:
        raise UserError(
            f"{what} differs from the SavedModel by {difference:.1e}, more than rounding; use the "
            "SavedModel, or other versions of the packages"
        )
    return difference


@contextmanager
def _conversion(what: str):
    """Says in one line what fails in a converter or a runtime; keeps a converter's log away."""
    log = logging.getLogger("tf2onnx")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of NumPy, at Keras' patch of tf2onnx
            yield
    except UserError:
        raise
    except Exception as error:  # the converters raise whatever they meet
        lacks = re.search(r'error: loc\([^"]*"(\w+):"|(\w+), "", -1\)', str(error))
        reason = f"the format lacks {lacks[1] or lacks[2]}" if lacks else one_line(error)[:200]
        raise UserError(f"{what} ({reason}); use the SavedModel") from error
    finally:
        log.setLevel(level)


def _onnx(file: Path) -> Function:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs), strict=True))


def _litert(file: Path) -> Function:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(file)).get_signature_runner()
    return lambda inputs: runner(**inputs)


# With TensorFlow's own operations a LiteRT file would need TensorFlow to run.
_BUILTINS = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
_KINDS = {
    "onnx": _Kind(".onnx", None, ("tf2onnx", "onnx", "onnxruntime"), {}, _onnx),
    "litert": _Kind(".tflite", 1, ("ai_edge_litert",), {"target_spec": _BUILTINS}, _litert),
}
