"""Layers with state or maths of their own.

What a generative adversarial network does at inference is part of the method: a pix2pix generator
keeps its dropout (its only noise) and normalises by the image at hand. Layers that may do either
say so by an argument; all draw nothing from a state when they are not training, and treat each
image of a batch as if it were alone. A SavedModel made from them changes no variable when asked.
"""

from common.distributed import collectives

import keras
import tensorflow as tf
from keras import ops


class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation (Ioffe and Szegedy 2015) with the constants of the GAN papers.

    In training it is Keras' own layer: statistics of the batch, moving averages updated. Replicas
    that share a batch take the statistics of the whole of it.

    Args:
        inference_statistics: "image" normalises each image by the mean and variance of its
            own pixels at inference, which at batch size 1 is what training did (Isola et al.
            2017, section 3.3, who call it instance normalisation then); "moving" uses the moving
            averages.
        momentum: of the moving averages. Keras' 0.99 lags behind a generator.
        epsilon: added to the variance. Keras' default is 1e-3; the papers' code has 1e-5.

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
        alone = collectives.replica_count() == 1
        if training and self.trainable and alone and inputs.shape.rank == 4:
            return self._train(inputs)
        if training or self.inference_statistics == "moving":
            return super().call(inputs, training=training, mask=mask)
        x = ops.cast(inputs, "float32")
        mean, variance = ops.moments(x, axes=[1, 2], keepdims=True)  # (B, 1, 1, C)
        y = (x - mean) * ops.rsqrt(variance + self.epsilon) * self.gamma + self.beta
        return ops.cast(y, self.compute_dtype)

    def _moments(self, inputs, mask):
        """Keras' hook: mean and variance over the batch, each (C,)."""
        mean, variance = super()._moments(inputs, mask)
        if collectives.replica_count() == 1:
            return mean, variance
        means, variances = tf.unstack(
            collectives.all_gather(tf.stack([mean, variance])[None]), axis=1
        )
        mean = ops.mean(means, axis=0)
        return mean, ops.mean(variances + ops.square(means - mean), axis=0)

    def _train(self, inputs):
        """What Keras' layer computes in training, by a kernel that takes half the time on a CPU."""
        x = ops.cast(inputs, "float32")
        y, mean, variance = normalized(x, self.epsilon, self.gamma, self.beta)
        averages = (self.moving_mean, mean), (self.moving_variance, variance)
        for average, value in averages:
            average.assign(average * self.momentum + value * (1.0 - self.momentum))
        return ops.cast(y, self.compute_dtype)

    def get_config(self):
        return super().get_config() | {"inference_statistics": self.inference_statistics}


def normalized(x, epsilon, gamma=None, beta=None):
    """Brings each channel of a batch to mean 0 and variance 1, in one kernel.

    Args:
        x: float32 (B, H, W, C).
        epsilon: added to the variance.
        gamma, beta: what the result is multiplied by and added to, (C,) each; default 1 and 0.

    Returns:
        The result, shaped as x, and the mean and the variance of each channel, (C,).
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
    """Each channel of each image brought to mean 0 and variance 1 (Ulyanov et al. 2016).

    It has no weights and no state: training and inference are the same, and an image's result
    depends on no other image. Of a map of one pixel it leaves nothing but 0.

    Args:
        epsilon: added to the variance.

    Input and output: float (batch, height, width, channels). The sums are taken in float32.
    """

    def __init__(self, epsilon=1e-5, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, inputs):
        x = ops.cast(inputs, "float32")
        if x.shape[0] == 1:  # of one image, the statistics of the batch are its own
            return ops.cast(normalized(x, self.epsilon)[0], self.compute_dtype)
        mean, variance = ops.moments(x, axes=[1, 2], keepdims=True)  # (B, 1, 1, C)
        return ops.cast((x - mean) * ops.rsqrt(variance + self.epsilon), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"epsilon": self.epsilon}


class ReflectionPadding(keras.layers.Layer):
    """Continues an image by its mirror image at each border, whose pixels are not repeated.

    As NumPy's `pad(mode="reflect")`. Zeros would show as a frame in what a translator makes.

    Args:
        padding: pixels on every side, fewer than the image's sides have.

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
        rate: share of the units that are dropped, in [0, 1).
        inference_seed: None switches dropout off at inference, as usual. An integer keeps it on
            with the mask that belongs to this seed: one mask for all images of a batch, so a
            image's result depends neither on its neighbours nor on earlier calls.

    Input and output: float (batch, height, width, channels).
    """

    def __init__(self, rate, inference_seed=None, **kwargs):
        super().__init__(rate, **kwargs)
        self.inference_seed = inference_seed

    def call(self, inputs, training=False):
        if training and self.rate and collectives.replica_count() > 1:
            kept = collectives.sharded_random(
                self._kept, ops.shape(inputs)
            )  # another mask on each replica
            return inputs * ops.cast(kept, inputs.dtype)
        if training or self.inference_seed is None:
            return super().call(inputs, training=training)
        one_mask = (1, *ops.shape(inputs)[1:])
        return keras.random.dropout(
            inputs, self.rate, noise_shape=one_mask, seed=self.inference_seed
        )

    def _kept(self, shape):
        """1 / (1 - rate) where a unit is kept, else 0."""
        ones = ops.ones(shape, self.compute_dtype)
        return keras.random.dropout(ones, self.rate, seed=self.seed_generator)

    def get_config(self):
        return super().get_config() | {"inference_seed": self.inference_seed}


class GaussianNoise(keras.layers.GaussianNoise):
    """Keras' layer; replicas that share a batch draw other noise each.

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


class DoublingConvolution(keras.layers.Conv2DTranspose):
    """Transposed convolution of kernel 3 and strides 2 that doubles the sides, without a bias.

    Torch's `padding=1, output_padding=1`: pixel j of a side goes to 2j - 1, 2j and 2j + 1, where
    Keras' padding "same" would put 2j, 2j + 1 and 2j + 2. To crop what "valid" gives instead takes
    half as long again.

    Input (batch, height, width, channels), output (batch, 2 height, 2 width, filters).
    """

    def __init__(self, filters, kernel_initializer="glorot_uniform", **kwargs):
        fixed = {"strides": 2, "padding": "same", "use_bias": False}
        super().__init__(filters, 3, kernel_initializer=kernel_initializer, **fixed, **kwargs)

    def call(self, inputs):
        batch, height, width, _ = ops.shape(inputs)
        shape = (batch, 2 * height, 2 * width, self.filters)
        one_before = [[0, 0], [1, 0], [1, 0], [0, 0]]
        kernel = ops.convert_to_tensor(self.kernel)
        return tf.nn.conv2d_transpose(inputs, kernel, shape, self.strides, one_before)

    def get_config(self):
        config = super().get_config()
        free = "name", "trainable", "dtype", "filters", "kernel_initializer"
        return {key: config[key] for key in free}


class PixelShuffle(keras.layers.Layer):
    """Sub-pixel upsampling (Shi et al., arXiv:1609.05158, section 3.2): channels become pixels.

    Channel (dy factor + dx) C + c of a pixel goes to channel c of the pixel (dy, dx) of the block
    that it becomes, as in TensorFlow's depth_to_space. Torch's order is c factor^2 + dy factor +
    dx, so weights cannot be taken over without a permutation.

    Args:
        factor: by which height and width grow.

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
        grown = [None if side is None else side * r for side in (height, width)]
        return (batch, *grown, channels // r**2)

    def get_config(self):
        return super().get_config() | {"factor": self.factor}
