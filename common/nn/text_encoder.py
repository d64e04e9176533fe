"""A text encoder that is trained by matching captions with images, and its loss.

It takes the place of the encoder that papers take ready-made (Reed et al. 2016, Learning Deep
Representations of Fine-Grained Visual Descriptions, arXiv:1605.05395). All of it is float32.
"""

from common.nn.layers import BatchNormalization

import keras
from keras import layers, ops

PADDING, UNKNOWN = 0, 1  # tokens: after the last word, and of a word out of the vocabulary
SCALE = 10.0  # of the cosines in the softmax
NORM = 32.0  # of an embedding


def text_encoder(words: int, length: int, word_size: int, units: int) -> keras.Model:
    """Tokens int32 (B, length) -> embeddings (B, 2 units), whose norm is 32.

    The mean over the words of a bidirectional GRU's outputs; padding changes nothing. The loss, of
    cosines, leaves its scale open. Weights from N(0, 0.02) read it best where it has the norm of
    the papers' embeddings, of 1024 components of mean square 1, whatever its own number: smaller
    ones drown in the noise of the condition beside them, and in the features of the image.

    Args:
        words: number of different tokens.
        length: tokens of a caption.
        word_size: components of a word's embedding.
        units: units of the GRU in each direction.
    """
    tokens = keras.Input((length,), dtype="int32")
    h = layers.Embedding(words, word_size, mask_zero=True, dtype="float32")(tokens)
    # Unrolled: for a loop, XLA makes a GPU wait for the host at every word. No Bidirectional: its
    # copies of a layer forget use_cudnn, and XLA has no cuDNN.
    options = {"return_sequences": True, "unroll": True, "use_cudnn": False, "dtype": "float32"}
    forward = layers.GRU(units, name="forward_gru", **options)(h)
    backward = layers.GRU(units, name="backward_gru", go_backwards=True, **options)(h)
    h = ops.concatenate([forward, ops.flip(backward, axis=1)], axis=-1)  # (B, T, 2 units)
    known = ops.cast(ops.not_equal(tokens, PADDING), "float32")[..., None]
    t = ops.sum(h * known, axis=1) / ops.maximum(ops.sum(known, axis=1), 1.0)
    t = NORM * layers.UnitNormalization(dtype="float32")(t)
    return keras.Model(tokens, t, name="text_encoder")


def image_encoder(side: int, channels: int, width: int, size: int) -> keras.Model:
    """Images (B, side, side, channels) -> embeddings (B, size): four strided convolutions."""
    x = keras.Input((side, side, channels))
    h = layers.Activation("linear", dtype="float32")(x)
    for k in range(4):
        filters = width * min(2**k, 4)
        h = layers.Conv2D(filters, 3, 2, "same", use_bias=False, dtype="float32")(h)
        h = layers.ReLU(dtype="float32")(BatchNormalization(dtype="float32")(h))
    h = layers.GlobalAveragePooling2D(dtype="float32")(h)
    return keras.Model(x, layers.Dense(size, dtype="float32")(h), name="image_encoder")


def cosines(u, v):
    """Cosine of each row of u (A, d) with each of v (B, d): (A, B)."""
    u, v = (each / ops.maximum(ops.norm(each, axis=-1, keepdims=True), 1e-6) for each in (u, v))
    return ops.matmul(u, ops.transpose(v))


def matching_loss(images, texts, same):
    """Cross-entropy of finding an image's caption in the batch, and a caption's image.

    Args:
        images, texts: embeddings, float32 (B, d); row i of both belongs together.
        same: whether two captions are equal, bool (B, B): they are not told apart.

    Returns:
        The mean of -log softmax(10 cosine)_ii over rows and over columns, and the share of the
        images whose own caption is the nearest; scalars.
    """
    scores = cosines(images, texts)
    own = ops.eye(scores.shape[0])
    scores = ops.where(ops.logical_and(same, own == 0.0), -1.0, scores)
    logits, loss = SCALE * scores, 0.0
    for axis in (0, 1):
        loss += ops.mean(ops.logsumexp(logits, axis=axis) - ops.sum(logits * own, axis=axis)) / 2.0
    nearest = ops.equal(ops.argmax(scores, axis=1), ops.arange(scores.shape[0]))
    return loss, ops.mean(ops.cast(nearest, "float32"))
