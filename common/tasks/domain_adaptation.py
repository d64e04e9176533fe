"""The task of models that adapt to a target domain by translating labelled source images."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from common.adversarial import Adversarial
from common.data.domains import LabelledDomains
from common.demo.panels import SEED, Panel, Upload, WholeNumber
from common.errors import UserError, at_least_one
from common.evaluation import generated_images
from common.images import image_file
from common.images.grid import grid
from common.inference.draw import check_seed, with_progress_bar
from common.inference.input_files import InputFiles, InputOptions
from common.inference.noise_translator import NoiseTranslator, noise_translator_of
from common.inference.sampler import TRAINING_SEED
from common.metrics.directions import better
from common.reports.result_page import THUMBNAIL, ResultPage
from common.serving.noise_translator import export_noise_translator, load_noise_translator
from common.signatures import given
from common.tasks import two_domains
from common.tasks.base import EXAMPLES, Checkpoint, Task, is_saved_model
from common.tasks.baselines import refuse_baseline
from common.tasks.capability import class_names, classifier_panels, process
from common.tasks.evaluation import EvaluationOptions
from common.tasks.two_domains import DomainEvaluation
from common.training.run_folder import Run
from common.training.trained_weights import open_run

import numpy as np


class DomainAdaptation(Task):
    """The verbs of a model that learns from a labelled source and an unlabelled target.

    Args:
        model_class: the model. Its instances have `sampler`, a network of source images and noise
            whose images are of the target; `latent`, `image_size` and `channels`; `classify`, as
            for the capability `Classification`, for images of the target; and `only_classifies`,
            where `classify` is all that was trained.
        capabilities: what the model can do besides translating.
    """

    data = LabelledDomains
    metrics: ClassVar[dict[str, int]] = better("target_accuracy")
    option_groups: ClassVar[dict[type, type]] = {EvaluationOptions: DomainEvaluation}

    def docstrings(self, verb: str) -> list[str]:
        """The verb's docstring, then those of the capabilities; `predict` says it all itself."""
        return [self.predict.__doc__] if verb == "predict" else super().docstrings(verb)

    # During training.

    def sample_grid(self, model: Adversarial, data: LabelledDomains) -> Callable[[], np.ndarray]:
        """Returns a function that draws a grid, uint8 (H, W, C), with the current weights.

        It has a row of test images of the source, two of their translations, with one noise vector
        for each row, and one of test images of the target. A baseline has no translations.
        """
        source, target = two_domains.real_rows(data)
        if model.only_classifies:
            return lambda: grid([source, target], names=("source", "target"))
        translator = noise_translator_of(model)
        noise = translator.noise(TRAINING_SEED, 2)

        def draw() -> np.ndarray:
            rows = [translator.all(source, np.tile(z, (len(source), 1))) for z in noise]
            names = "source", "translated", "other noise", "target"
            return grid([source, *rows, target], names=names)

        return draw

    def metrics_of(self, model: Adversarial, data: LabelledDomains) -> dict[str, int]:
        if not data.target.classes:
            raise UserError(
                f"--evaluate_every: the images of {data.target.name} have no labels; leave it out, "
                "or give a target with one folder of images per class"
            )
        return self.metrics

    def measure(
        self, model: Adversarial, data: LabelledDomains, count: int
    ) -> Callable[[], dict[str, float]]:
        """Returns a function that computes the accuracy on `count` training images of the target.

        A checkpoint that --keep_best selects by it depends on their labels.
        """
        return two_domains.target_accuracy(model, data, count)

    # The command line.

    def predict(
        self,
        run: str,
        inputs: list[str],
        /,
        checkpoint: Checkpoint,
        output: str,
        files: InputOptions,
        count: int = 1,
        seed: int = 0,
        classify: bool = False,
    ):
        """Translates images of the source to the target, or classifies images of the target.

        Images are cropped to a square around their centre and resized to the size of the training
        images. Translations are written to OUTPUT as PNG, under the names of the images. With
        --classify, OUTPUT/predictions.csv has the most probable class of each image and its
        probability.

        Args:
            run: folder of a run, or of one version of an exported SavedModel.
            inputs: images, or folders of images.
            output: folder for the results.
            count: number of translations of each image, with different noise; with more than one
                they are named NAME_0.png, NAME_1.png, ...
            seed: seed for the noise.
            classify: classify images of the target.

        Example:
            {program} predict RUN image.png FOLDER --output DIR
            {program} predict RUN image.png --output DIR --count 8
            {program} predict RUN FOLDER --output DIR --classify
        """
        at_least_one(count=count)
        check_seed(seed=seed)
        self.check_run(run, checkpoint)
        images = InputFiles(inputs, output, files)
        if classify:
            if (count, seed) != (1, 0):
                raise UserError("--classify: takes neither --count nor --seed; leave them out")
            return self._classify(run, images, checkpoint)
        translator = self.translator(run, checkpoint)
        page = ResultPage(self.name, {"run": run, "seed": seed}, side=THUMBNAIL)
        noise = translator.noise(seed, count)

        def read(source: Path, _: Path) -> np.ndarray:
            image = image_file.read(source, translator.channels)
            return image_file.square(image, translator.image_size)

        for source, target, x in images.each(read):
            translated = translator.all(np.stack([x] * count), noise)
            written = dict(zip(variants(target, count), translated, strict=True))
            for path, image in written.items():
                images.write(path, image)
            shown = {path.name: image for path, image in written.items()}
            page.row(images.name(source), {"input": x} | shown)
        page.title += f": {len(images)} images translated"
        images.write_page(page)
        print(f"{len(images)} images translated to {output}")
        images.finish()

    def _classify(self, run: str, files: InputFiles, checkpoint: Checkpoint):
        """Hands input images to the capabilities that take them."""
        if is_saved_model(run, checkpoint):
            raise UserError(f"{run}: a SavedModel only translates images; classify with the run")
        opened = open_run(run, self.name)
        model = self.load(opened, checkpoint)
        page = ResultPage(self.name, {"run": run}, side=THUMBNAIL)
        takers = [c for c in self.capabilities if c.image_options is not None]
        process(takers, opened, model, files, page)

    def evaluate(
        self,
        run: str,
        /,
        checkpoint: Checkpoint,
        options: EvaluationOptions,
        count: int = 10000,
        seed: int = 0,
    ):
        """Compares translations of the source's test images with test images of the target.

        The metrics use the features and predictions of a reference classifier of the target:
        accuracy is the share of translations in which it recognizes the class of the source image.
        Then follows the accuracy of the model's own classifier on images of the target. Prints the
        results, and writes them to the run's evaluation.json and, with images, to its
        evaluation/index.html. A baseline has its classifier only.

        Args:
            run: folder of the run.
            count: maximum number of translated images, and of those that they are compared with.
            seed: seed for the noise.

        Example:
            {program} evaluate RUN
            {program} evaluate RUN --count 2000 --show 100
        """
        at_least_one(count=count)
        check_seed(seed=seed)
        evaluation = self.start_evaluation(run, checkpoint, options)
        model, data, page = evaluation.model, evaluation.data, evaluation.page
        evaluation.report |= {"dataset": data.name, "count": count, "seed": seed}
        if not model.only_classifies:
            x, labels = data.source.arrays("test", count)
            translator = noise_translator_of(model)
            noise = translator.noise(seed, len(x))
            parts = range(0, len(x), 256)
            batches = (translator.all(x[i:][:256], noise[i:][:256]) for i in parts)
            results, table, note = generated_images.compare(
                with_progress_bar(batches, len(x)), labels, data.target, "test", count
            )
            evaluation.report |= results
            if table:
                page.table(table, "Translations of test images of the source")
            page.note(note)
            show = evaluation.show
            translated = translator.all(x[:show], noise[:show]) if show else []
            for number, image in enumerate(translated):
                page.row(f"test image {number}", {"source": x[number], "translated": image})
        two_domains.add_transductive_accuracy(evaluation)
        evaluation.data = data.target  # of which the capabilities are
        evaluation.finish()

    def panels(self, run: str, checkpoint: Checkpoint) -> list[Panel]:
        count = WholeNumber("count", "translations", 4, least=1, most=16)
        source = self.examples(run, lambda data: data.source.arrays("test", EXAMPLES)[0])
        upload = Upload(examples=source)
        translate = Panel("Translate", "Translate", "images", upload, (count, SEED))
        if is_saved_model(run, checkpoint):
            return [translate]
        model = self.load(open_run(run, self.name), checkpoint)
        target = self.examples(run, lambda data: data.target.arrays("test", EXAMPLES)[0])
        classify = classifier_panels(self.capabilities, model, target)
        return classify if model.only_classifies else [translate, *classify]

    def save_model(self, model: Adversarial, run: Run, base: Path, version: int) -> Path:
        """Writes a SavedModel of the translator and the capabilities."""
        further = self.further_signatures(model)
        return export_noise_translator(model, base, self.name, version, class_names(run), further)

    def translator(self, run: str, checkpoint: Checkpoint) -> NoiseTranslator:
        """Returns the translator of a run or of a SavedModel."""
        if is_saved_model(run, checkpoint):
            return load_noise_translator(run)
        opened = open_run(run, self.name)
        refuse_baseline(self.model_class, opened, "translate")
        model = opened.load_sampler(self.model_class, **given(checkpoint))
        return noise_translator_of(model)


def variants(target: Path, count: int) -> list[Path]:
    """The files of `count` translations of an image."""
    if count == 1:
        return [target]
    return [target.with_name(f"{target.stem}_{number}{target.suffix}") for number in range(count)]
