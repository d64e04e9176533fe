"""What a user does with a generator that has an encoder: images to codes, and back."""

from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import ClassVar

from common.adversarial import Adversarial
from common.data.labelled import LabelledImages
from common.errors import UserError
from common.evaluation import generated_images, reference_classifier
from common.evaluation.formatting import format_autoencoder
from common.images import image_file, listing
from common.images.grid import grid, square_grid
from common.inference import interpolation
from common.inference.draw import asked_classes
from common.inference.sampler import Endpoint, batched, images_of, sampler_of
from common.io import records
from common.metrics import representation
from common.reports import result_page
from common.reports.latent_plots import manifold, scatter
from common.reports.result_page import THUMBNAIL, LinkedImage, ResultPage
from common.tasks.generation import SEED, Generation, class_names
from common.training.run_folder import Run

import keras
import numpy as np
import tensorflow as tf

COLUMNS = 10  # of the grid that is drawn while training
FOR_IMAGES = ("label", "interpolate", "best")  # the options of predict that images go with


class Coder:
    """Encoder and decoder of a model at inference, with its weights as they are when called.

    Args:
        model: an auto-encoder, as `AutoEncoding` describes it.
    """

    def __init__(self, model: Adversarial):
        self.size, self.classes = model.code_size, model.classes
        self._encode, self._decode = at_inference(model.encoder), at_inference(model.decoder)

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Images, uint8 (N, S, S, C), to codes, float32 (N, D)."""
        return self._encode(x, image_file.to_unit)

    def decode(self, code: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """Codes, float32 (N, D), to images, uint8 (N, S, S, C): of labels (N,) if given."""
        if labels is not None:  # they take the place of what follows z
            one_hot = np.eye(self.classes, dtype=np.float32)[labels]
            code = np.concatenate([code[:, : self.size], one_hot], axis=1)
        return image_file.to_uint8(self._decode(code))

    def of_classes(self, code: np.ndarray, asked: list[int]) -> np.ndarray:
        """Codes (N, D) to rows of images, uint8 (R, N, S, S, C): one row for each asked class.

        With no class asked for there is one row: the code says the class, or there is none.
        """
        return np.stack(
            [self.decode(code, np.full(len(code), k)) for k in asked] or [self.decode(code)]
        )


class AutoEncoding(Generation):
    """The verbs of `Generation`, of which predict and evaluate also use encoder and decoder.

    A code is z, followed by the probabilities of the classes where the encoder says them.

    Args:
        model_class: the model. Beyond what `Generation` asks for, its instances have `encoder`
            (images to codes), `decoder` (codes to images; of z and a one-hot class where
            `classes` is not 0), `discriminator` (codes to logits, the first one of z),
            `code_size` (components of z), `prior_code` (noise to z), `labels` (not 0: the encoder
            says classes) and `supervised` (the decoder must be told the class).
    """

    metrics: ClassVar[dict[str, int]] = Generation.metrics | {"reconstruction_mse": -1}
    whole = True

    # While training.

    def sampler(self, model: Adversarial, data: LabelledImages) -> Callable[[], np.ndarray]:
        """A function that draws a grid with the model as it is when it is called.

        Ten columns: test images, their reconstructions, then images from noise that is always
        the same: six rows, or one for each of the first ten classes with one noise a column.
        """
        coder, sampler = Coder(model), sampler_of(model)
        x, y = data.arrays("test", COLUMNS)
        asked = np.arange(min(model.classes, 10))
        noise = sampler.noise(SEED, COLUMNS if model.classes else 6 * COLUMNS)
        noise = np.tile(noise, (max(1, len(asked)), 1))
        labels = np.repeat(asked, COLUMNS) if model.classes else None

        def draw() -> np.ndarray:
            x_hat = coder.decode(coder.encode(x), y if model.supervised else None)
            drawn = sampler.all(noise, labels)
            rows = [drawn[i : i + COLUMNS] for i in range(0, len(drawn), COLUMNS)]
            return grid([x, x_hat, *rows])

        return draw

    def measure(
        self, model: Adversarial, data: LabelledImages, count: int
    ) -> Callable[[], dict[str, float]]:
        """As that of `Generation`, and the reconstruction of the first `count` images.

        Of data without labels the latter alone.
        """
        measured = (
            dict
            if reference_classifier.unavailable_reason(data)
            else super().measure(model, data, count)
        )
        coder = Coder(model)
        x, y = data.arrays("train", count)

        def both() -> dict[str, float]:
            x_hat = coder.decode(coder.encode(x), y if model.supervised else None)
            return measured() | {"reconstruction_mse": representation.reconstruction_mse(x, x_hat)}

        return both

    # The command line.

    def predict(self, run: str, inputs: list[str] | None = None, /, *, output: str, **options):
        """Makes images from noise, or from the codes of given images.

        With images, each comes out beside its reconstruction, under its own name as PNG, and
        OUTPUT/codes.csv has their codes. A decoder that has to be told the class shows them in
        every class, or in that of --label. With --interpolate, two images give the frames
        between their codes: interpolation.png has them in a row, interpolation.gif one by one.

        Args:
            run: a run's folder; from noise also that of one version of an exported SavedModel.
            inputs: images, or folders of images, of any size: they are cropped to a square
                around their centre and resized. Without any, images are made from noise.
            output: folder for what is made.

        Example:
            {program} predict RUN --output DIR --count 100 --seed 1
            {program} predict RUN image.png FOLDER --output DIR
        """
        if not inputs:
            return super().predict(run, output=output, **options)
        frames = self._check_options(run, inputs, **options)
        opened, folder = Run.open(run, self.name), Path(output)
        targets = listing.output_paths(inputs, folder)
        if frames and len(targets) != 2:
            raise UserError(f"--interpolate {frames}: takes two images, not {len(targets)}")
        model = self.load(opened, options["best"])
        known = class_names(opened) or [str(k) for k in range(model.classes)]
        known = known[: model.classes]
        asked = asked_classes(known, options["label"], run)
        if options["label"] is None and not model.supervised:
            asked = []
        x = [
            image_file.square(image_file.read(file, model.channels), model.image_size)
            for file in targets
        ]
        coder = Coder(model)
        code = coder.encode(np.stack(x))
        head = [f"z{i + 1}" for i in range(coder.size)] + (known if model.labels else [])
        rows = [
            (str(file), *map("{:.5f}".format, row)) for file, row in zip(targets, code, strict=True)
        ]
        records.write_rows(folder / "codes.csv", ("file", *head), rows)
        page = ResultPage(
            f"{self.name}: codes of {len(targets)} images", {"run": run}, side=THUMBNAIL
        )
        if frames:
            way = np.linspace(*code, frames, dtype=np.float32)  # (frames, D)
            interpolation.write_frames(folder, coder.of_classes(way, asked))
            for name in (interpolation.ROWS, interpolation.ANIMATION):
                page.single(name, LinkedImage.of(folder / name))
        else:
            made = coder.of_classes(code, asked)
            captions = [f"output as {known[k]}" for k in asked] or ["output"]
            for i, (source, target) in enumerate(targets.items()):
                image_file.write(target, grid([[x[i], *made[:, i]]]))
                outputs = zip(captions, made[:, i], strict=True)
                page.row(source.name, {"input": x[i], **dict(outputs)})
        page.write(folder / result_page.NAME)
        print(f"{len(targets)} images, with their codes, in {output}")

    def evaluate(self, run: str, /, **options):
        """Measures a run's images beside real ones, and its codes of real test images.

        The squared error of reconstruction is the mean over pixels in [0, 1]. Of the codes there
        are the least and the largest mean and standard deviation of a component, beside those of
        the prior, and how often the discriminator tells codes and prior apart (half is not at all);
        of codes that say the class, how often it is wrong. None of that but the last needs labels.
        10,000 test images at most, whatever the samples are compared with. Also written to the
        run's evaluation.json, and with images to its evaluation/index.html. Codes in the plane
        are shown in the run's folder: codes.png has them with the prior behind them, and
        manifold.png the images of codes on a grid.

        Args:
            run: the run's folder.

        Example:
            {program} evaluate RUN --show 100
        """
        super().evaluate(run, **options)

    def evaluate_further(
        self, run: Run, model: Adversarial, data: LabelledImages, page: ResultPage, show: int
    ) -> dict[str, dict]:
        x, y = data.arrays("test", generated_images.COUNT)
        coder = Coder(model)
        code, prior = coder.encode(x), prior_codes(model, len(x))
        x_hat = coder.decode(code, y if model.supervised else None)
        verdict = at_inference(model.discriminator)
        results = {
            "count": len(x),
            "reconstruction_mse": representation.reconstruction_mse(x, x_hat),
            "codes": representation.moment_ranges(code[:, : coder.size]),
            "prior": representation.moment_ranges(prior[:, : coder.size]),
            "discriminator_accuracy": representation.balanced_accuracy(
                verdict(prior)[:, 0], verdict(code)[:, 0]
            ),
        }
        if model.labels:
            wrong = code[:, coder.size :].argmax(axis=1) != y
            results["classification_error"] = float(wrong.mean())
        print(format_autoencoder(results))
        page.note(format_autoencoder(results))
        if show:
            pairs = {
                "test": square_grid(x[:show]),
                "reconstructed": square_grid(x_hat[:show]),
            }
            page.row("Reconstructions", pairs)
        if coder.size == 2:
            for name, shown in maps(coder, code[:, :2], y, prior[:, :2], data.class_names):
                image_file.write(run.folder / f"{name}.png", shown)
                page.single(name, shown)
        return {"autoencoder": results}

    def signatures(self, model: Adversarial) -> dict[str, tuple[Endpoint, list[tf.TensorSpec]]]:
        """serving_encode, image to code (B, D); serving_reconstruct, image to image.

        Where the decoder has to be told the class, `label`, int32 (B,), goes to the second too.
        """
        image = images_of(model)
        label = tf.TensorSpec((None,), tf.int32, name="label")

        def encode(image):
            return {"code": model.encoder(image, training=False)}

        def reconstruct(image, label=None):
            code = model.encoder(image, training=False)
            if label is not None:
                code = tf.concat([code, tf.one_hot(label, model.classes)], axis=1)
            return {"image": model.decoder(code, training=False)}

        takes = [image, label] if model.supervised else [image]
        return {"serving_encode": (encode, [image]), "serving_reconstruct": (reconstruct, takes)}

    def _check_options(self, run: str, inputs: list[str], **options) -> int | None:
        """Refuses options of `predict` that are not for images; gives --interpolate."""
        defaults = signature(Generation.predict).parameters
        for option, value in options.items():
            if option not in FOR_IMAGES and value != defaults[option].default:
                raise UserError(
                    f"--{option}: is for images from noise; leave it out to encode {inputs[0]}"
                )
        if tf.saved_model.contains_saved_model(run):
            raise UserError(f"{run}: a SavedModel only makes images; encode with the run")
        frames = options["interpolate"]
        if frames is not None and frames < 2:
            raise UserError(f"--interpolate {frames}: give 2 frames or more, such as 16")
        return frames


def at_inference(network: keras.Model) -> Callable[..., np.ndarray]:
    """A network as `batched` gives it."""
    spec = tf.TensorSpec(network.input_shape, tf.float32)
    return batched(lambda x: network(x, training=False), spec)


def prior_codes(model: Adversarial, count: int) -> np.ndarray:
    """Codes of the prior as the discriminator takes them, float32 (count, D), always the same.

    Where the encoder says classes, each of them in turn follows z.
    """
    z = np.asarray(model.prior_code(model.latent.of_seed(0, count)))
    if not model.labels:
        return z
    one_hot = np.eye(model.classes, dtype=np.float32)[np.arange(count) % model.classes]
    return np.concatenate([z, one_hot], axis=1)


def maps(
    coder: Coder, z: np.ndarray, labels: np.ndarray, prior: np.ndarray, names: list[str]
) -> Iterator[tuple[str, np.ndarray]]:
    """By name: codes, and the manifold, or where there are classes manifold_label_0, ..."""
    yield "codes", scatter(z, labels, prior, names)
    if not coder.classes:
        yield "manifold", manifold(coder.decode, z)
    for label in range(coder.classes):
        shown = manifold(lambda z, label=label: coder.of_classes(z, [label])[0], z)
        yield f"manifold_label_{label}", shown
