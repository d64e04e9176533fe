"""The capability of a model that grows: to show what each of its resolutions makes of noise."""

from common.adversarial import Adversarial
from common.images import image_file
from common.images.grid import grid
from common.inference.endpoints import endpoint, labels_in_turn
from common.tasks.capability import Capability
from common.tasks.evaluation import Evaluation

import numpy as np
import tensorflow as tf

NAME = "resolutions.png"
COLUMNS = 10


class Progression(Capability):
    """Images by the checkpoints that are kept at the end of each resolution.

    The model's instances have `growth`, a `Growth`.
    """

    def evaluate(self, evaluation: Evaluation):
        """Also draws the same noise with the checkpoint at the end of each resolution.

        The grid has a row for each resolution, enlarged to the full size, and a last row by the
        evaluated weights. It is written to the run's evaluation/resolutions.png too.
        """
        model, run, report = evaluation.model, evaluation.run, evaluation.report
        if not evaluation.show:
            return
        noise = model.latent.array_of_seed(report["seed"], COLUMNS)
        labels = labels_in_turn(range(model.classes), COLUMNS)
        rows, found = [], run.steps()
        earlier = {s: end for s, end in model.growth.ends.items() if end < report["step"]}
        kept = {side: end for side, end in earlier.items() if end in found}
        for end in kept.values():
            network = evaluation.checkpoint.network
            before = run.load_sampler(type(model), step=end, network=network)
            rows.append(images_of(before, noise, labels))
        rows.append(images_of(model, noise, labels))
        sides = [*(f"{side} px" for side in kept), f"step {report['step']}"]
        drawn = grid(rows, names=sides)
        image_file.write(run.evaluation_page.with_name(NAME), drawn)
        evaluation.page.row("Resolutions", {"from the same noise": drawn})


def images_of(model: Adversarial, noise: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """A batch of images, uint8 (N, S, S, C); not compiled, since each network draws one alone."""
    given = {} if labels is None else {"label": tf.constant(labels)}
    drawn = endpoint(model.sampler, model.classes)(noise=tf.constant(noise), **given)
    return image_file.to_uint8(drawn["image"].numpy())
