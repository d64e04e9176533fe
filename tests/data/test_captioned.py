"""Captioned images: words, scenes whose combinations are held out, files, and their errors."""

from common.data.captioned import CaptionedImages
from common.data.captions import TextTable, Vocabulary, words_of
from common.data.synthetic import captioned_scenes as scenes
from common.errors import UserError
from common.images import image_file
from tests.helpers.image_files import noise

import numpy as np
import pytest

TEXTS = [
    "A red three, on BLUE!",
    "medium-light  skin - tone",
    "Über café_3",
    "",
    "??",
    "a unknown b",
]


def test_words_and_the_graph_agree():
    assert words_of(TEXTS[1]) == ["medium-light", "skin", "tone"]
    vocabulary = Vocabulary(sorted({w for t in TEXTS[:3] for w in words_of(t)}), 4)
    table = TextTable(vocabulary)
    np.testing.assert_array_equal(table.tokens(TEXTS).numpy(), vocabulary.tokens(TEXTS))
    assert vocabulary.unknown("a bleu purple") == {"bleu": "blue", "purple": None}


def test_a_fifth_of_the_combinations_is_held_out():
    every = [(digit, colour) for digit in range(10) for colour in scenes.COLOURS]
    out = {pair for pair in every if scenes.held_out(*pair)}
    assert len(out) == len(every) // 5
    assert {digit for digit, _ in set(every) - out} == set(range(10))
    assert {colour for _, colour in set(every) - out} == set(scenes.COLOURS)
    for split in ("train", "test", "held_out"):
        for index in range(60):
            what = scenes.scene(split, index, index % 10)
            assert scenes.held_out(what.digit, what.colour) == (split == "held_out")


def test_a_caption_names_what_it_says_and_no_more():
    random = np.random.default_rng(0)
    for index in range(200):
        what = scenes.scene("train", index, index % 10)
        text, named = scenes.caption(what, random)
        words = set(words_of(text))
        colours = words & (set(scenes.COLOURS) | {"grey", "gray"})
        assert bool(colours) == bool({"colour", "background"} & set(named))
        assert words & {scenes.DIGITS[what.digit], str(what.digit)}
        assert ("colour" not in named) or what.colour in words
        assert "-" not in text


def test_a_wrong_scene_differs_in_one_named_attribute():
    train = CaptionedImages(0, "embedded").splits["train"]
    train.count = 300
    random = np.random.default_rng(0)
    for index in range(50):
        drawn = train.draw(index, random)
        right, wrong = train.scene(index), train.scene(drawn.wrong)
        compared = ("digit", "colour", "background")
        changed = [each for each in compared if getattr(right, each) != getattr(wrong, each)]
        assert len(changed) == 1 and changed[0] in drawn.named


def test_a_wrong_scene_of_a_few_differs_in_a_named_attribute():
    train = CaptionedImages(0, "embedded").splits["train"]
    train.count = 3
    random = np.random.default_rng(0)
    for index in range(3):
        drawn = train.draw(index, random)
        assert train.scene(index).differs(train.scene(drawn.wrong), drawn.named)


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        image_file.write(tmp_path / f"{number}.png", noise(40, 36, number))
        (tmp_path / f"{number}.txt").write_text(f"picture {number}\n\nnumber {number}\n")
    return tmp_path


