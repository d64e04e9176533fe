"""The capability of auto-encoding discriminators: an image's energy, its reconstruction error."""

from typing import ClassVar

from common.adversarial import Adversarial
from common.evaluation import generated_images
from common.images import image_file
from common.images.grid import square_grid
from common.inference.endpoints import Endpoint
from common.inference.input_files import InputFiles
from common.inference.sampler import BATCH_SIZE, image_spec, sampler_of
from common.io import records
from common.metrics.ranking import area_under_curve
from common.reports.result_page import ResultPage
from common.tasks.capability import Capability, read_image
from common.tasks.evaluation import Evaluation
from common.training.run_folder import Run

import numpy as np
import tensorflow as tf

PRINTED = 20  # energies; the file has all of them
SEED = 0


class Energy(Capability):
    """The model's discriminator gives an image an energy: low for images like the training data.

    Its instances have `energy`, a graph of float32 (B, S, S, C) in [-1, 1] -> energies (B,) and
    reconstructions (B, S, S, C).
    """

    all_networks = True
    image_options: ClassVar[tuple[str, ...]] = ()
    verb = "score"

    def predict(self, run: Run, model: Adversarial, files: InputFiles, page: ResultPage) -> str:
        """With INPUTS, gives the energy of these images.

        OUTPUT/energies.csv has the discriminator's reconstruction error of each image: an image
        unlike the training data has a high one. The page shows each image beside its
        reconstruction.

        Args:
            inputs: images of any size, or folders of images, to score; each is cropped to a square
                around its centre and resized. Default: generate images from noise.

        Example:
            {program} predict RUN image.png FOLDER --output DIR
        """
        images = files.read(lambda file: read_image(file, model))
        energies, reconstructions = Scorer(model)(np.stack(list(images.values())))
        rows = [(str(file), f"{e:.4f}") for file, e in zip(images, energies, strict=True)]
        table = files.folder / "energies.csv"
        records.write_rows(table, ("file", "energy"), rows)
        for (file, x), (_, value), again in zip(images.items(), rows, reconstructions, strict=True):
            page.row(f"{files.name(file)}: {value}", {"input": x, "reconstruction": again})
        page.title += f": energies of {len(rows)} images"
        for file, value in rows[:PRINTED]:
            print(f"{file}: {value}")
        return f"{len(rows)} energies in {table}"

    def evaluate(self, evaluation: Evaluation):
        """Also evaluates the energies of real test images, 10,000 at most.

        Beside their mean there are those of as many generated images, of test images with shuffled
        pixels and of uniform noise; and for each of these the area under the ROC curve by which
        the energy tells it from a test image (50 % is chance).
        """
        model, data = evaluation.model, evaluation.data
        test, _ = data.arrays("test", generated_images.COUNT)
        sampler, random, score = sampler_of(model), np.random.default_rng(SEED), Scorer(model)
        shuffled = random.permuted(test.reshape(len(test), -1), axis=1).reshape(test.shape)
        others = {
            "generated": sampler.all(sampler.noise(SEED, len(test))),
            "shuffled_pixels": shuffled,
            "noise": random.integers(0, 256, test.shape, np.uint8),
        }
        energies, reconstructions = score(test)
        results = {"count": len(test), "test": {"mean": float(energies.mean())}}
        text = f"mean energy of {len(test)} test images {energies.mean():.4f}"
        for name, images in others.items():
            other, again = score(images)
            area = area_under_curve(other, energies)
            results[name] = {"mean": float(other.mean()), "area_under_curve": area}
            text += f"; {name.replace('_', ' ')} {other.mean():.4f} (AUC {area:.3f})"
            if name == "generated":
                generated = images, again
        evaluation.add("energy", results, text)
        if show := evaluation.show:
            for name, pair in (("Test", (test, reconstructions)), ("Generated", generated)):
                grids = (square_grid(images[:show]) for images in pair)
                shown = dict(zip(("image", "reconstruction"), grids, strict=True))
                evaluation.page.row(f"{name} images and their reconstructions", shown)

    def signatures(self, model: Adversarial) -> dict[str, tuple[Endpoint, list[tf.TensorSpec]]]:
        """serving_energy: image, float32 (B, S, S, C), to energy (B,) and reconstruction."""

        def score(image):
            energy, reconstruction = model.energy(image)
            return {"energy": energy, "reconstruction": reconstruction}

        return {"serving_energy": (score, [image_spec(model)])}


class Scorer:
    """Energies and reconstructions of images, in batches.

    Args:
        model: has `energy`; its weights are those at the time of a call.
    """

    def __init__(self, model: Adversarial):
        self._graph = tf.function(model.energy, input_signature=[image_spec(model)])

    def __call__(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """uint8 (N, S, S, C) -> energies, float32 (N,), and reconstructions, uint8 as x."""
        energies, images = [], []
        for first in range(0, len(x), BATCH_SIZE):
            energy, again = self._graph(tf.constant(image_file.to_unit(x[first:][:BATCH_SIZE])))
            energies.append(energy.numpy())
            images.append(image_file.to_uint8(again))
        return np.concatenate(energies), np.concatenate(images)
