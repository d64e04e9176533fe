"""A signature of a SavedModel as a Keras model of constants, for Keras' exporters.

Three kinds of operations that ONNX and LiteRT lack become others that give the same: a dropout mask
drawn from a fixed seed becomes a constant, a transposed convolution with padding of its own gets
a kernel for "same" padding, and the error function and its inverse become arithmetic.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

_DRAWS = ("StatelessRandomUniformV2", "StatelessRandomNormalV2")


class Frozen(keras.Model):
    """A signature with its weights as constants: named inputs -> named outputs.

    Args:
        signature: signature of a loaded SavedModel, of numbers alone.
        specs: its inputs by name; free sizes may be fixed in them.

    Attributes:
        draws: whether random numbers are drawn inside; their shapes depend on those of the inputs.
        output_names: names of the outputs by those of the signature.
    """

    def __init__(self, signature: Callable, specs: dict[str, tf.TensorSpec]):
        # Not on top: help texts import this module without TensorFlow.
        from tensorflow.python.framework import convert_to_constants as constants

        super().__init__(name="signature", dtype="float32")
        traced = tf.function(lambda **inputs: signature(**inputs)).get_concrete_function(**specs)
        keys = sorted(traced.structured_outputs)
        # An ONNX file cannot have an input and an output of one name.
        self.output_names = {key: f"{key}_out" if key in specs else key for key in keys}
        self._function = constants.convert_variables_to_constants_v2(traced)
        operations = self._function.graph.get_operations()
        random = [operation.outputs[0] for operation in operations if operation.type in _DRAWS]
        self.draws = bool(random)
        self._drawn = self._numbers(random)
        # TensorFlow forgets the functions that nothing refers to.
        self._rewritten, self._functions = rewritten(self._function.graph)
        self.built = True

    def call(self, inputs):
        given = {f"{key}:0": value for key, value in inputs.items()}
        given |= {key: tf.constant(value) for key, value in self._drawn.items()}
        outputs = tf.graph_util.import_graph_def(
            self._rewritten,
            input_map=given,
            return_elements=[output.name for output in self._function.outputs],
        )
        return dict(zip(self.output_names.values(), outputs, strict=True))

    def _numbers(self, random: list[tf.Tensor]) -> dict[str, np.ndarray]:
        """Random numbers by the names of their tensors: the same whatever the inputs hold."""
        inputs = self._function.inputs
        if not random or any(None in x.shape[1:] for x in inputs):
            return {}
        draw = self._function.prune(inputs, random)
        drawn = draw(*(tf.zeros([1, *x.shape[1:]], x.dtype) for x in inputs))
        return {tensor.name: each.numpy() for tensor, each in zip(random, drawn, strict=True)}


def rewritten(graph: tf.Graph) -> tuple[tf.compat.v1.GraphDef, list]:
    """A graph that computes the same with other operations, and the functions that it calls."""
    definition, called = graph.as_graph_def(), []
    nodes = {node.name: node for node in definition.node}
    for operation in graph.get_operations():
        replacement = _replacement(operation)
        if replacement is not None:
            specs = [tf.TensorSpec(each.shape, each.dtype) for each in operation.inputs]
            function = tf.function(replacement, autograph=False).get_concrete_function(*specs)
            definition.library.function.append(function.function_def)
            called.append(function)
            node = nodes[operation.name]
            node.op = "PartitionedCall"
            node.attr.clear()
            node.attr["f"].func.name = function.name.decode()
            for key, tensors in (("Tin", operation.inputs), ("Tout", operation.outputs)):
                node.attr[key].list.type.extend(each.dtype.as_datatype_enum for each in tensors)
    return definition, called


def _replacement(operation: tf.Operation) -> Callable | None:
    """The function to call in place of an operation; None to keep that."""
    if operation.type in ("Erf", "Erfinv"):
        return {"Erf": erf, "Erfinv": erfinv}[operation.type]
    if operation.type == "Conv2DBackpropInput":
        padding, kernel = operation.get_attr("explicit_paddings"), operation.inputs[1].shape
        if padding == [0, 0, 1, 0, 1, 0, 0, 0] and kernel[:2] == (3, 3):
            return _doubled
    return None


def _doubled(shape: tf.Tensor, kernel: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """`DoublingConvolution`: "same" padding pads a kernel of side 4 by one pixel on either side."""
    spread = tf.pad(kernel, [[0, 1], [0, 1], [0, 0], [0, 0]])
    return tf.nn.conv2d_transpose(x, spread, shape, strides=2, padding="SAME")


def erf(x: tf.Tensor) -> tf.Tensor:
    """The error function of arithmetic, float32, within 5e-7.

    Abramowitz and Stegun, Handbook of Mathematical Functions (1964), formula 7.1.26.
    """
    t = 1.0 / (1.0 + 0.3275911 * tf.abs(x))
    terms = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
    return tf.sign(x) * (1.0 - t * tf.math.polyval(list(terms), t) * tf.exp(-x * x))


def erfinv(x: tf.Tensor) -> tf.Tensor:
    """The inverse error function of arithmetic, float32, relative error within 1e-6.

    Giles, Approximating the erfinv function (GPU Computing Gems, 2010), single precision.
    """
    w = -tf.math.log((1.0 - x) * (1.0 + x))
    central = (
        *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
        *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
    )
    tail = (
        *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
        *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
    )
    near = tf.math.polyval(list(central), w - 2.5)
    far = tf.math.polyval(list(tail), tf.sqrt(tf.maximum(w, 5.0)) - 3.0)
    return x * tf.where(w < 5.0, near, far)
