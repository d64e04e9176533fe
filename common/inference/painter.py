"""A trained text-to-image generator in Python, as `load` gives it."""

from collections.abc import Sequence

from common.errors import UserError, at_least_one
from common.inference.draw import check_seed
from common.inference.text_sampler import TextSampler

import numpy as np


class TextPainter:
    """A trained text-to-image generator: `model.sample("a red three on blue")`."""

    def __init__(self, sampler: TextSampler):
        self._sampler = sampler

    @property
    def vocabulary(self) -> list[str]:
        """The words that it knows; empty if it takes embeddings."""
        return list(self._sampler.vocabulary.words)

    def sample(
        self, text: str | Sequence[str] | np.ndarray, count: int = 8, seed: int = 0
    ) -> np.ndarray:
        """Draws the images that `predict --text TEXT --count COUNT --seed SEED` writes.

        A word that the model does not know is passed over, with a line about it.

        Args:
            text: a text, or several; or embeddings of texts, float (d,) or (N, d), which a model
                takes alone that was trained on such.
            count: number of images of each text; each text has the same noise.
            seed: seed for the noise.

        Returns:
            uint8 (count, S, S, C), for several texts (N, count, S, S, C).

        Raises:
            UserError: an option is out of range, or no word of a text is known.
            ValueError: the embeddings have another size.
        """
        at_least_one(count=count)
        check_seed(seed=seed)
        texts = self._embeddings(text) if isinstance(text, np.ndarray) else self._texts(text)
        single = isinstance(text, str) or (isinstance(text, np.ndarray) and text.ndim == 1)
        noise = np.tile(self._sampler.latent.array_of_seed(seed, count), (len(texts), 1))
        rows = np.repeat(np.arange(len(texts)), count)
        asked = texts[rows] if isinstance(texts, np.ndarray) else [texts[row] for row in rows]
        images = self._sampler.all(asked, noise).images
        return images if single else images.reshape(len(texts), count, *images.shape[1:])

    def _texts(self, text: str | Sequence[str]) -> list[str]:
        texts = [text] if isinstance(text, str) else list(text)
        if not self._sampler.takes_text:
            raise UserError("this model takes embeddings, float (N, d), not texts")
        if not texts:
            raise UserError("text: is empty; give a text or more")
        for each in texts:
            self._sampler.check(each)
        return texts

    def _embeddings(self, text: np.ndarray) -> np.ndarray:
        if text.ndim not in (1, 2) or not text.size or not np.issubdtype(text.dtype, np.floating):
            raise ValueError(f"give embeddings float (d,) or (N, d), not {text.dtype} {text.shape}")
        return np.atleast_2d(text).astype(np.float32)
