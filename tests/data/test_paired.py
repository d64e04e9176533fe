"""Paired images: exact content of training batches and held-out pairs."""

from common.data.paired import PairedImages
from common.data.sources import paired as sources
from common.errors import UserError
from common.images import image_file
from tests.helpers.image_files import noise, truncate, write_pairs

import numpy as np
import pytest
from PIL import Image


def paired(folder, image_size=16, channels_in=3, channels_out=3, seed=0, **options):
    return PairedImages(image_size, channels_in, channels_out, seed, str(folder), **options)


def training(data, batch_size=1, start=0, stop=12):
    """Training images x and y: (steps * batch_size, H, W, C) each."""
    batches = data.stream(batch_size, start, stop).as_numpy_iterator()
    x, y = zip(*batches, strict=True)
    return np.concatenate(x), np.concatenate(y)


def bicubic(image, side):
    """Pillow's own resize: (H, W, 3) -> float32 (side, side, 3) in [-1, 1]."""
    resized = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(resized, np.float32) / 127.5 - 1


@pytest.fixture
def twins(tmp_path):
    """Pairs whose A equals their B."""
    for number in range(5):
        half = noise(30, 30, number)
        image_file.write(tmp_path / "train" / f"{number}.png", np.concatenate([half, half], 1))
    for split in ("val", "test"):
        write_pairs(tmp_path / split, 2)
    return tmp_path


def test_both_halves_get_the_same_crop_and_flip(twins):
    x, y = training(paired(twins, load_size=24), stop=25)
    np.testing.assert_array_equal(x, y)
    assert len({image.tobytes() for image in x}) > 20  # five images, jittered


def test_a_training_image_is_a_crop_of_pillows_resize_mirrored_or_not(pairs_folder):
    data = paired(pairs_folder, load_size=19)
    x, y = training(data, stop=24)
    wholes = {(n, half): bicubic(noise(20, 20, [n, half]), 19) for n in range(6) for half in (0, 1)}

    def crop(number, half, top, left, flip):
        return wholes[number, half][top : top + 16, left : left + 16][:, ::flip]

    seen = set()
    for x_one, y_one in zip(x, y, strict=True):
        places = [
            (number, top, left, flip)
            for number in range(6)
            for top in range(4)
            for left in range(4)
            for flip in (1, -1)
            if np.allclose(crop(number, 0, top, left, flip), x_one, atol=1e-6)
        ]
        (place,) = places  # a unique crop
        np.testing.assert_allclose(crop(place[0], 1, *place[1:]), y_one, atol=1e-6)
        seen.add(place)
    numbers, tops, lefts, flips = map(set, zip(*seen, strict=True))
    assert numbers == set(range(6)) and flips == {1, -1}
    assert tops == lefts == set(range(4))  # to the last row and column of the margin


def test_load_size_is_that_of_the_paper_unless_given(pairs_folder):
    assert paired(pairs_folder, image_size=256).load_size == 286
    assert paired(pairs_folder, image_size=128).load_size == 143
    with pytest.raises(UserError, match=r"--load_size 15: give at least --image_size 16"):
        paired(pairs_folder, load_size=15)
    with pytest.raises(UserError, match="--image_size 0"):
        paired(pairs_folder, image_size=0)
    with pytest.raises(UserError, match="--load_size 0"):
        paired(pairs_folder, load_size=0)


def test_without_crop_and_flip_training_images_are_only_resized(pairs_folder):
    x, _ = training(paired(pairs_folder, load_size=16, flip=False), stop=6)
    expected = {bicubic(noise(20, 20, [number, 0]), 16).tobytes() for number in range(6)}
    assert {image.tobytes() for image in x} == expected


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_direction(pairs_folder, direction):
    x_half, y_half = (0, 1) if direction == "AtoB" else (1, 0)
    data = paired(pairs_folder, direction=direction)
    names, xs, ys = zip(*data.pairs("test"), strict=True)
    assert names == ("8.png", "9.png")
    for number, x, y in zip((8, 9), xs, ys, strict=True):
        np.testing.assert_allclose(x, bicubic(noise(20, 20, [number, x_half]), 16), atol=1e-6)
        np.testing.assert_allclose(y, bicubic(noise(20, 20, [number, y_half]), 16), atol=1e-6)
    forth, _ = training(paired(pairs_folder, direction="AtoB"), stop=4)
    _, back = training(paired(pairs_folder, direction="BtoA"), stop=4)
    np.testing.assert_array_equal(forth, back)


def test_the_default_direction(pairs_folder, tmp_path, monkeypatch):
    def fetch(url, folder, label):
        for split in sources.SPLITS:
            write_pairs(folder / split, 1)

    monkeypatch.setattr(sources, "fetch_archive", fetch)
    found = {
        name: PairedImages(16, 3, 3, 0, name, str(tmp_path)).direction
        for name in ("facades", "maps", "embedded")
    }
    assert found == {"facades": "BtoA", "maps": "AtoB", "embedded": "BtoA"}
    assert paired(pairs_folder).direction == "AtoB"


