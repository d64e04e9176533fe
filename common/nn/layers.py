"""Layers with their own state or maths.

Inference is part of a GAN's method: a pix2pix generator keeps its dropout (its only noise) and
normalises each image by its own statistics. Layers that can do so have an argument for it. At
inference, no layer draws from a random state or depends on the other images of a batch, so a
SavedModel made from them changes no variable.
"""

from common.distributed import collectives

import keras
import tensorflow as tf
from keras import ops


class SkipLeakyReLU(keras.layers.LeakyReLU):
    """Leaky ReLU of a convolution's output that a skip connection takes, too.

    In training it is Keras' own layer. At inference it is written as a choice, with the same
    values: TensorFlow's graph optimizer fuses a convolution, its bias and the operation LeakyRelu
    without looking for other consumers of the sum, and then gives up on the graph ("remapper
    failed", seen with oneDNN up to TensorFlow 2.21).
    """

    def call(self, inputs, training=None):
        if training:
            return super().call(inputs)
        slope = ops.cast(self.negative_slope, inputs.dtype)
        return ops.where(inputs > 0, inputs, slope * inputs)


class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation (Ioffe and Szegedy 2015) with the constants of the GAN papers.

    In training it is Keras' own layer, with the statistics of the batch (of the global batch if
    there are several replicas) and updated moving averages.

    Args:
        inference_statistics: "image" normalises each image by the mean and variance of its
            own pixels at inference, which equals training at batch size 1 (Isola et al. 2017,
            section 3.3, who then call it instance normalisation); "moving" uses the moving
            averages.
        momentum: momentum of the moving averages. Keras' 0.99 is too slow for a generator.
        epsilon: constant added to the variance. Keras' default is 1e-3; the papers' code has 1e-5.

    Input and output: float (batch, height, width, channels).
    """

    def __init__(self, inference_statistics="moving", momentum=0.9, epsilon=1e-5, **kwargs):
        if inference_statistics not in ("image", "moving"):
            raise ValueError(
                f"inference_statistics must be 'image' or 'moving', not {inference_statistics!r}"
            )
        kwargs.setdefault("gamma_initializer", keras.initializers.RandomNormal(1.0, 0.02))
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)
        self.inference_statistics = inference_statistics

    def call(self, inputs, training=None, mask=None):
        single = collectives.replica_count() == 1
        if training and self.trainable and single and inputs.shape.rank == 4:
            return self._train(inputs)
        if training or self.inference_statistics == "moving":
            return super().call(inputs, training=training, mask=mask)
        x = ops.cast(inputs, "float32")
        mean, variance = ops.moments(x, axes=[1, 2], keepdims=True)  # (B, 1, 1, C)
        y = (x - mean) * ops.rsqrt(variance + self.epsilon) * self.gamma + self.beta
        return ops.cast(y, self.compute_dtype)

    def _moments(self, inputs, mask):
        """Overrides Keras' hook: mean and variance over the global batch, (C,) each."""
        mean, variance = super()._moments(inputs, mask)
        if collectives.replica_count() == 1:
            return mean, variance
        means, variances = tf.unstack(
            collectives.all_gather(tf.stack([mean, variance])[None]), axis=1
        )
        mean = ops.mean(means, axis=0)
        return mean, ops.mean(variances + ops.square(means - mean), axis=0)

    def _train(self, inputs):
        """Computes the same as Keras' layer in training, in half the time on a CPU."""
        x = ops.cast(inputs, "float32")
        y, mean, variance = fused_normalize(x, self.epsilon, self.gamma, self.beta)
        averages = (self.moving_mean, mean), (self.moving_variance, variance)
        for average, value in averages:
            average.assign(average * self.momentum + value * (1.0 - self.momentum))
        return ops.cast(y, self.compute_dtype)

    def get_config(self):
        return super().get_config() | {"inference_statistics": self.inference_statistics}


