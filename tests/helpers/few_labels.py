"""A labelled dataset in memory, and what a model makes of it with other labels poisoned."""

from common.data.label_subset import balanced_subset
from common.tasks.generation import Generation
from tests.helpers.models import state_variables

import numpy as np
import tensorflow as tf

BATCH = 8
POISON = -(10**6)  # a label that no loss survives


def write_dataset(folder, size, classes=3, count=90):
    """An .npz file of uniform noise, uint8 (N, S, S, 1), with its classes in turn."""
    random = np.random.default_rng(0)
    file = folder / "noise.npz"
    arrays = {}
    for split, n in (("train", count), ("test", 9)):
        arrays[f"x_{split}"] = random.integers(0, 256, (n, size, size), np.uint8)
        arrays[f"y_{split}"] = np.arange(n) % classes
    np.savez(file, **arrays)
    return file


def trained_state(make, file, steps, poisoned=False):
    """The state of a model after some steps, as bytes.

    Args:
        make: makes the model.
        file: dataset.
        steps: number of steps.
        poisoned: whether every label but those of the model's subset is `POISON`.
    """
    data = Generation.data(seed=3, dataset=str(file))
    model = make()
    if poisoned:
        known, _ = balanced_subset(data, model.labels)
        train = data.splits["train"]
        x = train.take(np.arange(len(train)))
        kept = [any(np.array_equal(image, other) for other in known) for image in x]
        assert sum(kept) == model.labels < len(train)
        train.labels[~np.array(kept)] = POISON
    model.prepare(data)
    model.compile(jit="off")
    model.initialize(data)
    for batch in data.stream(BATCH, 0, steps):
        assert poisoned == bool(tf.reduce_any(batch[1] == POISON))
        losses = model.train_step(batch)
        assert all(np.isfinite(value) for value in losses.values())
    return [v.numpy().tobytes() for v in state_variables(model)]
