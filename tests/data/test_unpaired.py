"""Unpaired images: what a training batch and a held-out image hold, to the pixel."""

from common.data.unpaired import UnpairedImages
from common.errors import UserError
from common.images import image_file
from tests.helpers.image_files import noise, truncate

import numpy as np
import pytest
from PIL import Image

COUNTS = {"trainA": 6, "trainB": 4, "testA": 2, "testB": 3}


def image(split, number):
    return noise(20, 20, [sorted(COUNTS).index(split), number])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of two domains, all different; not to be changed."""
    folder = tmp_path_factory.mktemp("unpaired")
    for split, count in COUNTS.items():
        for number in range(count):
            image_file.write(folder / split / f"{number}.png", image(split, number))
    return folder


def unpaired(folder, image_size=16, seed=0, **options):
    return UnpairedImages(seed, str(folder), image_size=image_size, **options)


def training(data, batch_size=1, start=0, stop=12):
    """Training images a and b: (steps * batch_size, H, W, C) each."""
    batches = data.stream(batch_size, start, stop).as_numpy_iterator()
    a, b = zip(*batches, strict=True)
    return np.concatenate(a), np.concatenate(b)


def bicubic(image, side):
    """Pillow's own resize: (H, W, 3) -> float32 (side, side, 3) in [-1, 1]."""
    resized = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(resized, np.float32) / 127.5 - 1


def places(shown, split, side):
    """(number, top, left, flip) of every training image, of which there must be exactly one."""
    wholes = [bicubic(image(split, number), side) for number in range(COUNTS[split])]
    found = []
    for one in shown:
        (place,) = [
            (number, top, left, flip)
            for number, whole in enumerate(wholes)
            for top in range(side - 15)
            for left in range(side - 15)
            for flip in (1, -1)
            if np.allclose(whole[top : top + 16, left : left + 16][:, ::flip], one, atol=1e-6)
        ]
        found.append(place)
    return found


def test_each_domain_is_cropped_and_mirrored_by_itself(folder):
    a, b = training(unpaired(folder, load_size=19), stop=40)
    of_a, of_b = places(a, "trainA", 19), places(b, "trainB", 19)
    for found, count in ((of_a, 6), (of_b, 4)):
        numbers, tops, lefts, flips = map(set, zip(*found, strict=True))
        assert numbers == set(range(count)) and flips == {1, -1}
        assert tops == lefts == set(range(4))  # to the last row and column of the margin
    for part in (1, 2, 3):  # the same lots for both would agree always
        agree = np.mean([x[part] == y[part] for x, y in zip(of_a, of_b, strict=True)])
        assert agree < 0.8


