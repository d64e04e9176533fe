"""What every SavedModel for TensorFlow Serving has, whatever its signatures: versions, warm-up."""

from pathlib import Path

from common.errors import UserError

import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.framework.tensor_pb2 import TensorProto

WRITE_ERRORS = (OSError, tf.errors.OpError)  # a SavedModel could not be written
EXTRA = "assets.extra"  # the folder of a SavedModel for what TensorFlow itself does not read


def version_folder(folder_base: Path | str, name: str, version: int) -> Path:
    """`<folder_base>/<name>/<version>`, where TensorFlow Serving looks for a model.

    Raises:
        UserError: the version is not a positive integer, or is there already.
    """
    if type(version) is not int or version < 1:
        raise UserError(f"--version {version}: give a positive integer")
    folder = Path(folder_base) / name / str(version)
    if folder.exists():
        raise UserError(f"{folder} exists already: give another --version")
    return folder


def next_version(folder_base: Path | str, name: str) -> int:
    """The version after the highest one in `<folder_base>/<name>/`; 1 if there is none."""
    there = (path.name for path in (Path(folder_base) / name).glob("*"))
    return 1 + max((int(version) for version in there if version.isdigit()), default=0)


def load(folder: Path | str):
    """What `tf.saved_model.load` gives; it owns the variables, its signatures alone do not.

    Raises:
        UserError: the folder holds no SavedModel, or a damaged one.
    """
    if not tf.saved_model.contains_saved_model(str(folder)):
        raise UserError(f"{folder} holds no SavedModel: give the folder of an exported version")
    try:
        return tf.saved_model.load(str(folder))
    except (OSError, tf.errors.OpError) as error:
        reason = first_line(error)
        raise UserError(f"{folder} is a damaged SavedModel, export it again: {reason}") from error


def first_line(error: Exception) -> str:
    """The first line of an exception's message, or its type's name if there is no message."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Turn a file's bytes into uint8 (H, W, 3), inside a graph.

    Alpha is dropped, grey becomes colour, an animation gives its first frame. The orientation in
    EXIF data is not looked at.
    """
    # Asked for a number of channels, the decoders of BMP and GIF refuse what has another.
    pixels = tf.io.decode_image(encoded, channels=0, expand_animations=False)
    colours = tf.where(tf.shape(pixels)[-1] >= 3, [0, 1, 2], [0, 0, 0])
    return tf.ensure_shape(tf.gather(pixels, colours, axis=-1), (None, None, 3))


def encode_png(image: tf.Tensor) -> tf.Tensor:
    """Turn float32 (H, W, 1 or 3) in [-1, 1] into the bytes of a PNG file, inside a graph."""
    pixels = tf.clip_by_value(tf.round((image + 1) * 127.5), 0, 255)
    return tf.io.encode_png(tf.cast(pixels, tf.uint8))


def write_warmup_requests(
    folder: Path, name: str, requests: dict[str, dict[str, TensorProto]]
) -> None:
    """Add requests to a SavedModel for the server to start with.

    Without them the first request pays for what TensorFlow does lazily. Source: TensorFlow
    Serving's guide "SavedModel Warmup": a TFRecord file of `tensorflow.serving.PredictionLog`
    messages.

    Args:
        folder: the SavedModel's.
        name: the model's name on the server.
        requests: for each signature its inputs, by name.
    """
    prediction_log = _prediction_log_class()
    path = folder / EXTRA / "tf_serving_warmup_requests"
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as records:
        for signature_name, inputs in requests.items():
            log = prediction_log()
            request = log.predict_log.request
            request.model_spec.name = name
            request.model_spec.signature_name = signature_name
            for key, tensor in inputs.items():
                request.inputs.add(key=key, value=tensor.SerializeToString())
            records.write(log.SerializeToString())


def _prediction_log_class() -> type:
    """Build the class of TensorFlow Serving's PredictionLog, as far as a warm-up request needs it.

    tensorflow-serving-api holds it, and pins a version of TensorFlow for these eight fields. Names
    and numbers are those of `prediction_log.proto`, `predict.proto` and `model.proto`; the wire
    does not tell a map from repeated entries, nor a message (the TensorProto) from its bytes.
    """
    messages = {
        "PredictionLog": {"predict_log": (6, "PredictLog")},
        "PredictLog": {"request": (1, "PredictRequest")},
        "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, "InputsEntry")},
        "ModelSpec": {"name": (1, "string"), "signature_name": (3, "string")},
        "InputsEntry": {"key": (1, "string"), "value": (2, "bytes")},
    }
    Field = descriptor_pb2.FieldDescriptorProto
    scalars = {"string": Field.TYPE_STRING, "bytes": Field.TYPE_BYTES}
    file = descriptor_pb2.FileDescriptorProto(
        name="warmup.proto", package="warmup", syntax="proto3"
    )
    for message, fields in messages.items():
        descriptor = file.message_type.add(name=message)
        for field, (number, kind) in fields.items():
            label = Field.LABEL_REPEATED if field == "inputs" else Field.LABEL_OPTIONAL
            entry = descriptor.field.add(name=field, number=number, label=label)
            if kind in scalars:
                entry.type = scalars[kind]
            else:
                entry.type, entry.type_name = Field.TYPE_MESSAGE, f".warmup.{kind}"
    pool = descriptor_pool.DescriptorPool()  # its own: no clash with an installed serving API
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("warmup.PredictionLog"))
