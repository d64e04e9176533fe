"""StackGAN's predict: images from a text, from a file of texts, between two; what is refused."""

from itertools import pairwise

from common.images import image_file
from common.inference.text_sampler import text_sampler_of
from common.tasks.text_to_image import TextToImage
from common.training import checkpoint
from common.training.run_folder import Run
from stackgan.stackgan import StackGAN
from tests.helpers.command_line import command_line, refusal
from tests.helpers.image_files import noise

import keras
import numpy as np
import pytest

WORDS = ["a", "blue", "on", "red", "three"]
EXAMPLES = ["a red three", "a three on blue"]
OPTIONS = {"image_size": 32, "channels": 3, "width": 4, "d_width": 2, "d_width_2": 2, "units": 3}
OPTIONS |= {"condition_size": 2, "latent_size": 3, "vocabulary": WORDS, "caption_length": 5}
OPTIONS |= {"embedding_size": 0, "examples": EXAMPLES}


def saved(folder, **options):
    """A run whose weights are large enough for texts to matter."""
    keras.utils.set_random_seed(1)
    model, random = StackGAN(**(OPTIONS | options)), np.random.default_rng(0)
    for network in model.sampling_networks:
        for variable in network.trainable_variables:
            if len(variable.shape) > 1:
                deviation = 0.3 if len(variable.shape) == 4 else 1.0
                variable.assign(random.normal(0, deviation, variable.shape))
    run = Run(folder / "run")
    run.write_config("stackgan", OPTIONS | options | {"seed": 0}, {})
    checkpoint.save(run.checkpoints, 1, model)
    return run.folder, model


def close(one, other):
    """Equal but for the rounding of numbers that depend on the size of a batch."""
    return np.abs(one.astype(int) - other).max() <= 1


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("stackgan"))


@pytest.fixture
def predict(trained, capsys, tmp_path, monkeypatch):
    """predict(options) -> its result and the images it has written, by name."""
    run, model = trained
    monkeypatch.setattr(TextToImage, "load", lambda *_: model)  # a run is read in test_loading.py
    call = command_line(capsys, StackGAN, TextToImage)

    def predicted(options, folder="drawn"):
        result = call(f"predict {run} --output {tmp_path / folder} {options}")
        assert result.status == 0, result.err
        files = sorted((tmp_path / folder).glob("*.png"))
        return result, {file.name: image_file.read(file) for file in files}

    return predicted


def test_images_of_a_text_depend_on_it_and_on_the_seed_alone(predict):
    result, red = predict("--text 'a red three' --count 3 --seed 2")
    assert "3 images in" in result.out and [*red] == ["0000.png", "0001.png", "0002.png"]
    assert red["0000.png"].shape == (32, 32, 3)
    assert not close(red["0000.png"], red["0001.png"])
    others = {
        "again": "--text 'A red, THREE!' --count 2 --seed 2",
        "text": "--text 'a blue three' --count 2 --seed 2",
        "seed": "--text 'a red three' --count 2 --seed 3",
    }
    drawn = {name: predict(options, name)[1] for name, options in others.items()}
    for name in ("0000.png", "0001.png"):
        assert [close(each[name], red[name]) for each in drawn.values()] == [True, False, False]


def test_a_file_of_texts_gives_each_the_same_noise(predict, tmp_path):
    (tmp_path / "texts").write_text("a red three\n\n  a blue three\n")
    _, table = predict(f"--texts {tmp_path / 'texts'} --count 2 --coarse")
    assert len(table) == 8 and table["0003_coarse.png"].shape == (8, 8, 3)
    for first, text in ((0, "a red three"), (2, "a blue three")):
        _, alone = predict(f"--text '{text}' --count 2", text.replace(" ", "_"))
        for number in range(2):
            assert close(table[f"{first + number:04}.png"], alone[f"{number:04}.png"])
    _, grid = predict(f"--texts {tmp_path / 'texts'} --count 2 --coarse --grid", "grid")
    assert [*grid] == ["grid.png"] and len(grid["grid.png"]) == 4 * 34 + 2
    assert close(grid["grid.png"][36:68, -68:-36], table["0000.png"])  # right of the texts


def test_without_a_text_the_captions_of_the_run_are_drawn(predict):
    _, drawn = predict("--count 3")
    _, first = predict(f"--text '{EXAMPLES[0]}' --count 1", "first")
    assert len(drawn) == 3
    assert close(drawn["0000.png"], first["0000.png"])


