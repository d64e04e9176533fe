"""Warm-up requests of a SavedModel, which TensorFlow Serving replays when it loads the model.

Without them the first real request pays for lazy initialisation. They are a TFRecord file of
`tensorflow.serving.PredictionLog` messages (TensorFlow Serving's guide "SavedModel Warmup").
"""

from collections.abc import Iterable
from pathlib import Path

from common.serving.saved_model import EXTRA

import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorflow.core.framework.tensor_pb2 import TensorProto

FILE = Path(EXTRA, "tf_serving_warmup_requests")  # in the SavedModel's folder


def zeros(specs: Iterable[tf.TensorSpec]) -> dict[str, TensorProto]:
    """The inputs of a request by name: zeros, with size 1 for each unknown dimension.

    Args:
        specs: inputs of a signature, of numeric types. A label becomes class 0.
    """
    return {
        spec.name: tf.make_tensor_proto(0, spec.dtype, [size or 1 for size in spec.shape])
        for spec in specs
    }


def write_requests(folder: Path, name: str, requests: dict[str, dict[str, TensorProto]]) -> None:
    """Writes the warm-up requests of a SavedModel.

    Args:
        folder: folder of the SavedModel.
        name: name of the model on the server.
        requests: for each signature, its inputs by name.
    """
    prediction_log = _prediction_log_class()
    path = folder / FILE
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
    """The message class PredictionLog, with the fields that a warm-up request needs.

    It is part of tensorflow-serving-api, which would pin TensorFlow's version for these eight
    fields. Names and numbers are those of `prediction_log.proto`, `predict.proto` and
    `model.proto`; on the wire a map equals repeated entries, and a message (the TensorProto) its
    serialized bytes.
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
    pool = descriptor_pool.DescriptorPool()  # not the default pool: no clash with the serving API
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("warmup.PredictionLog"))