def fused_normalize(x, epsilon, gamma=None, beta=None):
    """Normalises each channel of a batch to mean 0 and variance 1, in one kernel.

    Args:
        x: float32 (B, H, W, C).
        epsilon: constant added to the variance.
        gamma, beta: scale and offset of the result, (C,) each; default 1 and 0.

    Returns:
        The result, with the shape of x, and the mean and variance of each channel, (C,) each.
    """
    channels = x.shape[-1]
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=tf.ones(channels) if gamma is None else tf.convert_to_tensor(gamma),
        offset=tf.zeros(channels) if beta is None else tf.convert_to_tensor(beta),
        mean=tf.zeros(0),
        variance=tf.zeros(0),
        epsilon=epsilon,
    )
    count = tf.cast(tf.size(x) // channels, tf.float32)
    return y, mean, variance * (count - 1) / count  # the kernel divides by count - 1


class InstanceNormalization(keras.layers.Layer):
    """Normalises each channel of each image to mean 0 and variance 1 (Ulyanov et al. 2016).

    It has no state, and is the same in training and at inference. A map of one pixel becomes
    constant.

    Args:
        epsilon: constant added to the variance.
        affine: whether each channel has a scale, initially from N(1, 0.02), and an offset.

    Input and output: float (batch, height, width, channels). Statistics are computed in float32.
    """

    def __init__(self, epsilon=1e-5, affine=False, **kwargs):
        super().__init__(**kwargs)
        self.epsilon, self.affine = epsilon, affine
        self.gamma = self.beta = None

    def build(self, input_shape):
        if self.affine:
            one = {"shape": (input_shape[-1],), "dtype": "float32", "autocast": False}
            around_one = keras.initializers.RandomNormal(1.0, 0.02)
            self.gamma = self.add_weight(initializer=around_one, name="gamma", **one)
            self.beta = self.add_weight(initializer="zeros", name="beta", **one)

    def call(self, inputs):
        x = ops.cast(inputs, "float32")
        if x.shape[0] == 1:  # the batch statistics are those of the image
            y = fused_normalize(x, self.epsilon, self.gamma, self.beta)[0]
            return ops.cast(y, self.compute_dtype)
        mean, variance = ops.moments(x, axes=[1, 2], keepdims=True)  # (B, 1, 1, C)
        y = (x - mean) * ops.rsqrt(variance + self.epsilon)
        return ops.cast(y * self.gamma + self.beta if self.affine else y, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"epsilon": self.epsilon, "affine": self.affine}


class ReflectionPadding(keras.layers.Layer):
    """Pads images by reflection, as NumPy's `pad(mode="reflect")`.

    With zeros, the outputs of an image translator would show a frame.

    Args:
        padding: number of pixels on every side, less than the image's sides.

    Input (batch, height, width, channels), output (batch, height + 2p, width + 2p, channels).
    """

    def __init__(self, padding, **kwargs):
        super().__init__(**kwargs)
        self.padding = padding

    def call(self, inputs):
        p = self.padding
        return ops.pad(inputs, [(0, 0), (p, p), (p, p), (0, 0)], mode="reflect")

    def compute_output_shape(self, input_shape):
        batch, *sides, channels = input_shape
        return batch, *(side and side + 2 * self.padding for side in sides), channels

    def get_config(self):
        return super().get_config() | {"padding": self.padding}


class Dropout(keras.layers.Dropout):
    """Dropout (Srivastava et al. 2014) that can stay on at inference, as a generator's noise.

    Args:
        rate: fraction of the units to drop, in [0, 1).
        inference_seed: None switches dropout off at inference, as usual. An integer keeps it on
            with a mask drawn from this seed, the same for all images of a batch, so that an
            output depends neither on other images nor on earlier calls.

    Input and output: float (batch, height, width, channels).
    """

    def __init__(self, rate, inference_seed=None, **kwargs):
        super().__init__(rate, **kwargs)
        self.inference_seed = inference_seed

    def call(self, inputs, training=False):
        if training and self.rate and collectives.replica_count() > 1:
            # Each replica has its own rows of the mask of the global batch.
            mask = collectives.sharded_random(self._mask, ops.shape(inputs))
            return inputs * ops.cast(mask, inputs.dtype)
        if training or self.inference_seed is None:
            return super().call(inputs, training=training)
        one_mask = (1, *ops.shape(inputs)[1:])
        return keras.random.dropout(
            inputs, self.rate, noise_shape=one_mask, seed=self.inference_seed
        )

    def _mask(self, shape):
        """1 / (1 - rate) where a unit is kept, else 0."""
        ones = ops.ones(shape, self.compute_dtype)
        return keras.random.dropout(ones, self.rate, seed=self.seed_generator)

    def get_config(self):
        return super().get_config() | {"inference_seed": self.inference_seed}


class GaussianNoise(keras.layers.GaussianNoise):
    """Keras' layer, with independent noise on each replica.

    Input and output: float (batch, ...).
    """

    def call(self, inputs, training=False):
        if not training or not self.stddev or collectives.replica_count() == 1:
            return super().call(inputs, training=training)
        return inputs + collectives.sharded_random(
            keras.random.normal,
            ops.shape(inputs),
            0.0,
            self.stddev,
            self.compute_dtype,
            self.seed_generator,
        )


class PixelShuffle(keras.layers.Layer):
    """Sub-pixel upsampling (Shi et al., arXiv:1609.05158, section 3.2): channels become pixels.

    Channel (dy factor + dx) C + c of a pixel becomes channel c of pixel (dy, dx) of a block, as in
    TensorFlow's depth_to_space. Torch's order is c factor^2 + dy factor + dx, so Torch's weights
    need a permutation.

    Args:
        factor: upscaling factor of height and width.

    Input and output: float (batch, height, width, factor^2 C), (batch, factor height, factor
    width, C).
    """

    def __init__(self, factor=2, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return tf.nn.depth_to_space(inputs, self.factor)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        r = self.factor
        sides = [None if side is None else side * r for side in (height, width)]
        return (batch, *sides, channels // r**2)

    def get_config(self):
        return super().get_config() | {"factor": self.factor}