@pytest.mark.parametrize("channels", [(1, 3), (3, 1), (1, 1)])
def test_channels(pairs_folder, channels):
    colour = paired(pairs_folder)
    data = paired(pairs_folder, channels_in=channels[0], channels_out=channels[1])
    for grey_or_not, both in zip(
        training(data, 2, stop=3), training(colour, 2, stop=3), strict=True
    ):
        assert grey_or_not.dtype == np.float32 and grey_or_not.shape[:3] == (6, 16, 16)
        if grey_or_not.shape[-1] == 1:  # ITU-R 601 luma, rounded to 8 bits
            luma = both @ np.float32([[0.299], [0.587], [0.114]])
            np.testing.assert_allclose(grey_or_not, luma, atol=1.1 / 127.5)
        else:
            np.testing.assert_array_equal(grey_or_not, both)
    assert [a.shape[-1] for a in training(data, stop=1)] == list(channels)
    _, x, y = next(data.pairs("val"))
    assert (x.shape[-1], y.shape[-1]) == channels


@pytest.mark.parametrize("option", ["channels_in", "channels_out"])
def test_other_channels_are_refused(pairs_folder, option):
    with pytest.raises(UserError, match=f"--{option} 4: give 3"):
        paired(pairs_folder, **{option: 4})


def test_the_cache_changes_nothing_and_saves_reading(pairs_folder, monkeypatch):
    reads = []
    read = image_file.read
    monkeypatch.setattr(image_file, "read", lambda path, *a: reads.append(path) or read(path, *a))
    without = training(paired(pairs_folder, cache_mb=0), stop=18)
    assert len(reads) == 18
    reads.clear()
    cached = training(paired(pairs_folder, cache_mb=1), stop=18)
    assert len(set(reads)) == 6 and len(reads) <= 8  # two threads may read one image at once
    for a, b in zip(cached, without, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_cache_keeps_to_its_size(pairs_folder):
    data = paired(pairs_folder, image_size=256, load_size=400, cache_mb=1)  # 0.92 MiB a pair
    training(data, stop=6)
    assert len(data._cache) == 1


def test_held_out_pairs_are_only_resized_and_always_the_same(pairs_folder):
    data = paired(pairs_folder)
    first, again = list(data.pairs("val")), list(data.pairs("val"))
    assert len(first) == 2 and len(list(data.pairs("val", 1))) == 1
    for (_, x, y), (_, x2, y2) in zip(first, again, strict=True):
        np.testing.assert_array_equal(x, x2)
        np.testing.assert_array_equal(y, y2)
    np.testing.assert_allclose(first[0][1], bicubic(noise(20, 20, [6, 0]), 16), atol=1e-6)


@pytest.fixture
def damaged(tmp_path):
    """Four training and two test pairs, one truncated in each split."""
    write_pairs(tmp_path / "train", 4)
    write_pairs(tmp_path / "val", 1)
    write_pairs(tmp_path / "test", 2)
    truncate(tmp_path / "train" / "2.png")
    truncate(tmp_path / "test" / "0.png")
    return tmp_path


def test_a_bad_image_stops_the_stream_and_is_named(damaged):
    data = paired(damaged)
    with pytest.raises(Exception, match=r"train/2\.png"):
        training(data, stop=4)
    assert isinstance(data.error, UserError)
    assert "train/2.png" in str(data.error) and "--skip_bad_images" in str(data.error)
    with pytest.raises(UserError, match=r"test/0\.png"):
        list(data.pairs("test"))


def test_bad_images_can_be_skipped_and_named_once(damaged, capsys):
    data = paired(damaged, skip_bad_images=True, load_size=16, flip=False)
    x, _ = training(data, stop=12)
    good = {bicubic(noise(20, 20, [n, 0]), 16).tobytes(): n for n in (0, 1, 3)}
    seen = [good[image.tobytes()] for image in x]
    assert sorted(seen) == [0, 0, 0, 1, 1, 1, 3, 3, 3, 3, 3, 3]  # replaced by the next one
    assert [name for name, _, _ in data.pairs("test")] == ["1.png"]
    out = capsys.readouterr().out
    assert out.count("skipped /") == 2 and out.count("2.png") == out.count("0.png") == 1


def test_a_dataset_without_readable_images_is_an_error(damaged):
    for path in (damaged / "train").iterdir():
        truncate(path)
    data = paired(damaged, skip_bad_images=True)
    with pytest.raises(Exception, match="no training image can be read"):
        training(data, stop=1)
    assert str(damaged) in str(data.error)


def test_resume_sees_the_batches_of_the_uninterrupted_run(pairs_folder):
    whole = training(paired(pairs_folder), 2, stop=9)
    tail = training(paired(pairs_folder), 2, start=4, stop=9)
    for a, b in zip(whole, tail, strict=True):
        np.testing.assert_array_equal(a[8:], b)
    other = training(paired(pairs_folder, seed=1), 2, stop=9)
    assert (whole[0] != other[0]).any()
