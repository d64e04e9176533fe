"""Text-to-image models, with an encoder that is trained on the captions first."""

from common.distributed.collectives import sharded_random
from common.nn.optimizers import adam
from common.nn.text_encoder import (
    PADDING,
    UNKNOWN,
    cosines,
    image_encoder,
    matching_loss,
    text_encoder,
)
from common.players import Player
from common.staged import Stage, Staged

import keras
import tensorflow as tf
from keras import ops

WORDS_LEFT_OUT = 0.02  # share of the words that the encoder does not see, so that it knows unknown
IMAGE_WIDTH = 32  # filters of the first convolution of the encoder of images


class TextConditional(Staged):
    """Base of models that take a text, as tokens or as an embedding of another encoder.

    The constructor calls `set_text` before it builds networks. The first stage of training, unless
    embeddings are given, trains a text encoder and an encoder of images to find each other's
    captions and images (`matcher`). After it no loss changes them.

    Attributes:
        vocabulary: words of the training captions.
        caption_length: number of words of a caption that the encoder reads.
        embedding_size: components of embeddings that are given; 0 to encode captions.
        examples: captions of the sample grid.
        t_size: components of t, the vector that networks take in place of a text.
        noise: the generator of all random numbers.
    """

    def set_text(
        self,
        vocabulary: list[str] | None,
        caption_length: int,
        embedding_size: int,
        examples: list[str] | None,
        units: int,
    ):
        self.vocabulary, self.examples = vocabulary or [], examples or []
        self.caption_length, self.embedding_size = caption_length, embedding_size
        self.t_size = embedding_size or 2 * units
        self.noise = keras.random.SeedGenerator()

    def build_encoders(self, image_size: int, channels: int, word_size: int, rate: float):
        """The text encoder and the encoder of images, unless embeddings are given."""
        if self.embedding_size:
            return
        sizes = 2 + len(self.vocabulary), self.caption_length, word_size, self.t_size // 2
        self.text_encoder = text_encoder(*sizes)
        self.image_encoder = image_encoder(image_size, channels, IMAGE_WIDTH, self.t_size)
        x, tokens = self.image_encoder.input, self.text_encoder.input
        embeddings = [self.image_encoder.output, self.text_encoder.output]
        self.matcher = keras.Model([x, tokens], embeddings, name="matcher")
        self.matcher.compile(optimizer=adam(rate, 0.9))

    def encoder_stages(self, steps: int) -> list[Stage]:
        """The stage that trains the encoders; none where embeddings are given."""
        matching = Stage(steps, self.matching_objectives, ("matcher",))
        return [] if self.embedding_size else [matching]

    @property
    def decays(self) -> dict[str, float]:
        return {}

    @property
    def encoder_players(self) -> dict[str, Player]:
        return {} if self.embedding_size else {"matcher": Player(self.matcher, self.matcher)}

    @property
    def encoder_networks(self) -> list[keras.Model]:
        return [] if self.embedding_size else [self.matcher]

    def matching_objectives(self, x: tf.Tensor, text: tf.Tensor, wrong: tf.Tensor):
        """The matching loss of images and captions.

        Args:
            x: images, float32 (B, S, S, C) in [-1, 1].
            text: their captions' tokens, int32 (B, T).
            wrong: images that these captions do not describe, which are not used here.
        """
        same = ops.all(ops.equal(text[:, None], text[None]), axis=-1)
        drawn = sharded_random(keras.random.uniform, ops.shape(text), seed=self.noise)
        left_out = ops.logical_and(drawn < WORDS_LEFT_OUT, text != PADDING)
        images, texts = self.matcher([x, ops.where(left_out, UNKNOWN, text)], training=True)
        loss, matched = matching_loss(images, texts, same)
        return {"matcher": loss}, {"matched": matched}

    def embedded(self, text: tf.Tensor) -> tf.Tensor:
        """t (B, d) of tokens; embeddings are taken as they are."""
        return text if self.embedding_size else self.text_encoder(text, training=False)

    def similarity(self, images: tf.Tensor, text: tf.Tensor) -> tf.Tensor:
        """Cosine of each image (A, S, S, C) with each text, tokens (B, T): (A, B)."""
        x = self.image_encoder(images, training=False)
        return cosines(x, self.text_encoder(text, training=False))
