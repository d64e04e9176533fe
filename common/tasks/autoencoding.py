"""The capability of generators with an encoder: images to codes, and back."""

from collections.abc import Callable, Iterator
from typing import ClassVar

from common.adversarial import Adversarial
from common.data.labelled import LabelledImages
from common.errors import UserError
from common.evaluation import formatting, generated_images
from common.images import image_file
from common.images.grid import grid, square_grid
from common.inference import interpolation
from common.inference.autoencoder import Coder, prior_codes
from common.inference.draw import select_classes
from common.inference.endpoints import Endpoint
from common.inference.input_files import InputFiles
from common.inference.sample_grid import MAX_ROWS
from common.inference.sampler import TRAINING_SEED, batched, image_spec, sampler_of
from common.io import records
from common.metrics import representation
from common.metrics.directions import better
from common.reports.latent_plots import manifold, scatter
from common.reports.result_page import ResultPage
from common.tasks.capability import Capability, class_names, read_image
from common.tasks.evaluation import Evaluation
from common.training.run_folder import Run

import numpy as np
import tensorflow as tf

COLUMNS = 10  # of the sample grid


class AutoEncoding(Capability):
    """The model encodes images and reconstructs them.

    A code is z, followed by the probabilities of the classes if the encoder predicts them. The
    model's instances have `encoder` (images to codes), `decoder` (codes to images; of z and a
    one-hot class if `classes` is not 0), `discriminator` (codes to logits, the first one for z),
    `code_size` (dimensions of z), `prior_code` (noise to z), `labels` (not 0: the encoder predicts
    classes) and `supervised` (the decoder takes the class).
    """

    metrics: ClassVar[dict[str, int]] = better("reconstruction_mse")
    all_networks = True
    image_options: ClassVar[tuple[str, ...]] = ("label", "interpolate")
    verb = "encode"

    # During training.

    def sample_grid(self, model: Adversarial, data: LabelledImages) -> Callable[[], np.ndarray]:
        """Ten columns: test images, their reconstructions, then samples from fixed noise.

        There are six rows of samples, or one for each of the first ten classes with the same noise
        in each column.
        """
        coder, sampler = Coder(model), sampler_of(model)
        x, y = data.arrays("test", COLUMNS)
        class_ids = np.arange(min(model.classes, MAX_ROWS))
        noise = sampler.noise(TRAINING_SEED, COLUMNS if model.classes else 6 * COLUMNS)
        noise = np.tile(noise, (max(1, len(class_ids)), 1))
        labels = np.repeat(class_ids, COLUMNS) if model.classes else None
        sampled = [data.class_names[k] for k in class_ids] or ["from noise"]
        names = ["test", "reconstructed", *sampled]

        def draw() -> np.ndarray:
            samples = sampler.all(noise, labels)
            rows = [samples[i : i + COLUMNS] for i in range(0, len(samples), COLUMNS)]
            return grid([x, reconstructions(coder, model, x, y), *rows], names=names)

        return draw

    def measure(
        self, model: Adversarial, data: LabelledImages, count: int
    ) -> Callable[[], dict[str, float]]:
        """The mean squared error of reconstructing the first `count` training images."""
        coder = Coder(model)
        x, y = data.arrays("train", count)

        def measured() -> dict[str, float]:
            error = representation.reconstruction_mse(x, reconstructions(coder, model, x, y))
            return {"reconstruction_mse": error}

        return measured

    # After training.

    def check(self, files: InputFiles, **options):
        interpolate, count = options["interpolate"], len(files)
        if interpolate and count != 2:
            raise UserError(f"--interpolate {interpolate}: takes two images, not {count}")

    def predict(
        self,
        run: Run,
        model: Adversarial,
        files: InputFiles,
        page: ResultPage,
        label: str | None,
        interpolate: int | None,
    ) -> str:
        """With INPUTS, encodes these images and reconstructs them.

        OUTPUT/codes.csv has the codes, and OUTPUT each image beside its reconstruction, as PNG. A
        decoder that takes the class shows every class, or that of --label. With --interpolate, two
        images are interpolated in latent space.

        Args:
            inputs: images of any size, or folders of images, to encode; each is cropped to a
                square around its centre and resized. Default: generate images from noise.

        Example:
            {program} predict RUN image.png FOLDER --output DIR
            {program} predict RUN image.png other.png --output DIR --interpolate 16
        """
        folder = files.folder
        names = (class_names(run) or [str(k) for k in range(model.classes)])[: model.classes]
        class_ids = select_classes(names, label)
        if label is None and not model.supervised:
            class_ids = []
        coder = Coder(model)
        images = files.read(lambda file: read_image(file, model))
        if interpolate and files.bad:
            raise next(iter(files.bad.values()))
        x = np.stack(list(images.values()))
        code = coder.encode(x)
        head = ["file", *(f"z{i + 1}" for i in range(coder.size)), *(names if model.labels else [])]
        rows = [
            (str(file), *map("{:.5f}".format, row)) for file, row in zip(images, code, strict=True)
        ]
        records.write_rows(folder / "codes.csv", tuple(head), rows)
        if interpolate:
            between = np.linspace(*code, interpolate, dtype=np.float32)  # (interpolate, D)
            frames = coder.decode_classes(between, class_ids)
            interpolation.write_frames(folder, frames, [names[k] for k in class_ids])
            interpolation.add_to_page(page, folder)
            for name in (interpolation.ROWS, interpolation.ANIMATION):
                files.record(folder / name)
        else:
            decoded = coder.decode_classes(code, class_ids)
            captions = [f"output as {names[k]}" for k in class_ids] or ["output"]
            for i, source in enumerate(images):
                row = grid([[x[i], *decoded[:, i]]], captions=["input", *captions])
                files.write(files.targets[source], row)
                outputs = dict(zip(captions, decoded[:, i], strict=True))
                page.row(files.name(source), {"input": x[i], **outputs})
        page.title += f": codes of {len(images)} images"
        return f"{len(images)} images with their codes in {folder}"

    def evaluate(self, evaluation: Evaluation):
        """Also evaluates the auto-encoder on real test images, 10,000 at most.

        There are the mean squared reconstruction error, with pixels in [0, 1]; the smallest and
        largest mean and standard deviation of a code's components, beside those of the prior; the
        discriminator's accuracy in telling codes from the prior (50 % is chance); and the
        classification error, if the encoder predicts classes. Two-dimensional codes are plotted in
        the run's folder: codes.png shows them with the prior, manifold.png the images that a grid
        of codes decodes to.
        """
        model, data, page = evaluation.model, evaluation.data, evaluation.page
        x, y = data.arrays("test", generated_images.COUNT)
        coder = Coder(model)
        code, prior = coder.encode(x), prior_codes(model, len(x))
        x_hat = coder.decode(code, y if model.supervised else None)
        logits = batched(
            lambda code: model.discriminator(code, training=False)[:, 0],
            tf.TensorSpec(model.discriminator.input_shape, tf.float32),
        )
        results = {
            "count": len(x),
            "reconstruction_mse": representation.reconstruction_mse(x, x_hat),
            "codes": representation.moment_ranges(code[:, : coder.size]),
            "prior": representation.moment_ranges(prior[:, : coder.size]),
            "discriminator_accuracy": representation.balanced_accuracy(logits(prior), logits(code)),
        }
        if model.labels:
            wrong = code[:, coder.size :].argmax(axis=1) != y
            results["classification_error"] = float(wrong.mean())
        evaluation.add("autoencoder", results, formatting.format_autoencoder(results))
        if show := evaluation.show:
            shown = {"test": x[:show], "reconstructed": x_hat[:show]}
            page.row("Reconstructions", {name: square_grid(s) for name, s in shown.items()})
        if coder.size == 2:
            for name, plot in plots(coder, code[:, :2], y, prior[:, :2], data.class_names):
                image_file.write(evaluation.run.folder / f"{name}.png", plot)
                page.single(name, plot)

    def signatures(self, model: Adversarial) -> dict[str, tuple[Endpoint, list[tf.TensorSpec]]]:
        """serving_encode, image to code (B, D); serving_reconstruct, image to image.

        If the decoder takes the class, the second also takes `label`, int32 (B,).
        """
        image = image_spec(model)
        label = tf.TensorSpec((None,), tf.int32, name="label")

        def encode(image):
            return {"code": model.encoder(image, training=False)}

        def reconstruct(image, label=None):
            code = model.encoder(image, training=False)
            if label is not None:
                code = tf.concat([code, tf.one_hot(label, model.classes)], axis=1)
            return {"image": model.decoder(code, training=False)}

        inputs = [image, label] if model.supervised else [image]
        return {"serving_encode": (encode, [image]), "serving_reconstruct": (reconstruct, inputs)}


def reconstructions(
    coder: Coder, model: Adversarial, x: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Encodes and decodes images, uint8 (N, S, S, C), of the classes `labels` (N,)."""
    return coder.decode(coder.encode(x), labels if model.supervised else None)


def plots(
    coder: Coder, z: np.ndarray, labels: np.ndarray, prior: np.ndarray, names: list[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields codes, then manifold, or with classes manifold_label_0, ..., by name."""
    yield "codes", scatter(z, labels, prior, names)
    if not coder.classes:
        yield "manifold", manifold(coder.decode, z)
    for label in range(coder.classes):
        image = manifold(lambda z, label=label: coder.decode_classes(z, [label])[0], z)
        yield f"manifold_label_{label}", image