def test_each_domain_is_shuffled_by_itself_and_passed_through_wholly(folder):
    data = unpaired(folder, load_size=16, flip=False)
    a, b = training(data, 4, stop=6)  # 24 images of each: 4 passes of A, 6 of B
    for shown, split in ((a, "trainA"), (b, "trainB")):
        count = COUNTS[split]
        passes = np.reshape([place[0] for place in places(shown, split, 16)], (-1, count))
        np.testing.assert_array_equal(np.sort(passes), [range(count)] * (24 // count))
        assert len({tuple(one) for one in passes}) > 1
    assert data.training_count == 6  # of the larger domain


def test_equal_counts_are_not_paired(tmp_path):
    """With one permutation for both, image n of A would always meet image n of B."""
    for split in ("trainA", "trainB"):
        for number in range(8):
            grayscale = np.full((8, 8, 3), 30 * number, np.uint8)
            image_file.write(tmp_path / split / f"{number}.png", grayscale)
    for split in ("testA", "testB"):
        image_file.write(tmp_path / split / "0.png", noise(8, 8, 0))
    a, b = training(unpaired(tmp_path, image_size=8), stop=40)
    assert np.mean(a.mean((1, 2, 3)) == b.mean((1, 2, 3))) < 0.5


def test_a_batch_larger_than_the_smaller_domain(folder):
    a, b = training(unpaired(folder, load_size=16, flip=False), 6, stop=2)
    assert sorted(place[0] for place in places(b[:4], "trainB", 16)) == [0, 1, 2, 3]
    assert len(a) == len(b) == 12


def test_resume_sees_the_batches_of_the_uninterrupted_run(folder):
    whole = training(unpaired(folder), 2, stop=9)
    tail = training(unpaired(folder), 2, start=4, stop=9)
    other = training(unpaired(folder, seed=1), 2, stop=9)
    for a, b, c in zip(whole, tail, other, strict=True):
        np.testing.assert_array_equal(a[8:], b)
        assert (a != c).any()


@pytest.mark.parametrize(
    "sides, modes, size, channels",
    [((28, 28), "LL", 28, 1), ((50, 30), ("L", "RGB"), 48, 3), ((300, 70), ("RGB", "L"), 128, 3)],
)
def test_a_folder_has_its_usual_side_and_channels(tmp_path, sides, modes, size, channels):
    for domain, side, mode in zip("AB", sides, modes, strict=True):
        (tmp_path / f"train{domain}").mkdir()
        for number in range(4):
            pixels = Image.fromarray(noise(side, side + 9, [number])).convert(mode)
            pixels.save(tmp_path / f"train{domain}" / f"{number}.png")
    data = UnpairedImages(0, str(tmp_path))
    assert (data.found["image_size"], data.found["channels"]) == (size, channels)
    assert data.load_size == round(size * 143 / 128)
    about = f"{size}x{size}" + (", grayscale)" if channels == 1 else ")")
    assert data.description.endswith(about)
    a, _ = training(data, 2, stop=1)
    assert a.shape == (2, size, size, channels)
    given = UnpairedImages(0, str(tmp_path), image_size=24, channels=1)
    assert (given.image_size, given.channels) == (24, 1)


def test_sizes_by_default(folder):
    data = UnpairedImages(0, "embedded")
    assert (data.image_size, data.load_size, data.channels, data.flip) == (128, 143, 3, True)
    assert UnpairedImages(0, str(folder), image_size=256).load_size == 286
    digits = UnpairedImages(0, "digits_outlines")
    assert (digits.image_size, digits.load_size, digits.channels) == (32, 32, 1)
    assert not digits.flip
    assert digits.found["dataset"] == "digits_outlines" and digits.labelled.classes == 10
    a, b = training(digits, 2, stop=1)
    assert a.shape == b.shape == (2, 32, 32, 1) and (a[:, :2] == -1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 4}, "--channels 4: give 3"),
        ({"image_size": 0}, "--image_size 0: give 1"),
        ({"load_size": 15}, "--load_size 15: give at least 16"),
    ],
)
def test_invalid_options_are_refused_by_name(folder, options, message):
    with pytest.raises(UserError, match=message):
        unpaired(folder, **options)


def test_an_image_size_too_small_for_facades_is_refused():
    with pytest.raises(UserError, match="--image_size 12: give at least 16 for generated facades"):
        UnpairedImages(0, "embedded", image_size=12)


def test_grayscale_images(folder):
    colour, grayscale = (
        training(unpaired(folder), 2, stop=3),
        training(unpaired(folder, channels=1), 2, stop=3),
    )
    for rgb, one in zip(colour, grayscale, strict=True):
        assert one.shape == (6, 16, 16, 1)
        luma = rgb @ np.float32([[0.299], [0.587], [0.114]])  # ITU-R 601, rounded to 8 bits
        np.testing.assert_allclose(one, luma, atol=1.1 / 127.5)


