"""The answers of a demo's page, with a predict that notes what it was asked."""

import os
import time
from pathlib import Path

from common.demo.answers import KEPT, Answers
from common.demo.panels import Panel, Upload, WholeNumber
from common.errors import UserError
from common.images import image_file

import numpy as np
import pytest

SEED = WholeNumber("seed", "seed", 0)
CSV = "file,class,probability\nx.png,ankle boot,0.75\n"


class Predict:
    """Writes files to --output, and prints where they are and how it was called."""

    def __init__(self, *files, error=None):
        self.files, self.error, self.calls = files, error, []

    def __call__(self, arguments):
        self.calls.append(arguments)
        folder = Path(arguments[arguments.index("--output") + 1])
        if self.error is not None:
            raise UserError(self.error.format(*arguments))
        for name in self.files:
            if name.endswith(".csv"):
                (folder / name).write_text(CSV)
            else:
                image_file.write(folder / name, np.full((8, 12, 3), 9, np.uint8))
        print(f"2 images in {folder}/grid.png\ntranslated at 64 pixels")


@pytest.fixture
def picture(tmp_path):
    image_file.write(tmp_path / "my picture.png", np.zeros((4, 6, 3), np.uint8))
    return tmp_path / "my picture.png"


@pytest.fixture
def answers(tmp_path):
    def made(predict):
        (tmp_path / "results").mkdir()
        return Answers(predict, "runs/first", tmp_path / "results")

    return made


def test_predict_is_called_with_the_fields_and_the_image(answers, picture):
    predict = Predict("my picture.png")
    panel = Panel("Translate", "Go", "image", Upload(), (SEED,), ("--grid",))
    answer = answers(predict).answer(panel, [5], picture)
    (run, image, output, _, *others) = predict.calls[0]
    assert (run, image, output) == ("runs/first", str(picture), "--output")
    assert others == ["--grid", "--seed=5"]
    assert [path.name for path in answer.images] == ["my picture.png"]
    assert answer.note == "translated at 64 pixels"  # no line names the page's folders


def test_each_call_has_its_own_folder(answers):
    made = answers(Predict("grid.png"))
    panel = Panel("Images", "Draw", "image")
    assert len({made.answer(panel, []).images[0] for _ in range(3)}) == 3


def test_the_input_is_shown_in_the_size_of_the_result(answers, picture):
    panel = Panel("Enlarge", "Enlarge", "before and after", Upload())
    before, after = answers(Predict("my picture.png")).answer(panel, [], picture).images
    assert image_file.read(before).shape == image_file.read(after).shape == (8, 12, 3)
    assert image_file.read(before).max() == 0


def test_a_classifier_gives_class_and_probability(answers, picture):
    panel = Panel("Classify", "Classify", "class", Upload())
    answer = answers(Predict("predictions.csv")).answer(panel, [], picture)
    assert answer.classes == {"ankle boot": 0.75} and not answer.images


def test_a_mask_is_handed_over(answers, picture, tmp_path):
    predict = Predict("x.png")
    panel = Panel("Fill", "Fill", "image", Upload())
    answers(predict).answer(panel, [], picture, tmp_path / "mask.png")
    assert predict.calls[0][-2:] == ["--mask", str(tmp_path / "mask.png")]


def test_errors_do_not_name_the_page_s_folders(answers, picture):
    made = answers(Predict(error="{1}: has no pixels"))
    panel = Panel("Translate", "Go", "image", Upload())
    with pytest.raises(UserError, match=r"^my picture\.png: has no pixels$"):
        made.answer(panel, [], picture)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no image yet"),
        ("text", "^bad.png: not an image of a known format"),
        ("large", "^bad.png: has 30x20 pixels; the demo takes up to 0.0005 million"),
    ],
)
def test_a_bad_upload_is_refused_before_it_is_decoded(answers, tmp_path, content, said):
    file = tmp_path / "bad.png"
    if content == "text":
        file.write_text("hello")
    elif content == "large":
        image_file.write(file, np.zeros((20, 30, 3), np.uint8))
        file.write_bytes(file.read_bytes()[:60])  # the header alone
    predict = Predict()
    panel = Panel("Translate", "Go", "image", Upload(most_pixels=500))
    with pytest.raises(UserError, match=said):
        answers(predict).answer(panel, [], file if content else None)
    assert not predict.calls


def test_results_are_deleted_after_a_while(answers, tmp_path):
    made, panel = answers(Predict("grid.png")), Panel("Images", "Draw", "image")
    old, new = (made.answer(panel, []).images[0].parent for _ in range(2))
    os.utime(old, (0, time.time() - KEPT - 5))
    made.answer(panel, [])
    assert not old.exists() and new.exists()
