"""A text-to-image generator at inference, from a run or a SavedModel."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from common.adversarial import Adversarial
from common.data.captions import TextTable, Vocabulary, words_of
from common.errors import UserError
from common.images import image_file
from common.inference.interpolation import between
from common.nn.latent import Latent

import numpy as np
import tensorflow as tf

BATCH_SIZE = 64


class Images(NamedTuple):
    """Images from texts, and those of the first stage: uint8 (N, S, S, C) each."""

    images: np.ndarray
    coarse: np.ndarray


@dataclass(frozen=True)
class TextSampler:
    """A text-to-image generator.

    Attributes:
        latent: distribution of its noise.
        vocabulary: the words that it knows; without words it takes embeddings.
        examples: captions that are drawn by default.
        draw: texts (B,) or embeddings (B, d), and noise (B, size), as keywords `text` and `noise`,
            to `image` and `coarse_image`.
        embed: texts (B,) to embeddings (B, d), which `draw_embedded` takes.
        draw_embedded: as `draw`, of embeddings.
    """

    latent: Latent
    vocabulary: Vocabulary
    examples: list[str]
    draw: Callable[..., dict[str, tf.Tensor]]
    embed: Callable[[tf.Tensor], tf.Tensor]
    draw_embedded: Callable[..., dict[str, tf.Tensor]]

    @property
    def takes_text(self) -> bool:
        return bool(self.vocabulary.words)

    def all(self, texts: list[str] | np.ndarray, noise: np.ndarray) -> Images:
        """Images from texts, or from embeddings (N, d), one for each vector of noise (N, size)."""
        return joined(self.batches(texts, noise))

    def batches(self, texts: list[str] | np.ndarray, noise: np.ndarray) -> Iterator[Images]:
        draw = self.draw if isinstance(texts, list) else self.draw_embedded
        for start in range(0, len(noise), BATCH_SIZE):
            part = slice(start, start + BATCH_SIZE)
            drawn = draw(text=tf.constant(texts[part]), noise=tf.constant(noise[part], tf.float32))
            yield Images(*map(image_file.to_uint8, (drawn["image"], drawn["coarse_image"])))

    def between(self, first: str, last: str, frames: int, noise: np.ndarray) -> Images:
        """Images on an arc between the embeddings of two texts, with one noise (size,)."""
        ends = self.embed(tf.constant([first, last])).numpy()
        t = between(ends[:1], ends[1:], frames, "normal")[0]
        return self.all(t, np.tile(noise, (frames, 1)))

    def check(self, text: str):
        """Prints a line about unknown words. Raises a UserError if there is no known one."""
        words, unknown = words_of(text), self.vocabulary.unknown(text)
        if not words:
            raise UserError(f"--text {text!r}: has no words; give some, such as {self.hint}")
        told = [f"{word} ({like}?)" if like else word for word, like in unknown.items()]
        if len(unknown) == len(set(words)):
            raise UserError(f"--text {text!r}: no word is known; give words as in {self.hint}")
        if told:
            print(f"unknown words in {text!r}, which are passed over: {', '.join(told)}")
        if len(words) > self.vocabulary.length:
            print(f"{text!r}: only the first {self.vocabulary.length} words are read")

    @property
    def hint(self) -> str:
        return (
            repr(self.examples[0]) if self.examples else repr(" ".join(self.vocabulary.words[:5]))
        )


def joined(batches: Iterator[Images]) -> Images:
    return Images(*map(np.concatenate, zip(*batches, strict=True)))


class TextEndpoints(tf.Module):
    """Graphs of a model with strings as inputs, the same in a run and in a SavedModel.

    Args:
        model: a `TextConditional` with `sampler` and `latent`.
    """

    def __init__(self, model: Adversarial):
        super().__init__()
        self.latent, self.t_size = model.latent, model.t_size
        self.takes_text = not model.embedding_size
        self.network = model.sampler
        if self.takes_text:
            self.encoder = model.text_encoder
            self.table = TextTable(Vocabulary(model.vocabulary, model.caption_length))

    def embed(self, text):
        return self.encoder(self.table.tokens(text), training=False)

    def draw(self, text, noise):
        return self.draw_embedded(self.embed(text), noise)

    def draw_embedded(self, text, noise):
        images, coarse = self.network([text, noise], training=False)
        return {"image": tf.cast(images, tf.float32), "coarse_image": tf.cast(coarse, tf.float32)}

    def seeded(self, text, seed, count):
        """Images of one text with the noise of a seed."""
        return self.draw(tf.fill([count], text), self.latent.of_seed(seed, count))

    @property
    def noise_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec((None, self.latent.size), tf.float32, name="noise")

    @property
    def text_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec((None,), tf.string, name="text")

    @property
    def embedding_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec((None, self.t_size), tf.float32, name="text")


def text_sampler_of(model: Adversarial) -> TextSampler:
    """Returns the sampler of a model; it always uses the model's current weights."""
    ends = TextEndpoints(model)

    def graph(function: Callable, *inputs: tf.TensorSpec) -> Callable:
        return tf.function(function, input_signature=inputs, autograph=False)

    return TextSampler(
        model.latent,
        Vocabulary(model.vocabulary, model.caption_length),
        model.examples,
        graph(ends.draw, ends.text_spec, ends.noise_spec),
        graph(ends.embed, ends.text_spec),
        graph(ends.draw_embedded, ends.embedding_spec, ends.noise_spec),
    )