def test_the_cache_changes_nothing_and_saves_reading(folder, monkeypatch):
    reads = []
    read = image_file.read
    monkeypatch.setattr(image_file, "read", lambda path, *a: reads.append(path) or read(path, *a))
    without = training(unpaired(folder, cache_mb=0), stop=18)
    assert len(reads) == 36
    reads.clear()
    cached = training(unpaired(folder, cache_mb=1), stop=18)
    assert len(set(reads)) == 10 and len(reads) <= 13  # two threads may read one image at once
    for a, b in zip(cached, without, strict=True):
        np.testing.assert_array_equal(a, b)


def test_held_out_images_are_only_resized(folder):
    data = unpaired(folder)
    first, again = list(data.held_out("B", "test")), list(data.held_out("B", "test"))
    assert [one.name for one in first] == ["0.png", "1.png", "2.png"]
    assert len(list(data.held_out("B", "test", 2))) == 2
    for number, (one, two) in enumerate(zip(first, again, strict=True)):
        np.testing.assert_allclose(one.x, bicubic(image("testB", number), 16), atol=1e-6)
        np.testing.assert_array_equal(one.x, two.x)
        assert one.target is None and one.label is None


def test_held_out_images_of_generated_datasets_have_targets():
    data = UnpairedImages(0, "embedded", image_size=32)
    (day,) = data.held_out("A", "test", 1)
    assert day.target.shape == day.x.shape == (32, 32, 3) and day.label is None
    assert day.target.mean() < day.x.mean()
    digits = UnpairedImages(0, "digits_negatives")
    (one,) = digits.held_out("B", "test", 1)
    np.testing.assert_allclose(one.target, -one.x, atol=1e-6)
    assert 0 <= one.label < 10


def test_fingerprints_differ_between_datasets(folder, tmp_path):
    found = unpaired(folder).fingerprint()
    assert found["trainA"].startswith("6 images, ") and set(found) == set(COUNTS)
    embedded = [UnpairedImages(seed, "embedded").fingerprint() for seed in (0, 0, 1)]
    assert embedded[0] == embedded[1] != embedded[2]
    assert len(set(embedded[0].values())) == 4
    changed = [
        UnpairedImages(0, f"digits_{kind}").fingerprint() for kind in ("outlines", "negatives")
    ]
    assert changed[0] != changed[1]


@pytest.fixture
def damaged(tmp_path):
    """Four images of each split, of which one is truncated in trainB and in testA."""
    for split in COUNTS:
        for number in range(4):
            image_file.write(tmp_path / split / f"{number}.png", noise(16, 16, [number]))
    truncate(tmp_path / "trainB" / "2.png")
    truncate(tmp_path / "testA" / "0.png")
    return tmp_path


def test_a_bad_image_stops_the_stream_and_is_named(damaged):
    data = unpaired(damaged)
    with pytest.raises(Exception, match=r"trainB/2\.png"):
        training(data, stop=4)
    assert "trainB/2.png" in str(data.error) and "--skip_bad_images" in str(data.error)
    with pytest.raises(UserError, match=r"testA/0\.png"):
        list(data.held_out("A", "test"))


def test_bad_images_can_be_skipped_and_named_once(damaged, capsys):
    data = unpaired(damaged, skip_bad_images=True, load_size=16, flip=False)
    a, b = training(data, stop=8)
    good = {bicubic(noise(16, 16, [n]), 16).tobytes(): n for n in range(4)}
    assert sorted(good[one.tobytes()] for one in a) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert sorted(good[one.tobytes()] for one in b) == [0, 0, 1, 1, 3, 3, 3, 3]  # the next one
    assert [one.name for one in data.held_out("A", "test")] == ["1.png", "2.png", "3.png"]
    out = capsys.readouterr().out
    assert out.count("skipped /") == 2 and out.count("2.png") == out.count("0.png") == 1


def test_a_domain_without_readable_images_is_an_error(damaged):
    for path in (damaged / "trainA").iterdir():
        truncate(path)
    data = unpaired(damaged, skip_bad_images=True)
    with pytest.raises(Exception, match="no image of trainA/ can be read"):
        training(data, stop=1)