def test_a_stream_is_addressed_by_step(folder):
    data = CaptionedImages(3, str(folder), image_size=32, augment=True)
    whole = [[t.numpy() for t in b] for b in data.stream(2, 0, 4)]
    later = [[t.numpy() for t in b] for b in data.stream(2, 2, 4)]
    for one, other in zip(whole[2:], later, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    x, text, wrong = whole[0]
    assert x.shape == wrong.shape == (2, 32, 32, 3) and text.dtype == np.int32


def test_embeddings_are_read_beside_images(folder):
    values = np.arange(6 * 5 * 3, dtype=float).reshape(6, 5, 3)
    file = folder / "e.npz"
    np.savez(file, files=[f"{k}.png" for k in range(6)], embeddings=values)
    data = CaptionedImages(0, str(folder), image_size=32, embeddings=str(file))
    assert data.found["embedding_size"] == 3 and data.found["vocabulary"] == []
    _, text, _ = next(iter(data.stream(2, 0, 1)))
    assert text.shape == (2, 3) and text.dtype == "float32"
    np.savez(file, files=["0.png"], embeddings=values[:1])
    with pytest.raises(UserError, match=r"has none of \d\.png"):
        CaptionedImages(0, str(folder), embeddings=str(file))


def test_what_is_missing_is_named_in_a_line(folder, capsys):
    csv = folder / "c.csv"
    csv.write_text("file,caption\n0.png,one\nmissing.png,two\n1.png,three\n")
    with pytest.raises(UserError, match=r"a caption without image: .*missing\.png"):
        CaptionedImages(0, str(csv))
    csv.write_text("file,caption\n0.png, \n")
    with pytest.raises(UserError, match=r"line 2: 0\.png has an empty caption"):
        CaptionedImages(0, str(csv))
    (folder / "2.txt").unlink()
    with pytest.raises(UserError, match=r"no captions in 2\.txt .*--skip_bad_images"):
        CaptionedImages(0, str(folder))
    capsys.readouterr()
    data = CaptionedImages(0, str(folder), skip_bad_images=True)
    names = {part.name(i) for part in data.splits.values() for i in range(len(part))}
    assert names == {path.name for path in folder.glob("*.png")} - {"2.png"}
    said = f"skipped 1 images without captions in {folder}, such as {folder / '2.png'}"
    assert said in capsys.readouterr().out
    csv.write_text("file,caption\n0.png,one\nmissing.png,two\n1.png,three\n")
    data = CaptionedImages(0, str(csv), skip_bad_images=True)
    part = data.splits["train"]
    assert len(data.examples("train")) == len(part) - ("missing.png" in map(part.name, range(2)))


def test_names_of_embeddings_may_be_bytes(folder, tmp_path):
    file, names = tmp_path / "e.npz", sorted(path.name for path in folder.glob("*.png"))
    values = np.zeros((len(names), 2, 3), "float32")
    np.savez(file, files=np.array(names, "S"), embeddings=values)
    assert CaptionedImages(0, str(folder), embeddings=str(file)).found["embedding_size"] == 3
    np.savez(file, files=np.array(names, object), embeddings=values)
    with pytest.raises(UserError, match=r"arrays of Python objects: save names with astype\(str\)"):
        CaptionedImages(0, str(folder), embeddings=str(file))


def test_folders_of_splits_and_classes(folder):
    """Without test/ an image is held out; a wrong image is one of another class."""
    for number in range(6):
        target = folder / "train" / "ab"[number % 2]
        target.mkdir(parents=True, exist_ok=True)
        for file in (f"{number}.png", f"{number}.txt"):
            (folder / file).rename(target / file)
    data = CaptionedImages(0, str(folder), image_size=32)
    assert (data.training_count, len(data.splits["test"])) == (5, 1)
    assert len(data.examples("test")) == len(data.found["examples"]) == 1
    train, random = data.splits["train"], np.random.default_rng(0)
    for index in range(5):
        wrong = train.draw(index, random).wrong
        assert train.paths[wrong].parent != train.paths[index].parent
    (folder / "train" / "a").rename(folder / "test")
    with pytest.raises(UserError, match="training images of two different captions, or classes"):
        CaptionedImages(0, str(folder))
    (folder / "train" / "b").rename(folder / "b")
    (folder / "train").rmdir()
    (folder / "b").rename(folder / "train")
    splits = CaptionedImages(0, str(folder), image_size=32).splits
    assert [len(splits[split]) for split in ("train", "test")] == [3, 3]
