"""Weight normalization: dense layers whose weights are a direction and a length for each unit."""

import keras
from keras import ops

DIRECTION_STD = 0.1  # of initial directions, in the code of Salimans et al. 2016


class WeightNormDense(keras.layers.Layer):
    """Dense layer with weights W = s v / ||v|| of each unit (Salimans and Kingma 2016, equation 2).

    Args:
        units: number of outputs.
        learned_scale: whether training changes the lengths s; otherwise they stay 1, or what
            `initialize_by_data` sets them to.
        kernel_initializer: initial directions v; default N(0, 0.1).

    Input (..., N) and output (..., units): float. There is no activation.
    """

    def __init__(self, units, learned_scale=False, kernel_initializer=None, **kwargs):
        super().__init__(**kwargs)
        self.units, self.learned_scale = units, learned_scale
        self.kernel_initializer = keras.initializers.get(
            kernel_initializer or keras.initializers.RandomNormal(0.0, DIRECTION_STD)
        )

    def build(self, input_shape):
        # Without autocast: the norm of many small weights is computed in float32.
        self.direction = self.add_weight(
            (input_shape[-1], self.units), self.kernel_initializer, name="direction", autocast=False
        )
        self.scale = self.add_weight(
            (self.units,), "ones", trainable=self.learned_scale, name="scale", autocast=False
        )
        self.bias = self.add_weight((self.units,), "zeros", name="bias")

    def call(self, inputs):
        v = ops.convert_to_tensor(self.direction)
        norm = ops.sqrt(ops.sum(ops.square(v), axis=0) + 1e-12)
        w = v * (self.scale / norm)  # (N, units)
        return ops.matmul(inputs, ops.cast(w, inputs.dtype)) + self.bias

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        kernel = keras.initializers.serialize(self.kernel_initializer)
        own = {"units": self.units, "learned_scale": self.learned_scale}
        return super().get_config() | own | {"kernel_initializer": kernel}


def initialize_by_data(network: keras.Model, inputs):
    """Sets lengths and biases so that each unit has mean 0 and deviation 1 on a batch.

    The initialization of Salimans and Kingma 2016 (equation 6), layer by layer: each one sees the
    outputs of the layers before it as they have just been set, in training mode.

    Args:
        network: a functional model.
        inputs: a batch of what it takes.
    """
    for layer in network.layers:
        if isinstance(layer, WeightNormDense):
            before = keras.Model(network.input, layer.input)
            t = ops.cast(layer(before(inputs, training=True)), "float32")  # (B, units)
            mean, variance = ops.moments(t, axes=0)
            deviation = ops.sqrt(variance + 1e-12)
            layer.scale.assign(layer.scale / deviation)
            layer.bias.assign((layer.bias - mean) / deviation)
