"""Captions as numbers: words, and the vocabulary that numbers them, in Python and in a graph."""

import difflib
import re
from collections.abc import Iterable, Sequence

from common.nn.text_encoder import PADDING, UNKNOWN

import numpy as np
import tensorflow as tf

FIRST = 2  # token of the vocabulary's first word


def words_of(text: str) -> list[str]:
    """Words in lower case: letters and digits of any script, with hyphens between them."""
    text = re.sub(r"(?:[^\w-]|_)+", " ", f" {text.lower()} ")
    return re.sub(r"[- ]* [- ]*", " ", text).split()


class Vocabulary:
    """The words that a model knows; a word's token is its position after padding and unknown.

    Args:
        words: the words.
        length: tokens of a caption: a shorter one is padded, a longer one cut off.
    """

    def __init__(self, words: Sequence[str], length: int):
        self.words, self.length = list(words), length
        self._tokens = {word: token for token, word in enumerate(self.words, FIRST)}

    @classmethod
    def of(cls, captions: Iterable[str], length: int) -> "Vocabulary":
        """The words of the captions, in alphabetical order."""
        return cls(sorted({word for caption in captions for word in words_of(caption)}), length)

    def tokens(self, captions: Iterable[str]) -> np.ndarray:
        """Tokens of captions: int32 (N, length)."""
        captions = [words_of(caption)[: self.length] for caption in captions]
        tokens = np.full((len(captions), self.length), PADDING, np.int32)
        for row, words in zip(tokens, captions, strict=True):
            row[: len(words)] = [self._tokens.get(word, UNKNOWN) for word in words]
        return tokens

    def unknown(self, text: str) -> dict[str, str | None]:
        """The text's words out of the vocabulary, each with a similar known word, if any."""
        unknown = [word for word in words_of(text) if word not in self._tokens]
        similar = {word: difflib.get_close_matches(word, self.words, 1, 0.75) for word in unknown}
        return {word: found[0] if found else None for word, found in similar.items()}


class TextTable(tf.Module):
    """The vocabulary as a static table in a graph: the same tokens from strings.

    Args:
        vocabulary: the vocabulary.
    """

    def __init__(self, vocabulary: Vocabulary):
        super().__init__()
        self._length = vocabulary.length
        words = [*vocabulary.words, ""]  # a table must not be empty; no word is
        tokens = np.arange(FIRST, FIRST + len(words), dtype=np.int32)
        content = tf.lookup.KeyValueTensorInitializer(tf.constant(words), tf.constant(tokens))
        self.table = tf.lookup.StaticHashTable(content, UNKNOWN)

    def tokens(self, text: tf.Tensor) -> tf.Tensor:
        """Tokens int32 (B, length) of texts, string (B,)."""
        text = tf.strings.join([" ", tf.strings.lower(text, "utf-8"), " "])
        text = tf.strings.regex_replace(text, r"[^\pL\pN-]+", " ")
        text = tf.strings.regex_replace(text, r"[- ]* [- ]*", " ")
        words = tf.strings.split(text)
        tokens = tf.ragged.map_flat_values(self.table.lookup, words)
        shape = [None, self._length]
        return tf.ensure_shape(tokens.to_tensor(PADDING, shape=shape), shape)
