"""Export of text-to-image generators as SavedModels for TensorFlow Serving, and loading.

A SavedModel has these signatures, of TensorFlow operations only; the vocabulary is a static table
in the graph, and words that it does not have are passed over as unknown:

    serving_default   text          string (B,)
                      noise         float32 (B, size)
                   -> image         float32 (B, S, S, C) in [-1, 1]
                      coarse_image  float32 (B, S/4, S/4, C), of the first stage
    serving_seed      text          string ()
                      seed          int64 ()
                      count         int32 (), the number of images N
                   -> image         float32 (N, S, S, C), and coarse_image
                      image_bytes   string (N,): PNG files
    serving_embed     text          string (B,)
                   -> embedding     float32 (B, d)
    serving_embedded  text          float32 (B, d), embeddings
                      noise         float32 (B, size)
                   -> image, coarse_image

A model that was trained on given embeddings has `serving_embedded` alone, which then is
`serving_default` too.
"""

import json
from pathlib import Path

from common.adversarial import Adversarial
from common.data.captions import Vocabulary
from common.errors import UserError
from common.inference.text_sampler import TextEndpoints, TextSampler
from common.io.atomic import atomic_folder
from common.io.records import write_json
from common.nn.latent import Latent
from common.serving import saved_model, warmup

import keras
import tensorflow as tf

DEFAULT, SEED, EMBED, EMBEDDED = (
    *("serving_default", "serving_seed", "serving_embed", "serving_embedded"),
)
ABOUT = Path(saved_model.EXTRA, "text_to_image.json")  # metadata that `load_text_sampler` reads


def export_text_sampler(
    model: Adversarial, folder_base: Path | str, name: str, version: int
) -> Path:
    """Writes a model's sampler to `<folder_base>/<name>/<version>/`, atomically.

    Args:
        model: as `TextEndpoints` takes it.
        folder_base: folder that is created if necessary.
        name: name of the model on the server.
        version: positive integer; the server uses the highest.

    Returns:
        The version's folder.

    Raises:
        UserError: the version is not a positive integer or already exists, or the folder cannot be
            written.
    """
    folder = saved_model.version_folder(folder_base, name, version)
    ends, archive = TextEndpoints(model), keras.export.ExportArchive()
    archive.track(ends)
    archive.track(ends.network)
    embedded = [ends.embedding_spec, ends.noise_spec]
    requests = {EMBEDDED: warmup.zeros(embedded)}
    if ends.takes_text:
        archive.track(ends.encoder)
        archive.add_endpoint(DEFAULT, ends.draw, [ends.text_spec, ends.noise_spec])
        scalars = {"text": tf.string, "seed": tf.int64, "count": tf.int32}
        specs = [tf.TensorSpec((), dtype, name=key) for key, dtype in scalars.items()]
        archive.add_endpoint(SEED, _with_files(ends), specs)
        archive.add_endpoint(EMBED, lambda text: {"embedding": ends.embed(text)}, [ends.text_spec])
        requests |= _warmup_requests(ends, model)
    archive.add_endpoint(EMBEDDED, ends.draw_embedded, embedded)
    about = {"latent": model.latent._asdict(), "examples": model.examples}
    about |= {"vocabulary": model.vocabulary, "caption_length": model.caption_length}
    with atomic_folder(folder, saved_model.WRITE_ERRORS) as part:
        archive.write_out(str(part), verbose=False)
        warmup.write_requests(part, name, requests)
        write_json(part / ABOUT, about)
    return folder


def load_text_sampler(folder: Path | str) -> TextSampler:
    """Loads a generator exported by `export_text_sampler`.

    Raises:
        UserError: the folder contains no SavedModel, a damaged one, or one of another kind.
    """
    loaded = saved_model.load(folder)
    try:
        about = json.loads((Path(folder) / ABOUT).read_text(encoding="utf-8"))
        latent = Latent(**about["latent"])
        vocabulary = Vocabulary(about["vocabulary"], about["caption_length"])
        examples = list(about["examples"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = saved_model.first_line(error)
        raise UserError(
            f"{Path(folder) / ABOUT} cannot be read ({reason}); give an export of this model"
        ) from error

    def called(signature_name: str):
        # The closure keeps `loaded` alive: the signature alone would lose the variables.
        return lambda **inputs: loaded.signatures[signature_name](**inputs)

    def embed(text: tf.Tensor) -> tf.Tensor:
        return called(EMBED)(text=text)["embedding"]

    return TextSampler(latent, vocabulary, examples, called(DEFAULT), embed, called(EMBEDDED))


def _with_files(ends: TextEndpoints):
    """`TextEndpoints.seeded`, which also returns its images as PNG files."""

    def seeded(text, seed, count):
        drawn = ends.seeded(text, seed, count)
        png = tf.TensorSpec((), tf.string)
        files = tf.map_fn(saved_model.encode_png, drawn["image"], fn_output_signature=png)
        return drawn | {"image_bytes": files}

    return seeded


def _warmup_requests(ends: TextEndpoints, model: Adversarial) -> dict:
    """A request for an image of an example, or of a word, to each signature that takes a text."""
    text = (model.examples or model.vocabulary or [""])[0]
    one, several = tf.make_tensor_proto(text), tf.make_tensor_proto([text])
    seed = {"seed": tf.make_tensor_proto(0, tf.int64), "count": tf.make_tensor_proto(1, tf.int32)}
    return {
        DEFAULT: {"text": several} | warmup.zeros([ends.noise_spec]),
        SEED: {"text": one} | seed,
        EMBED: {"text": several},
    }
