"""Parts of networks that grow: PixelNorm, minibatch deviation, fades between two resolutions.

Karras et al. 2018 (sections 2 to 4 and appendix A), as in the authors' code. A fade is a number in
[0, 1]: the weight of the coarser of two resolutions, 1 when a new one is added and 0 when it alone
counts.
"""

from collections.abc import Callable, Sequence

from common.distributed import collectives
from common.nn import pyramid

import keras
from keras import ops


class PixelNormalization(keras.layers.Layer):
    """Scales each pixel, or each vector, to mean square 1 over its channels.

    x / sqrt(mean_c x^2 + epsilon), computed in float32. It has no state.

    Input and output: float (..., C).
    """

    def __init__(self, epsilon=1e-8, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def call(self, inputs):
        x = ops.cast(inputs, "float32")
        y = x * ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + self.epsilon)
        return ops.cast(y, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"epsilon": self.epsilon}


class MinibatchStandardDeviation(keras.layers.Layer):
    """Adds a map with how much the images of a group differ.

    The images of a batch (of the global batch if there are several replicas) are in groups: image i
    is in group i mod (B / group). The standard deviation of each component over the group, averaged
    over all components, is a number for each group, and a constant map of each of its images. So
    a discriminator sees generated images that are too much alike. Computed in float32.

    Args:
        group: number of images in a group; all images where there are fewer. The number of images
            must be a multiple of it.

    Input float (B, H, W, C), output (B, H, W, C + 1).
    """

    def __init__(self, group=4, epsilon=1e-8, **kwargs):
        super().__init__(**kwargs)
        self.group, self.epsilon = group, epsilon

    def call(self, inputs):
        x = collectives.all_gather(ops.cast(inputs, "float32"))
        count, height, width, channels = ops.shape(x)
        known = isinstance(count, int)
        group = min(self.group, count) if known else ops.minimum(self.group, count)
        x = ops.reshape(x, (group, count // group, height * width * channels))
        x -= ops.mean(x, axis=0, keepdims=True)
        deviation = ops.sqrt(ops.mean(ops.square(x), axis=0) + self.epsilon)
        deviation = ops.mean(deviation, axis=-1)  # (B / group,)
        deviation = collectives.local_rows(ops.tile(deviation, (group,)))
        own = ops.reshape(deviation, (-1, 1, 1, 1))
        maps = ops.broadcast_to(own, (*ops.shape(inputs)[:3], 1))
        return ops.concatenate([inputs, ops.cast(maps, inputs.dtype)], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] + 1)

    def get_config(self):
        return super().get_config() | {"group": self.group, "epsilon": self.epsilon}


def width_at(side: int, base: int, most: int) -> int:
    """Number of maps at a resolution, min(2 base / side, most): nf(log2(side) - 1) of the paper."""
    return max(1, min(2 * base // side, most))


def doubled(x):
    """Each pixel as 2x2 pixels: float (B, S, S, C) -> (B, 2 S, 2 S, C)."""
    batch, height, width, channels = ops.shape(x)
    x = ops.broadcast_to(x[:, :, None, :, None], (batch, height, 2, width, 2, channels))
    return ops.reshape(x, (batch, 2 * height, 2 * width, channels))


def lerp(fine, coarse, fade):
    """(1 - fade) fine + fade coarse, for tensors of one shape; exact at both ends."""
    fade = ops.cast(fade, fine.dtype)
    return (1 - fade) * fine + fade * coarse


def faded(images, fade):
    """Real images as they look while their resolution is faded in: details count 1 - fade."""
    return lerp(images, doubled(pyramid.down(images)), fade)


class Grown(keras.layers.Layer):
    """The image of a growing generator at its current level, at full size.

    A level is a number: k for the images of the k-th resolution alone, and k - fade while this one
    is faded in. Input: images of each resolution from coarse to fine, float (B, S_k, S_k, C) each;
    output: float32 (B, S, S, C), of the finest.

    Attributes:
        level: the current level, a variable that a checkpoint and an export hold.
    """

    def __init__(self, level=0.0, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.first = level

    def build(self, input_shape):
        first = keras.initializers.Constant(self.first)
        self.level = self.add_weight((), first, name="level", trainable=False)

    def call(self, inputs):
        level, (image, *finer) = ops.convert_to_tensor(self.level), inputs
        image = weight_of(0, level) * image
        for k, details in enumerate(finer, start=1):
            image = doubled(image) + weight_of(k, level) * details
        return image

    def compute_output_shape(self, input_shape):
        return input_shape[-1]

    def get_config(self):
        return super().get_config() | {"level": self.first}


def weight_of(k: int, level):
    """Weight of the k-th resolution at a level: 1 there, 0 from a distance of 1 on."""
    return ops.relu(1.0 - ops.abs(level - k))


class GrowingDiscriminator(keras.Model):
    """A discriminator of images of several resolutions, which starts at that of its input.

    Images (B, S, S, C) of one of the sides give h_S = from_rgb[S](x). A block halves the side, and
    the coarsest gives the output: h_S -> h_{S/2} -> ... While a resolution is faded in,
    h_{S/2} = lerp(block_S(h_S), from_rgb[S/2](down(x)), fade).

    Args:
        from_rgb: by side, a layer or model, images (B, S, S, C) -> (B, S, S, N).
        blocks: by side, a layer or model, (B, S, S, N) -> (B, S/2, S/2, M); that of the coarsest
            side gives the output.
    """

    def __init__(self, from_rgb: dict[int, Callable], blocks: dict[int, Callable], **options):
        super().__init__(**options)
        self.sides: Sequence[int] = sorted(blocks)
        # Keras tracks lists of layers, in a fixed order.
        self.from_rgb = [from_rgb[side] for side in self.sides]
        self.blocks = [blocks[side] for side in self.sides]

    def call(self, inputs, fade=None, training=None):
        k = self.sides.index(inputs.shape[1])
        h = self.blocks[k](self.from_rgb[k](inputs), training=training)
        if k and fade is not None:
            h = lerp(h, self.from_rgb[k - 1](pyramid.down(inputs)), fade)
        for block in reversed(self.blocks[:k]):
            h = block(h, training=training)
        return h
