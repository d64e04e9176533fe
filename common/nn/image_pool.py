"""The history of generated images that a discriminator learns from (Shrivastava et al. 2017)."""

from common.distributed import collectives

import keras
import tensorflow as tf
from keras import ops


class HistoryPool(keras.layers.Layer):
    """Gives a discriminator fakes of now and of before, so that it does not forget the old ones.

    Until the pool is full each image is stored and returned. From then on, with probability 1/2
    and for each image by itself, a stored one is returned and the new one takes its place;
    otherwise the new one is returned and not stored (Zhu et al. 2017, section 4).

    All of it is state of the model: images, their number and the random state are variables, so
    a checkpoint holds them. It works within a compiled step, on the device where that runs.
    Replicas that share a batch keep one history of the whole of it, each its copy.

    Args:
        size: images; 0 for a pool that returns what it gets.
        shape: of an image, (height, width, channels).
    """

    def __init__(self, size: int, shape: tuple[int, int, int], **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.size = size
        self.noise = keras.random.SeedGenerator()
        self.images = self.add_weight((size, *shape), "zeros", trainable=False, name="images")
        # int64: TensorFlow keeps int32 variables off the GPU, where XLA cannot reach them.
        self.count = self.add_weight((), "zeros", dtype="int64", trainable=False, name="count")
        self.built = True

    def call(self, x):
        """Images to learn from in place of x (B, H, W, C), B known; no gradient flows back."""
        if not self.size:
            return ops.stop_gradient(x)
        x = collectives.all_gather(ops.stop_gradient(x))
        swap = keras.random.uniform((x.shape[0],), seed=self.noise) < 0.5
        slots = keras.random.randint((x.shape[0],), 0, self.size, "int32", seed=self.noise)
        return collectives.local_rows(self.exchange(x, swap, slots))

    def exchange(self, x: tf.Tensor, swap: tf.Tensor, slots: tf.Tensor) -> tf.Tensor:
        """What a full pool decides by lot, decided.

        Args:
            x: new images, float32 (B, H, W, C). One may come back for another of this batch.
            swap: for each whether a full pool stores it and returns an old one, bool (B,).
            slots: for each which one, int (B,) in [0, size).

        Returns:
            float32 (B, H, W, C).
        """
        x = ops.stop_gradient(x)
        pool = self.images.value
        returned = []
        for new, swapped, slot in zip(*map(tf.unstack, (x, swap, slots)), strict=True):
            full = self.count >= self.size
            slot = tf.where(full, tf.cast(slot, tf.int64), self.count.value)
            old = pool.sparse_read(slot)
            swapped = full & swapped
            kept = tf.where(swapped | ~full, new, old)
            # One row is written: a whole new array would be copied in every step.
            pool.scatter_update(tf.IndexedSlices(kept, slot))
            self.count.assign_add(tf.cast(~full, tf.int64))
            returned.append(tf.where(swapped, old, new))
        return tf.stack(returned)

    def compute_output_shape(self, input_shape):
        return input_shape
