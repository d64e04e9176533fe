"""Whether images show what their captions say.

Attributes that captions name (a digit, the colour of a stroke, a skin tone) are read off the pixels
or told by a reference classifier, and R-precision is the share of the images whose own caption is
the most similar of ten, for the model's own encoders. All of them are also computed with the
captions of other images: what is right by chance.
"""

from collections.abc import Callable
from typing import NamedTuple

from common.adversarial import Adversarial
from common.data.captioned import Captioned, CaptionedImages
from common.data.sources.captioned import TONES
from common.data.sources.scenes import SceneSplit
from common.data.synthetic.captioned_scenes import BACKGROUNDS, COLOURS
from common.evaluation import reference_classifier
from common.images import image_file
from common.metrics.directions import marked

import numpy as np
import tensorflow as tf

CANDIDATES = 10  # captions of which R-precision finds one
BATCH = 64
SHARPNESS = "sharpness"
NEAR_SKIN = 25.0  # grey levels: how far a pixel of skin may be from one of the tones
Judge = Callable[[np.ndarray], np.ndarray]  # images uint8 (N, S, S, 3) -> values, str (N,)


class SceneDigits(NamedTuple):
    """Scenes of all combinations of digit and colour with the digit as label, for a classifier."""

    data: CaptionedImages
    classes: int = 10

    @property
    def name(self) -> str:
        return f"scenes of {self.data.name}"

    @property
    def image_size(self) -> int:
        return self.data.image_size

    @property
    def channels(self) -> int:
        return self.data.channels

    def arrays(self, split: str, count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Images and digits; those of training are of no run's scenes."""
        part = self.data.splits["classifier" if split == "train" else split]
        indices = range(len(part))[:count]
        images = [part.read(index, self.image_size) for index in indices]
        return np.stack(images), np.array([part.scene(i).digit for i in indices], np.int32)


def judged_attributes(data: CaptionedImages) -> tuple[str, ...]:
    """The attributes that `judges_of` gives a judge; none is trained for this."""
    train = data.splits["train"]
    if isinstance(train, SceneSplit):
        return "digit", "colour", "background"
    toned = any("skin tone" in train.facts(index) for index in range(len(train)))
    return ("skin tone",) if toned else ()


def judges_of(data: CaptionedImages) -> dict[str, Judge]:
    """What tells the attributes of images, by the attribute's name; empty where none is known."""
    attributes = judged_attributes(data)
    if "digit" in attributes:
        classifier = reference_classifier.trained_classifier(SceneDigits(data))
        return {
            "digit": lambda images: classifier.logits(images).argmax(axis=1).astype(str),
            "colour": lambda images: nearest(strokes(images), COLOURS),
            "background": lambda images: nearest(backgrounds(images), BACKGROUNDS),
        }
    if "skin tone" in attributes:
        tones = skin_tones(data)
        return {"skin tone": lambda images: nearest(skins(images, tones), tones)}
    return {}


def nearest(colours: np.ndarray, table: dict[str, tuple]) -> np.ndarray:
    """Names of the table's colours that are nearest to colours (N, 3): str (N,)."""
    names, known = np.array([*table]), np.array([*table.values()], float)
    distances = np.linalg.norm(colours[:, None] - known, axis=-1)
    return names[distances.argmin(axis=1)]


def backgrounds(images: np.ndarray) -> np.ndarray:
    """Colour of the background: the median of the outermost pixels, (N, 3)."""
    x = images.astype(float)
    frame = [x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]]
    return np.median(np.concatenate(frame, axis=1), axis=1)


def strokes(images: np.ndarray) -> np.ndarray:
    """Colour of the stroke: the median of the 3 % of the pixels farthest from the background."""
    x = images.astype(float).reshape(len(images), -1, 3)
    away = np.linalg.norm(x - backgrounds(images)[:, None], axis=-1)
    count = max(1, x.shape[1] * 3 // 100)
    chosen = np.argpartition(-away, count, axis=1)[:, :count, None]
    return np.median(np.take_along_axis(x, chosen, axis=1), axis=1)


def skin_tones(data: CaptionedImages) -> dict[str, tuple]:
    """Colours of the skin tones: the mean pixels of training emoji that their tone changes."""
    train, sums = data.splits["train"], {tone: [] for tone in TONES}
    for index in range(len(train)):
        tone = train.facts(index).get("skin tone")
        others = [j for j in train.near[index] if "skin tone" in train.facts(j)]
        if tone is None or not others:
            continue
        image, other = (train.read(i, data.image_size).astype(float) for i in (index, others[0]))
        changed = np.abs(image - other).sum(axis=-1) > 40
        if changed.any():
            sums[tone].append(np.median(image[changed], axis=0))
    return {tone: tuple(np.median(colours, axis=0)) for tone, colours in sums.items() if colours}


def skins(images: np.ndarray, tones: dict[str, tuple]) -> np.ndarray:
    """Mean colour of the pixels that are near to one of the tones, (N, 3); black without any."""
    known = np.array([*tones.values()], float)
    x = images.astype(float).reshape(len(images), -1, 3)
    distances = np.linalg.norm(x[:, :, None] - known, axis=-1)  # (N, pixels, tones)
    skin = distances.min(axis=-1) < NEAR_SKIN
    return (x * skin[..., None]).sum(axis=1) / np.maximum(skin.sum(axis=1), 1)[:, None]


def accuracies(
    images: np.ndarray, examples: list[Captioned], judges: dict[str, Judge]
) -> dict[str, float]:
    """Share of the images that show an attribute as their caption says, of those that name it."""
    results = {}
    for name, judge in judges.items():
        rows = [row for row, each in enumerate(examples) if name in each.facts]
        if rows:
            said = np.array([examples[row].facts[name] for row in rows])
            results[name] = float(np.mean(judge(images[rows]) == said))
    return results


def r_precision(
    model: Adversarial, images: np.ndarray, examples: list[Captioned], seed: int = 0
) -> float:
    """Share of the images whose caption is more similar than those of nine other images.

    Other captions are never equal to it.
    """
    random, captions = np.random.default_rng(seed), np.array([each.caption for each in examples])
    texts = np.stack([each.text for each in examples])
    found = []
    for start in range(0, len(images), BATCH):
        part = tf.constant(image_file.to_unit(images[start : start + BATCH]))
        scores = [
            model.similarity(part, tf.constant(texts[i : i + 500]))
            for i in range(0, len(texts), 500)
        ]
        for row, similarity in enumerate(np.concatenate(scores, axis=1), start):
            others = np.flatnonzero(captions != captions[row])
            chosen = random.choice(others, min(CANDIDATES - 1, len(others)), replace=False)
            found.append(similarity[row] > similarity[chosen].max())
    return float(np.mean(found))


def table(results: dict[str, dict[str, float]]) -> list[list[str]]:
    """Rows for a table: an attribute each, a column for each kind of images."""
    names = [*dict.fromkeys(name for each in results.values() for name in each)]
    rows = [
        [marked(name), *(_written(name, each.get(name)) for each in results.values())]
        for name in names
    ]
    return [["right", *results], *rows]


def _written(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if name == SHARPNESS else f"{value:.1%}"