def test_frames_lead_from_one_text_to_the_other(predict, trained, tmp_path):
    options = "--text 'a red three' --text_to 'a three on blue' --interpolate 5"
    result, files = predict(options)
    assert "5 frames" in result.out and (tmp_path / "drawn" / "interpolation.gif").is_file()
    sampler = text_sampler_of(trained[1])
    texts = "a red three", "a three on blue"
    frames = sampler.between(*texts, 5, sampler.latent.array_of_seed(0, 1)[0]).images
    assert all((one != other).any() for one, other in pairwise(frames))
    for text, frame, left in zip(texts, (frames[0], frames[-1]), (2, 2 + 4 * 34), strict=True):
        _, alone = predict(f"--text '{text}' --count 1", text.replace(" ", "_"))
        rows = files["interpolation.png"][:, -5 * 34 - 2 :]  # right of the texts
        shown = rows[2:34, left : left + 32]
        assert close(shown, frame) and close(frame, alone["0000.png"])


def test_an_unknown_word_is_named_and_passed_over(predict):
    result, _ = predict("--text 'a bleu purple three' --count 1")
    said = "unknown words in 'a bleu purple three', which are passed over: bleu (blue?), purple"
    assert said in result.out.splitlines()
    result, _ = predict("--text 'a red three on blue a red' --count 1", "long")
    assert "only the first 5 words are read" in result.out


def test_texts_that_cannot_be_drawn_are_refused_in_a_line(trained, capsys, tmp_path, monkeypatch):
    run, model = trained
    monkeypatch.setattr(TextToImage, "load", lambda *_: model)
    check = refusal(command_line(capsys, StackGAN, TextToImage))
    (tmp_path / "empty").write_text(" \n\n")
    before = f"predict {run} --output {tmp_path / 'drawn'}"
    check(f"{before} --text 'violet seven'", "--text 'violet seven': no word is known", EXAMPLES[0])
    check(f"{before} --text ' '", "--text: is empty; write what the image shows")
    check(f"{before} --text '?!'", "--text '?!': has no words", EXAMPLES[0])
    check(f"{before} --text red --text_to ''", "--text_to: is empty")
    check(f"{before} --text_to red", "--text_to 'red': needs --text")
    check(f"{before} --text red --texts {tmp_path / 'empty'}", "cannot be combined with --text")
    check(f"{before} --texts {tmp_path / 'empty'}", "is empty; write a text a line")
    check(f"{before} --texts {tmp_path / 'nowhere'}", "nowhere: cannot be read")
    check(f"{before} --text red --text_to blue --interpolate 1", "--interpolate 1: give 2")
    check(f"{before} --text red --count 0", "--count 0")
    assert not (tmp_path / "drawn").exists()


def test_a_text_without_known_words_does_not_stop_the_others(
    trained, capsys, tmp_path, monkeypatch
):
    run, model = trained
    monkeypatch.setattr(TextToImage, "load", lambda *_: model)
    (tmp_path / "texts").write_text("a red three\nviolet seven\n")
    line = f"predict {run} --output {tmp_path / 'drawn'} --texts {tmp_path / 'texts'} --count 1"
    call = command_line(capsys, StackGAN, TextToImage)
    refusal(call)(line, "1 texts could not be drawn", "--skip_bad_texts")
    written = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert written == ["0000.png", "index.html"]
    result = call(f"{line} --skip_bad_texts")
    assert result.status == 0 and "left out: 'violet seven': no word is known" in result.out


def test_a_caption_without_image_is_refused_before_training(capsys, tmp_path):
    check = refusal(command_line(capsys, StackGAN, TextToImage))
    image_file.write(tmp_path / "0.png", noise(8, 8, 0))
    (tmp_path / "c.csv").write_text("file,caption\n0.png,one\nmissing.png,two\n")
    line = f"--dataset {tmp_path / 'c.csv'} --run {tmp_path / 'run'}"
    check(line, "a caption without image", "missing.png is missing; name files")


def test_a_model_of_given_embeddings_takes_a_file_of_them(capsys, tmp_path):
    run, model = saved(tmp_path, embedding_size=4, vocabulary=[], examples=[])
    call, file = command_line(capsys, StackGAN, TextToImage), tmp_path / "e.npz"
    values = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    np.savez(file, files=["x", "y"], embeddings=values)
    result = call(f"predict {run} --output {tmp_path / 'drawn'} --texts {file} --count 1")
    assert result.status == 0, result.err
    noise_of_seed = model.latent.array_of_seed(0, 1)
    expected, _ = text_sampler_of(model).all(values[:, 0], np.tile(noise_of_seed, (2, 1)))
    for number, image in enumerate(expected):
        assert close(image_file.read(tmp_path / "drawn" / f"{number:04}.png"), image)
    refusal(call)(f"predict {run} --output {tmp_path / 'o'} --text red", "give --texts FILE.npz")
