"""Spectral normalization: layers whose kernel is divided by its largest singular value.

Miyato et al. 2018 (arXiv:1802.05957, algorithm 1). With the kernel as a matrix W of (rest,
outputs), one power iteration from a vector u of the outputs estimates the singular value at each
call:

    v = W u / ||W u||,    u' = W^T v / ||W^T v||,    sigma = v^T W u'

and the layer uses W / sigma. The division is a part of the call, so W itself is never overwritten,
and the gradient by W is that of W / sigma with u' and v as constants. In training mode, u' is kept
for the next call, so that the estimate follows W as it changes. A pass that must not count is
wrapped in `kept` of `common.players`, which restores u. At inference u stays as it is.
"""

import keras
from keras import ops


def unit(x, eps: float):
    """x / max(||x||, eps), for a vector of any shape."""
    return x / ops.maximum(ops.sqrt(ops.sum(ops.square(x))), eps)


class SpectralLayer(keras.layers.Layer):
    """What the layers have in common: the kernel, the vector u and the bias.

    Args:
        units: number of outputs.
        use_bias: whether there is a bias, which is not normalized.
        eps: smallest norm by which a vector is divided.
        kernel_initializer: initial kernel W.
    """

    def __init__(
        self, units, use_bias=True, eps=1e-12, kernel_initializer="glorot_uniform", **kwargs
    ):
        super().__init__(**kwargs)
        self.units, self.use_bias, self.eps = units, use_bias, eps
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def add_kernel(self, *before: int):
        """Creates the weights; the kernel has the shape (*before, units)."""
        # Without autocast: sigma is computed in float32.
        exact = {"autocast": False, "dtype": "float32"}
        shape = (*before, self.units)
        self.kernel = self.add_weight(shape, self.kernel_initializer, name="kernel", **exact)
        start = keras.initializers.TruncatedNormal(stddev=1.0)
        self.u = self.add_weight((1, self.units), start, trainable=False, name="u", **exact)
        self.bias = self.add_weight((self.units,), "zeros", name="bias") if self.use_bias else None

    def normalized_kernel(self, training: bool):
        """W / sigma with the kernel's shape, in the precision of the layer's computation."""
        kernel = ops.convert_to_tensor(self.kernel)
        w = ops.reshape(kernel, (-1, self.units))
        fixed = ops.stop_gradient(w)
        v = unit(ops.matmul(ops.convert_to_tensor(self.u), ops.transpose(fixed)), self.eps)
        u = unit(ops.matmul(v, fixed), self.eps)
        if training:
            self.u.assign(u)
        sigma = ops.sum(ops.matmul(v, w) * u)
        return ops.cast(kernel / ops.maximum(sigma, self.eps), self.compute_dtype)

    def biased(self, outputs):
        return outputs if self.bias is None else outputs + self.bias

    def get_config(self):
        kernel = keras.initializers.serialize(self.kernel_initializer)
        own = {"units": self.units, "use_bias": self.use_bias, "eps": self.eps}
        return super().get_config() | own | {"kernel_initializer": kernel}


class SpectralConv2D(SpectralLayer):
    """Spectrally normalized convolution with strides 1, which keeps the sides.

    Args:
        units: number of filters.
        kernel_size: side of the kernel in pixels.
        options: as of `SpectralLayer`.

    Input (batch, height, width, C), output (batch, height, width, units): float.
    """

    def __init__(self, units, kernel_size=3, **options):
        super().__init__(units, **options)
        self.kernel_size = kernel_size

    def build(self, input_shape):
        self.add_kernel(self.kernel_size, self.kernel_size, input_shape[-1])

    def call(self, inputs, training=False):
        kernel = self.normalized_kernel(training)
        return self.biased(ops.conv(inputs, kernel, strides=1, padding="same"))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return super().get_config() | {"kernel_size": self.kernel_size}


class SpectralDense(SpectralLayer):
    """Spectrally normalized dense layer.

    Input (..., N), output (..., units): float.
    """

    def build(self, input_shape):
        self.add_kernel(input_shape[-1])

    def call(self, inputs, training=False):
        return self.biased(ops.matmul(inputs, self.normalized_kernel(training)))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)


class SpectralEmbedding(SpectralDense):
    """Spectrally normalized table with a vector for each class.

    Input: classes, one-hot, or the weights of a mixture of them, float (batch, classes). Output:
    their vectors, float (batch, units).
    """

    def __init__(self, units, **options):
        super().__init__(units, **{"use_bias": False} | options)
