"""Padding of images of any size for networks that halve the sides."""

import keras
import tensorflow as tf
from keras import ops


def reflected(side: int | tf.Tensor, multiple: int) -> tf.Tensor:
    """Indices that pad a side by reflection to the next multiple: 0, ..., side - 1, side - 2, ...

    As `np.pad(mode="reflect")`; `tf.pad` cannot pad by more than the side.
    """
    period = tf.maximum(2 * (side - 1), 1)
    # Not -(-side // multiple): ONNX rounds the quotient of a negative number up.
    position = tf.range((side + multiple - 1) // multiple * multiple) % period
    return tf.minimum(position, period - position)


class PadToMultiple(keras.layers.Layer):
    """Pads images at the bottom and right by reflection, to sides that a number divides.

    Args:
        multiple: that number of pixels.

    Input (batch, height, width, channels), output likewise with the padded sides.
    """

    def __init__(self, multiple, **kwargs):
        super().__init__(**kwargs)
        self.multiple = multiple

    def call(self, inputs):
        for axis in (1, 2):
            side = ops.shape(inputs)[axis]
            inputs = tf.gather(inputs, reflected(side, self.multiple), axis=axis)
        return tf.ensure_shape(inputs, self.compute_output_shape(inputs.shape))

    def compute_output_shape(self, input_shape):
        batch, *sides, channels = input_shape
        padded = (side and -(-side // self.multiple) * self.multiple for side in sides)
        return batch, *padded, channels

    def get_config(self):
        return super().get_config() | {"multiple": self.multiple}


class CropLike(keras.layers.Layer):
    """Crops images at the bottom and right to the sides of others: undoes `PadToMultiple`.

    Input [(batch, padded height, padded width, channels), (batch, height, width, ...)], output
    (batch, height, width, channels).
    """

    def call(self, inputs):
        padded, like = inputs
        _, height, width, _ = ops.shape(like)
        return padded[:, :height, :width]

    def compute_output_shape(self, input_shapes):
        (batch, _, _, channels), (_, height, width, _) = input_shapes
        return batch, height, width, channels
