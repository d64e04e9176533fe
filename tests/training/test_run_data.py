import shutil

from common.data.captioned import CaptionedImages
from common.data.domains import JointDomains
from common.data.labelled import LabelledImages
from common.data.paired import PairedImages
from common.data.super_resolution import HighResolutionImages
from common.data.unpaired import UnpairedImages
from common.errors import UserError
from common.images import image_file
from common.io import records
from common.training.run_data import open_data, store_places
from common.training.run_folder import Run
from tests.helpers.image_files import noise, write_pairs

import numpy as np
import pytest

SIDE = 16


def files(*folders, side=20):
    for folder in folders:
        for number in range(5):
            image_file.write(folder / f"{number}.png", noise(side, side, number))


def pairs(folder):
    write_pairs(folder / "train", 5)
    return str(folder)


def two_folders(folder):
    files(folder / "A", folder / "B")
    return str(folder)


def class_folders(folder):
    files(folder / "cat", folder / "dog")
    return str(folder)


def two_domains(folder):
    return f"{class_folders(folder / 'source')},{class_folders(folder / 'target')}"


def photos(folder):
    files(folder / "some", folder / "others")
    return f"{folder / 'some'},{folder / 'others'}"


def captioned(folder):
    files(folder)
    for path in folder.glob("*.png"):
        path.with_suffix(".txt").write_text(f"image {path.stem}")
    return str(folder)


# For each kind of data: its class and options, and how its files are laid out.
KINDS = {
    "pairs": (PairedImages, {"image_size": SIDE, "channels_in": 3, "channels_out": 3}, pairs),
    "pairs in two folders": (
        PairedImages,
        {"image_size": SIDE, "channels_in": 3, "channels_out": 3},
        two_folders,
    ),
    "unpaired": (UnpairedImages, {}, two_folders),
    "classes": (LabelledImages, {}, class_folders),
    "two domains": (JointDomains, {"image_size": SIDE}, two_domains),
    "photos": (HighResolutionImages, {"image_size": SIDE, "scale": 2}, photos),
    "captioned": (CaptionedImages, {"image_size": SIDE}, captioned),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


@pytest.fixture
def started(kind, tmp_path):
    """A run that has started on data of this kind, its class and its options."""
    data_class, options, lay_out = kind
    given = {"seed": 0, "dataset": lay_out(tmp_path / "here"), **options}
    run = Run(tmp_path / "run")
    data, fingerprint, images = open_data(data_class, run, given)
    run.write_config("any", given | data.found, fingerprint)
    records.write_json(run.images_file, images.found)
    return run, data_class, run.config()["options"]


def batches(data):
    return [[part.numpy() for part in batch] for batch in data.stream(2, 0, 4)]


def test_moved_data_are_found_at_their_new_place(started, tmp_path):
    run, data_class, options = started
    before = batches(open_data(data_class, run, options)[0])
    (tmp_path / "here").rename(tmp_path / "there")
    option = (
        r"--dataset of the run is .*here.*not there any more.*give its new place with --dataset"
    )
    with pytest.raises(UserError, match=option):
        open_data(data_class, run, options)
    moved = options | {"dataset": options["dataset"].replace("here", "there")}
    data, _, _ = open_data(data_class, run, moved)
    np.testing.assert_equal(batches(data), before)
    store_places(run, options | data.found)
    assert run.config()["options"]["dataset"] == moved["dataset"]
    open_data(data_class, run, run.config()["options"])


def test_other_data_are_not_taken_for_moved_ones(started, tmp_path):
    run, data_class, options = started
    for path in sorted((tmp_path / "here").rglob("3.*")):
        shutil.copy(path, path.with_stem("9"))
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    other = options["dataset"].replace("here", "there")
    with pytest.raises(UserError, match=f"--dataset {other}: not the data of {run.folder}"):
        open_data(data_class, run, options | {"dataset": other})


def test_a_missing_image_is_named_and_can_be_skipped(started, tmp_path):
    run, data_class, options = started
    before = open_data(data_class, run, options)[0].fingerprint()
    missing = next((tmp_path / "here").rglob("2.png"))
    missing.unlink()
    for path in (tmp_path / "here").rglob("2.png"):  # its counterpart in another folder
        path.unlink()
    said = rf"missing: .*{missing.name}.*put them back, or skip them with --skip_bad_images"
    with pytest.raises(UserError, match=said):
        open_data(data_class, run, options)
    skipping = options | {"skip_bad_images": True}
    data, fingerprint, images = open_data(data_class, run, skipping)
    assert fingerprint == before and missing in images.missing
    assert len(batches(data)) == 4
    (tmp_path / "here").rename(tmp_path / "there")
    moved = {"dataset": options["dataset"].replace("here", "there")}
    assert open_data(data_class, run, skipping | moved)[1] == before


def test_a_new_image_is_named(started, tmp_path):
    run, data_class, options = started
    for path in sorted((tmp_path / "here").rglob("2.*")):
        shutil.copy(path, path.with_stem("8"))
    with pytest.raises(UserError, match=r"; new: .*8\.png.*; take out what is new, or start a new"):
        open_data(data_class, run, options)


def test_a_counterpart_in_another_format_takes_the_place_of_a_missing_one(tmp_path):
    data_class, options, lay_out = KINDS["pairs in two folders"]
    given = {"seed": 0, "dataset": lay_out(tmp_path / "here"), "skip_bad_images": True, **options}
    run = Run(tmp_path / "run")
    data, fingerprint, images = open_data(data_class, run, given)
    run.write_config("any", given | data.found, fingerprint)
    records.write_json(run.images_file, images.found)
    path = tmp_path / "here" / "B" / "2.png"
    path.rename(path.with_suffix(".bmp"))
    assert open_data(data_class, run, run.config()["options"])[1] == fingerprint


def test_moved_embeddings_are_found_at_their_new_place(tmp_path):
    dataset = captioned(tmp_path / "here")
    values = np.random.default_rng(0).random((5, 2, 3), np.float32)
    names = [f"{number}.png" for number in range(5)]
    np.savez(tmp_path / "e.npz", files=names, embeddings=values)
    options = {"seed": 0, "dataset": dataset, "embeddings": str(tmp_path / "e.npz")}
    run = Run(tmp_path / "run")
    data, fingerprint, _ = open_data(CaptionedImages, run, options)
    run.write_config("any", options | data.found, fingerprint)
    (tmp_path / "e.npz").rename(tmp_path / "f.npz")
    with pytest.raises(UserError, match="give its new place with --embeddings"):
        open_data(CaptionedImages, run, options)
    moved = options | {"embeddings": str(tmp_path / "f.npz")}
    assert open_data(CaptionedImages, run, moved)[1] == fingerprint
    np.savez(tmp_path / "f.npz", files=names, embeddings=values + 1)
    with pytest.raises(UserError, match=rf"^--embeddings {tmp_path}/f.npz: not the data of"):
        open_data(CaptionedImages, run, moved)


def test_an_old_run_without_an_inventory_names_the_split(tmp_path):
    run = Run(tmp_path / "run")
    options = {"seed": 0, "dataset": class_folders(tmp_path / "here")}
    run.write_config("any", options, {"train": "10 images, abc", "test": "2 images, def"})
    with pytest.raises(UserError, match=r"train had 10 images, abc .* restore the images, or"):
        open_data(LabelledImages, run, options)
