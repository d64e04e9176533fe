"""High-resolution images: exact content of training patches and held-out images."""

from common.data.sources import super_resolution
from common.data.super_resolution import HighResolutionImages, crop_pair
from common.data.synthetic.textures import texture
from common.errors import UserError
from common.images import bicubic, image_file
from tests.helpers.image_files import noise, truncate

import numpy as np
import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("high")
    for number in range(6):
        image_file.write(folder / f"{number}.png", noise(33, 40, number))
    return folder


def found(folder, image_size=16, scale=4, seed=0, **options):
    return HighResolutionImages(image_size, scale, seed, str(folder), **options)


def training(data, batch_size=1, start=0, stop=12):
    batches = data.stream(batch_size, start, stop).as_numpy_iterator()
    lr, hr = zip(*batches, strict=True)
    return np.concatenate(lr), np.concatenate(hr)


@pytest.mark.parametrize("scale", [2, 4])
def test_a_training_patch_is_a_crop_of_its_image_rotated_and_mirrored(folder, scale):
    data = found(folder, scale=scale, skip_bad_images=True)
    lr, hr = training(data, 2, stop=12)
    assert lr.dtype == hr.dtype == np.float32
    assert lr.shape == (24, 16 // scale, 16 // scale, 3) and hr.shape == (24, 16, 16, 3)
    assert 0 <= lr.min() < 0.5 < lr.max() <= 1 and -1 <= hr.min() < 0 < hr.max() <= 1
    wholes = [noise(33, 40, number) for number in range(6)]
    ways = set()
    for small, large in zip(lr, hr, strict=True):
        large = image_file.to_uint8(large)
        places = []
        for turns in range(4):
            for mirror in (1, -1):
                back = np.rot90(large, -turns)[:, ::mirror]
                for number, whole in enumerate(wholes):
                    views = np.lib.stride_tricks.sliding_window_view(whole, (16, 16), (0, 1))
                    hits = np.argwhere((views == back.transpose(2, 0, 1)).all((2, 3, 4)))
                    places += [(number, turns, mirror, *hit) for hit in hits]
        (place,) = places  # a unique crop
        number, turns, mirror, top, left = place
        expected, _ = crop_pair(wholes[number], top, left, 16, scale)
        expected = np.rot90(expected[:, ::mirror], turns)
        np.testing.assert_allclose(small, expected / 255, atol=1e-6)
        ways.add((turns, mirror))
    assert len(ways) > 4


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("corner", [(0, 0), (8, 12), (16, 20), (12, 4)])
def test_a_low_resolution_patch_is_a_crop_of_the_downscaled_image(scale, corner):
    whole = noise(32, 36, 9)
    small = bicubic.shrink(whole, scale)
    lr, hr = crop_pair(whole, *corner, 16, scale)
    top, left = (side // scale for side in corner)
    assert np.array_equal(lr, small[top : top + 16 // scale, left : left + 16 // scale])
    assert np.array_equal(hr, whole[corner[0] : corner[0] + 16, corner[1] : corner[1] + 16])


def test_the_stream_is_a_function_of_seed_and_step(folder):
    lr, hr = training(found(folder), 2, stop=6)
    again = training(found(folder), 2, start=3, stop=6)
    np.testing.assert_array_equal(again[0], lr[6:])
    np.testing.assert_array_equal(again[1], hr[6:])
    assert not np.array_equal(training(found(folder, seed=1), 2, stop=6)[1], hr)
    uncached = training(found(folder, cache_mb=0), 2, stop=6)
    np.testing.assert_array_equal(uncached[1], hr)


def test_without_augmentation_patches_are_only_cropped(folder):
    _, hr = training(found(folder, image_size=32, augment=False), stop=12)
    wholes = [noise(33, 40, number) for number in range(6)]
    for patch in image_file.to_uint8(hr):
        assert any(
            np.array_equal(patch, whole[y : y + 32, x : x + 32])
            for whole in wholes
            for y in range(2)
            for x in range(9)
        )


def test_splits_and_fingerprint(folder, tmp_path):
    data = found(folder)
    names = {split: {s.name for s in sources} for split, sources in data.splits.items()}
    assert len(names["train"]) == 5 and len(names["val"]) == 1
    assert names["train"] | names["val"] == {f"{i}.png" for i in range(6)}
    ((name, image),) = data.originals("val")
    assert np.array_equal(image, noise(33, 40, int(name[0])))
    assert found(folder).fingerprint() == data.fingerprint()
    for split, first in (("train", 0), ("val", 5)):
        for number in range(first, first + 2):
            image_file.write(tmp_path / split / f"{number}.png", noise(20, 20, number))
    own = found(tmp_path)
    assert [s.name for s in own.splits["val"]] == ["5.png", "6.png"]
    assert own.fingerprint() != data.fingerprint()
    both = found(f"{folder}, {tmp_path}")
    assert both.training_count == 5 + 2 and len(both.splits["val"]) == 1 + 2
    assert both.found["dataset"] == f"{folder.resolve()},{tmp_path.resolve()}"


def test_a_folder_may_have_a_comma_in_its_name(tmp_path):
    for number in range(2):
        image_file.write(tmp_path / "a,b" / f"{number}.png", noise(20, 20, number))
    assert found(tmp_path / "a,b").training_count == 1


def test_grayscale_files_become_rgb_and_bad_ones_are_named(tmp_path):
    for number in range(2):
        image_file.write(tmp_path / "train" / f"{number}.png", noise(20, 20, number, channels=1))
    image_file.write(tmp_path / "train" / "small.png", noise(15, 40, 7))
    image_file.write(tmp_path / "val" / "0.png", noise(20, 20, 7))
    data = found(tmp_path)
    with pytest.raises(Exception, match=r"small\.png: 40x15 px.*--image_size 16"):
        training(data, stop=3)
    assert "--skip_bad_images" in str(data.error)
    truncate(tmp_path / "train" / "small.png")
    _, hr = training(found(tmp_path, skip_bad_images=True), stop=6)
    assert np.array_equal(hr[..., 0], hr[..., 2])


def test_a_held_out_image_may_be_smaller_than_a_patch(tmp_path):
    for number in range(2):
        image_file.write(tmp_path / "train" / f"{number}.png", noise(30, 30, number))
    image_file.write(tmp_path / "val" / "0.png", noise(21, 22, 7))
    image_file.write(tmp_path / "val" / "1.png", noise(30, 19, 8))
    data = found(tmp_path, image_size=24)
    assert [image.shape[:2] for _, image in data.originals("val")] == [(21, 22), (30, 19)]
    with pytest.raises(UserError, match=r"1\.png: 19x30 px, too small to be evaluated") as caught:
        list(data.originals("val", least=20))
    assert "--image_size" not in str(caught.value)
    data = found(tmp_path, image_size=24, skip_bad_images=True)
    assert [name for name, _ in data.originals("val", least=20)] == ["0.png"]


def test_held_out_images_of_one_name_get_distinct_names(tmp_path):
    for folder in ("a", "b"):
        for split in ("train", "val"):
            image_file.write(tmp_path / folder / split / "0.png", noise(20, 20, len(split)))
    image_file.write(tmp_path / "b" / "val" / "1.png", noise(20, 20, 1))
    both = found(f"{tmp_path / 'a'},{tmp_path / 'b'}")
    assert [name for name, _ in both.originals("val")] == ["a/val/0.png", "b/val/0.png", "1.png"]
    assert [name for name, _ in both.originals("val", 1)] == ["a/val/0.png"]
    alone = found(tmp_path / "b")
    assert [name for name, _ in alone.originals("val")] == ["0.png", "1.png"]
    assert next(found("embedded").originals("val"))[0] == "texture_0200.png"


@pytest.mark.parametrize(
    ("dataset", "message"), [("none_such", "no such folder"), ("embedded,gone", "--dataset gone")]
)
def test_a_missing_dataset_is_refused_by_name(dataset, message):
    with pytest.raises(UserError, match=message):
        found(dataset)


def test_one_image_is_too_few(tmp_path):
    image_file.write(tmp_path / "0.png", noise(20, 20, 0))
    with pytest.raises(UserError, match="one image is too few"):
        found(tmp_path)


def test_div2k_is_two_archives(tmp_path, monkeypatch):
    asked = []

    def fetch(url, folder, label):
        asked.append(url.rpartition("/")[2])
        for number in range(2):
            image_file.write(folder / f"{number}.png", noise(20, 20, number))

    monkeypatch.setattr(super_resolution, "fetch_archive", fetch)
    data = HighResolutionImages(16, 4, 0, data_dir=str(tmp_path))
    assert asked == ["DIV2K_train_HR.zip", "DIV2K_valid_HR.zip"]
    assert data.name == "div2k" and len(data.splits["val"]) == data.training_count == 2


def test_by_default_textures_replace_a_failed_download(monkeypatch, capsys):
    def fetch(*_):
        raise UserError("div2k: no connection")

    monkeypatch.setattr(super_resolution, "fetch_archive", fetch)
    assert HighResolutionImages(16, 4, 0).name == "embedded"
    assert "embedded generated textures instead" in capsys.readouterr().out
    with pytest.raises(UserError, match="no connection"):
        found("div2k")


def test_textures_are_pure_functions_and_differ():
    shown = [texture(0, index, 32) for index in range(8)]
    assert all(t.shape == (32, 32, 3) and t.dtype == np.uint8 for t in shown)
    assert len({t.tobytes() for t in shown}) == 8
    assert all(t.std() > 8 for t in shown)
    for index in range(4):
        assert np.array_equal(texture(0, index, 32), shown[index])
        assert not np.array_equal(texture(1, index, 32), shown[index])
    with pytest.raises(ValueError, match="at least 16"):
        texture(0, 0, 15)


@pytest.mark.parametrize(
    "made, unused",
    [("train/ valid/ test/", "valid/ and test/"), ("train/ val/ test/", "test/"), ("val/", "val/")],
)
def test_held_out_folders_of_other_names_are_said_to_be_unused(tmp_path, capsys, made, unused):
    for split in made.split() + ([] if "train/" in made else ["."]):
        for number in range(3):
            image_file.write(tmp_path / split / f"{number}.png", noise(8, 8, number))
    found(tmp_path)
    remedy = "held-out images are those of val/, beside train/"
    assert f"{tmp_path}: does not use {unused}; {remedy}\n" in capsys.readouterr().out
