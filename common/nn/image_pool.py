"""An image pool: a history of generated images for a discriminator (Shrivastava et al. 2017)."""

from common.distributed import collectives
from common.nn.counter import add_counter

import keras
import tensorflow as tf
from keras import ops


class ImagePool(keras.layers.Layer):
    """Mixes current and earlier fakes, so that a discriminator does not forget the earlier ones.

    Until the pool is full, each image is stored and returned. From then on, independently for each
    image and with probability 1/2, a random stored image is returned and replaced by the new one;
    otherwise the new image is returned and not stored (Zhu et al. 2017, section 4).

    The images, their number and the random state are variables, so checkpoints include them. The
    layer can be part of a compiled step. With several replicas, each keeps the same pool of the
    images of the global batch.

    Args:
        size: number of images; 0 for a pool that returns its input.
        shape: shape of an image, (height, width, channels).
    """

    def __init__(self, size: int, shape: tuple[int, int, int], **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.size = size
        self.noise = keras.random.SeedGenerator()
        self.images = self.add_weight((size, *shape), "zeros", trainable=False, name="images")
        self.count = add_counter(self, "count")
        self.built = True

    def call(self, x):
        """Exchanges images x (B, H, W, C), with B known, for those to train on; stops gradients."""
        if not self.size:
            return ops.stop_gradient(x)
        x = collectives.all_gather(ops.stop_gradient(x))
        swap = keras.random.uniform((x.shape[0],), seed=self.noise) < 0.5
        slots = keras.random.randint((x.shape[0],), 0, self.size, "int32", seed=self.noise)
        return collectives.local_rows(self.exchange(x, swap, slots))

    def exchange(self, x: tf.Tensor, swap: tf.Tensor, slots: tf.Tensor) -> tf.Tensor:
        """The deterministic part of `call`, given the random choices.

        Args:
            x: new images, float32 (B, H, W, C), which are stored one after another.
            swap: whether a full pool exchanges each image for a stored one, bool (B,).
            slots: index of the stored image for each, int (B,) in [0, size).

        Returns:
            Images to train on, float32 (B, H, W, C).
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
            # Writes one row: assigning the array would copy it in every step.
            pool.scatter_update(tf.IndexedSlices(kept, slot))
            self.count.assign_add(tf.cast(~full, tf.int64))
            returned.append(tf.where(swapped, old, new))
        return tf.stack(returned)

    def compute_output_shape(self, input_shape):
        return input_shape
