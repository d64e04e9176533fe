"""Reads the warm-up requests of a SavedModel, decoding the wire format independently."""

import io

import tensorflow as tf
from tensorflow.core.framework import tensor_pb2


def warmup_requests(folder):
    """[(model's name, signature's name, inputs by name)] of the SavedModel in `folder`."""
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    return [*map(_request, tf.data.TFRecordDataset(str(path)).as_numpy_iterator())]


def _request(record):
    [(number, predict_log)] = _fields(record)
    assert number == 6  # PredictionLog.predict_log
    [(number, request)] = _fields(predict_log)
    assert number == 1  # PredictLog.request
    [(number, model_spec), *entries] = _fields(request)
    assert number == 1  # PredictRequest.model_spec
    [(first, name), (second, signature_name)] = _fields(model_spec)
    assert (first, second) == (1, 3)  # ModelSpec.name, .signature_name
    inputs = {}
    for number, entry in entries:
        assert number == 2  # PredictRequest.inputs
        [(first, key), (second, value)] = _fields(entry)
        assert (first, second) == (1, 2)  # key and value of a map entry
        tensor = tensor_pb2.TensorProto.FromString(value)
        inputs[key.decode()] = tf.constant(tf.make_ndarray(tensor))
    return name.decode(), signature_name.decode(), inputs


def _fields(message):
    """Fields of a protobuf message, all length-delimited: [(field number, payload)]."""
    stream, fields = io.BytesIO(message), []

    def varint():
        value = shift = 0
        while True:
            byte = stream.read(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while stream.tell() < len(message):
        tag = varint()
        assert tag & 7 == 2, "not length-delimited"
        fields.append((tag >> 3, stream.read(varint())))
    return fields
