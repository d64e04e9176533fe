"""The capability of style-based generators: truncation, noise, style mixing, projection."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from common.adversarial import Adversarial
from common.demo.panels import SEED, Field, Flag, Number, Panel, Upload, WholeNumber
from common.errors import UserError, at_least_one, not_negative
from common.evaluation import reference_classifier, styles
from common.evaluation.formatting import text_table
from common.images.grid import grid
from common.inference.draw import Sampling, check_seed, select_classes
from common.inference.endpoints import Endpoint, labels_in_turn, one_hot, signature
from common.inference.input_files import InputFiles
from common.inference.projection import Projector
from common.inference.sampler import Sampler, sampler_of
from common.inference.styles import (
    TRUNCATED_LAYERS,
    StyleNetworks,
    draw_mixing,
    mixed,
    mixing_matrix,
    truncated,
)
from common.io.atomic import atomic_file
from common.nn.style import fix_noise
from common.reports.result_page import ResultPage
from common.signatures import given
from common.tasks.capability import Capability, class_names, read_image
from common.tasks.evaluation import Evaluation
from common.training.run_folder import Run

import numpy as np
import tensorflow as tf

COUNT = 1000  # images, or pairs of images, of an evaluation
PSI = (1.0, 0.7, 0.5, 0.0)  # of an evaluation
NOISES = 3  # other noise maps of an evaluation
SHOWN = 8  # columns of the images on its page


@dataclass(frozen=True)
class StyleSampling(Sampling):
    """Images to generate.

    Args:
        truncation: psi, how far w keeps from its mean: 1 as trained, less for images that are
            better and vary less, 0 for the mean image.
        truncation_layers: number of the first layers whose styles are truncated.
        noise_seed: seed for the noise maps, which all images share.
        noise: add the noise maps; false for images without.
        mix: number of the first layers that have the styles of a row, such as 4 (up to 8x8 pixels);
            the others have those of a column. mixing.png has a square of --count images.
        project: find the w of input images.
        project_steps: number of steps of the search for w.
    """

    truncation: float = 1.0
    truncation_layers: int = TRUNCATED_LAYERS
    noise_seed: int = 0
    noise: bool = True
    mix: int | None = None
    project: bool = False
    project_steps: int = 500

    def __post_init__(self):
        super().__post_init__()
        check_seed(noise_seed=self.noise_seed)
        at_least_one(project_steps=self.project_steps)
        not_negative(truncation_layers=self.truncation_layers)
        if not -2 <= self.truncation <= 2:
            raise UserError(f"--truncation {self.truncation}: give -2 to 2, such as 0.7")
        if self.mix is not None and self.grid:
            raise UserError("--mix: writes a grid already; leave --grid out")

    @property
    def form(self) -> str | None:
        return super().form if self.mix is None else "mix"

    @property
    def draw(self) -> Callable[..., str]:
        return super().draw if self.mix is None else draw_mixing

    def applied(self, sampler: Sampler) -> Sampler:
        own = [name for name in given(self) if name not in vars(Sampling())]
        if self.project or "project_steps" in own:
            raise UserError(
                "--project: name the image to project, as in predict RUN IMAGE --project"
            )
        if not own:
            return sampler
        if (model := sampler.model) is None:
            raise UserError(f"--{own[0]}: is fixed in a SavedModel's sampler; predict from the run")
        last = model.synthesis.input_shape[1] - 1
        if self.mix is not None and not 1 <= self.mix <= last:
            raise UserError(f"--mix {self.mix}: give 1 to {last}, the number of layers less one")
        fix_noise(model.sampling_network, self.noise_seed if self.noise else None)
        if self.truncation == 1.0:
            return sampler
        network = truncated(model, self.truncation, self.truncation_layers)
        return sampler_of(model, sampler.class_names, network)


class Styles(Capability):
    """The generator is a mapping network, z [, one-hot class] -> w, and a synthesis network.

    The model's instances have both: `mapping`, whose layer "w" has the running `mean` of w, and
    `synthesis`, styles (B, layers, latent) -> images; their `sampling_network` has layers
    `NoiseInjection`.
    """

    image_options: ClassVar[tuple[str, ...]] = (
        *("project", "project_steps", "noise_seed", "noise", "label", "seed"),
    )
    verb = "project"
    option_groups: ClassVar[dict[type, type]] = {Sampling: StyleSampling}

    def check(self, files: InputFiles, **options):
        if not options["project"]:
            first = next(iter(files.targets))
            raise UserError(f"{first}: to find the image's w, give --project")

    def predict(
        self,
        run: Run,
        model: Adversarial,
        files: InputFiles,
        page: ResultPage,
        project: bool,
        project_steps: int,
        noise_seed: int,
        noise: bool,
        label: str | None,
        seed: int,
    ) -> str:
        """With INPUTS and --project, finds the w whose image is nearest to each of these images.

        OUTPUT has each image beside its projection as NAME.png, the images on the way there as
        NAME_progress.png, and w, the styles and the errors in NAME.npz. The images should look like
        the training data.

        Args:
            inputs: images of any size, or folders of images, to project; each is cropped to a
                square around its centre and resized. Default: generate images from noise.

        Example:
            {program} predict RUN --output DIR --truncation 0.7 --noise_seed 3
            {program} predict RUN --output DIR --mix 4
            {program} predict RUN IMAGE --project --output DIR
        """
        names = class_names(run) or [str(k) for k in range(model.classes)]
        images = files.read(lambda file: read_image(file, model))
        fix_noise(model.sampling_network, noise_seed if noise else None)
        projector = Projector(model, select_classes(names if model.classes else [], label), seed)
        for source, image in images.items():
            target = files.targets[source]
            found = projector.project(image, project_steps)
            before, after = found.error
            result = found.progress[-1]
            files.write(target, grid([[image, result]], captions=("input", "projection")))
            way = target.with_name(f"{target.stem}_progress.png")
            captions = ["input", "start", *[""] * (len(found.progress) - 2), "projection"]
            files.write(way, grid([[image, *found.progress]], captions=captions))
            with atomic_file(target.with_suffix(".npz")) as part, open(part, "wb") as file:
                np.savez(file, w=found.w, error=found.error, noise_seed=noise_seed, noise=noise)
            page.row(files.name(source), {"input": image, "projection": result})
            print(f"{source}: mean squared error {before:.5f} at the start, {after:.5f} in the end")
        page.title += f": {len(images)} images projected"
        return f"{len(images)} images projected to {files.folder}"

    def fields(self, sampler: Sampler) -> list[Field]:
        if sampler.model is None:  # they are fixed in a SavedModel
            return []
        return [
            Number("truncation", "truncation", 1.0),
            WholeNumber("noise_seed", "seed of the noise maps", 0, least=0),
            Flag("noise", "noise maps", True),
        ]

    def panels(self, model: Adversarial, examples: tuple[np.ndarray, ...]) -> list[Panel]:
        last = model.synthesis.input_shape[1] - 1
        mix = (
            WholeNumber("mix", "layers with the styles of the rows", last // 2, least=1, most=last),
            WholeNumber("count", "images", 36, least=4, most=64),
            SEED,
        )
        steps = WholeNumber("project_steps", "steps", 200, least=1, most=500)
        upload, project = Upload(examples=examples), ("--project",)
        return [
            Panel("Style mixing", "Mix", "image", None, mix),
            Panel("Projection", "Project", "images", upload, (steps,), project),
        ]

    def evaluate(self, evaluation: Evaluation):
        """Also measures what truncation, noise and style mixing do to 1,000 generated images.

        For psi from 1 to 0: the variance of the pixels. For other noise maps: the mean change of an
        image, and how often the reference classifier keeps its class. For pairs of images whose
        styles are mixed: how often its class is that of the source of the first layers, or of the
        other ones.
        """
        model, data, report = evaluation.model, evaluation.data, evaluation.report
        classifier = None
        if not reference_classifier.unavailable_reason(data):
            classifier = reference_classifier.trained_classifier(data)
        networks, seed = StyleNetworks(model), report["seed"]
        labels = labels_in_turn(range(model.classes), 2 * COUNT)
        w, other = np.split(networks.w(model.latent.array_of_seed(seed, 2 * COUNT), labels), 2)
        coarse, fine = networks.styles(w), networks.styles(other)
        by_psi = {psi: networks.images(networks.styles(w, psi)) for psi in PSI}
        images = by_psi[1.0]
        noisy = [noisy_images(model, networks, coarse, seed + 1 + k) for k in range(NOISES)]
        results = {
            "count": COUNT,
            "truncation": styles.truncation(by_psi, classifier),
            "noise": styles.noise(images, noisy, classifier),
        }
        crossovers = range(2, networks.layers, 2)
        if classifier is not None:
            sources = [classifier.logits(x).argmax(axis=1) for x in (images, networks.images(fine))]
            results["mixing"] = {}
            for crossover in crossovers:
                both = networks.images(mixed(coarse, fine, crossover))
                classes = classifier.logits(both).argmax(axis=1)
                results["mixing"][str(crossover)] = styles.mixing(classes, *sources)
        report["styles"] = results
        for caption, cells in styles.tables(results):
            evaluation.page.table(cells, caption)
            print(f"{caption.lower()}:", text_table(cells), sep="\n")
        if evaluation.show:
            shown = slice(SHOWN)
            rows = {"truncation": [x[shown] for x in by_psi.values()]}
            rows["other noise in each row"] = [x[shown] for x in (images, *noisy)]
            names = dict(zip(rows, ([f"psi {psi}" for psi in PSI], ()), strict=True))
            for caption, each in rows.items():
                evaluation.page.row(caption, {caption: grid(each, names=names[caption])})
            for crossover in crossovers:
                matrix = mixing_matrix(networks, coarse[shown], fine[shown], crossover)
                caption = f"mixed styles, {crossover} layers of the row"
                evaluation.page.row(caption, {caption: matrix})

    def signatures(self, model: Adversarial) -> dict[str, tuple[Endpoint, list[tf.TensorSpec]]]:
        """serving_truncated: noise [, label], truncation (B,) to image, as serving_default.

        serving_map: noise [, label] to w (B, latent); serving_synthesize: styles
        (B, layers, latent) to image.
        """
        mapping, synthesis, classes = model.mapping, model.synthesis, model.classes
        takes = signature(model.latent, classes)
        psi = tf.TensorSpec((None,), tf.float32, name="truncation")
        styles = tf.TensorSpec((None, *synthesis.input_shape[1:]), tf.float32, name="styles")

        def mapped(noise, label=None):
            inputs = noise if label is None else [noise, one_hot(label, classes, noise)]
            return {"w": mapping(inputs, training=False)}

        def synthesized(styles):
            return {"image": synthesis(styles, training=False)}

        def image(noise, truncation):
            return {"image": truncated(model, truncation)(noise)}

        def image_of_class(noise, label, truncation):
            return image([noise, one_hot(label, classes, noise)], truncation)

        return {
            "serving_truncated": (image_of_class if classes else image, [*takes, psi]),
            "serving_map": (mapped, takes),
            "serving_synthesize": (synthesized, [styles]),
        }


def noisy_images(
    model: Adversarial, networks: StyleNetworks, each: np.ndarray, seed: int
) -> np.ndarray:
    """Images of styles, uint8 (N, S, S, C), with the noise maps of another seed than 0."""
    fix_noise(model.sampling_network, seed)
    images = networks.images(each)
    fix_noise(model.sampling_network, 0)
    return images
