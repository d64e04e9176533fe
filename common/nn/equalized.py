"""Layers with an equalized learning rate: weights are scaled when they are used.

The stored weights come from N(0, 1), and a layer uses them times gain / sqrt(fan_in), the deviation
of He et al. 2015 with a gain of sqrt(2). An optimizer whose steps do not depend on the scale of the
gradients, such as Adam, then changes all weights at the same rate, whatever the size of the layer
(Karras et al. 2018, section 4.1).

With a multiplier m of the learning rate, the stored weights come from N(0, 1 / m) and are used
times m besides, and so are the biases: the outputs are those of m = 1, and the updates m times as
large (Karras et al. 2019, appendix C).
"""

import math
from typing import Literal

import keras
import tensorflow as tf
from keras import ops

GAIN = math.sqrt(2.0)  # for layers that a ReLU or a leaky one follows; 1 for linear outputs


class Equalized(keras.layers.Layer):
    """Base of the layers below: a scaled kernel, and a bias where there is one.

    Args:
        gain: standard deviation of the outputs, for inputs of mean square 1.
        lr_multiplier: m, factor of the learning rate.
        use_bias: whether each output has a bias.
        bias: initial bias, as it is used.
    """

    def __init__(self, gain=GAIN, lr_multiplier=1.0, use_bias=True, bias=0.0, **kwargs):
        super().__init__(**kwargs)
        self.gain, self.lr_multiplier = gain, lr_multiplier
        self.use_bias, self.initial_bias = use_bias, bias

    def add_weights(self, shape: tuple[int, ...]):
        """Creates the kernel, of which the last axis are the outputs, and the bias."""
        self.factor = self.gain / math.sqrt(math.prod(shape[:-1])) * self.lr_multiplier
        normal = keras.initializers.RandomNormal(0.0, 1.0 / self.lr_multiplier)
        # Without autocast: weights of 1 / m are scaled in float32.
        self.kernel = self.add_weight(shape, normal, name="kernel", autocast=False)
        self.bias = None
        if self.use_bias:
            stored = keras.initializers.Constant(self.initial_bias / self.lr_multiplier)
            self.bias = self.add_weight(shape[-1:], stored, name="bias", autocast=False)

    def scaled_kernel(self):
        """The kernel as it is used, float32."""
        return ops.convert_to_tensor(self.kernel) * self.factor

    def biased(self, outputs):
        if self.bias is None:
            return outputs
        bias = ops.convert_to_tensor(self.bias) * self.lr_multiplier
        return outputs + ops.cast(bias, outputs.dtype)

    def get_config(self):
        own = {"gain": self.gain, "lr_multiplier": self.lr_multiplier, "use_bias": self.use_bias}
        return super().get_config() | own | {"bias": self.initial_bias}


class EqualizedDense(Equalized):
    """Dense layer: float (..., N) -> (..., units), without an activation.

    Args:
        units: number of outputs.
        options: as of `Equalized`.
    """

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units

    def build(self, input_shape):
        self.add_weights((input_shape[-1], self.units))

    def call(self, inputs):
        return self.biased(ops.matmul(inputs, ops.cast(self.scaled_kernel(), inputs.dtype)))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return super().get_config() | {"units": self.units}


class EqualizedConv2D(Equalized):
    """Convolution with zero padding: float (B, H, W, N) -> (B, H', W', filters), no activation.

    With `resample` it is fused with the change of resolution: one strided convolution, whose kernel
    is wider by a pixel, in place of one at the higher resolution. That takes 16 / 36 of the
    multiplications and gives the same.

    Args:
        filters: number of output maps.
        kernel_size: side of the kernel in pixels, odd.
        resample: "up" doubles the sides by nearest neighbour before the convolution; "down" takes
            the mean of each 2x2 pixels after it, before the bias.
        options: as of `Equalized`.
    """

    def __init__(
        self, filters, kernel_size, resample: Literal["up", "down"] | None = None, **options
    ):
        super().__init__(**options)
        self.filters, self.kernel_size, self.resample = filters, kernel_size, resample

    def build(self, input_shape):
        self.add_weights((self.kernel_size, self.kernel_size, input_shape[-1], self.filters))

    def call(self, inputs):
        kernel = self.scaled_kernel()
        if self.resample == "up":
            kernel = widened(kernel[::-1, ::-1])  # a transposed convolution flips it back
            kernel = ops.cast(ops.transpose(kernel, (0, 1, 3, 2)), inputs.dtype)
            batch, height, width, _ = ops.shape(inputs)
            shape = (batch, 2 * height, 2 * width, self.filters)
            return self.biased(tf.nn.conv2d_transpose(inputs, kernel, shape, 2, "SAME"))
        if self.resample == "down":
            kernel = ops.cast(widened(kernel) / 4, inputs.dtype)
            return self.biased(tf.nn.conv2d(inputs, kernel, 2, "SAME"))
        return self.biased(tf.nn.conv2d(inputs, ops.cast(kernel, inputs.dtype), 1, "SAME"))

    def compute_output_shape(self, input_shape):
        batch, *sides, _ = input_shape
        if self.resample == "up":
            sides = [side and 2 * side for side in sides]
        if self.resample == "down":
            sides = [side and side // 2 for side in sides]
        return (batch, *sides, self.filters)

    def get_config(self):
        own = {"filters": self.filters, "kernel_size": self.kernel_size, "resample": self.resample}
        return super().get_config() | own


class Bias(keras.layers.Layer):
    """Adds a bias to each channel: float (..., C) -> (..., C)."""

    def build(self, input_shape):
        self.bias = self.add_weight(input_shape[-1:], "zeros", name="bias")

    def call(self, inputs):
        return inputs + self.bias

    def compute_output_shape(self, input_shape):
        return input_shape


def widened(kernel):
    """The sum of the four shifts of a kernel by 0 or 1 pixel: (K, K, N, M) -> (K+1, K+1, N, M).

    A convolution with it is one of the sums of 2x2 pixels, or of the results' sums.
    """
    none = (0, 0)
    kernel = ops.pad(kernel, [(0, 1), none, none, none]) + ops.pad(
        kernel, [(1, 0), none, none, none]
    )
    return ops.pad(kernel, [none, (0, 1), none, none]) + ops.pad(kernel, [none, (1, 0), none, none])
