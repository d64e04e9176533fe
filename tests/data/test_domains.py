"""Two labelled domains: what training batches and test images of both hold, to the pixel."""

from common.data.domains import JointDomains, LabelledDomains
from common.data.sources import domains
from common.errors import UserError
from common.images import image_file
from tests.helpers.image_files import noise, truncate

import numpy as np
import pytest
from scipy import ndimage

RANDOM = np.random.default_rng(0)
DIGITS = RANDOM.integers(0, 256, (24, 28, 28)).astype(np.uint8)
LABELS = np.arange(24) % 3
TEST_DIGITS = RANDOM.integers(0, 256, (5, 28, 28)).astype(np.uint8)
USPS_LABELS = np.array([0, 1, 2, 0, 1, 2, 0])
USPS = RANDOM.integers(0, 256, (7, 16, 16)).astype(np.uint8)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A small mnist.npz and usps.npz; not to be changed."""
    folder = tmp_path_factory.mktemp("named")
    arrays = {
        "x_train": DIGITS,
        "y_train": LABELS,
        "x_test": TEST_DIGITS,
        "y_test": [0, 1, 2, 0, 1],
    }
    np.savez(folder / "mnist.npz", **arrays)
    few = {
        "x_train": USPS,
        "y_train": USPS_LABELS,
        "x_test": USPS[:3],
        "y_test": [0, 1, 2],
    }
    np.savez(folder / "usps.npz", **few)
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Ten photographs, each of one colour of its own; not to be changed."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(10):
        flat = np.full((30, 41, 3), [20 * number, 5 * number, 200], np.uint8)
        image_file.write(folder / f"{number}.png", flat)
    return folder


def of_name(data_dir, dataset, image_size=28, seed=0, **options):
    return LabelledDomains(image_size, seed, dataset, str(data_dir), **options)


def training(data, batch_size=4, start=0, stop=6):
    """x_s, y_s, x_t and y_t of all steps: (steps * batch_size, ...) each."""
    parts = zip(*data.stream(batch_size, start, stop).as_numpy_iterator(), strict=True)
    return [np.concatenate(part) for part in parts]


def number_of(image, images):
    """The number of the only one of the images, uint8, that equals this one, in [-1, 1]."""
    (number,) = [
        n for n, one in enumerate(images) if np.array_equal(image_file.to_unit(one), image)
    ]
    return number


# MNIST-M.


def photo_numbers(images, digits):
    """The photograph behind each image, by the red of its patch: |patch - digit| = image."""
    found = []
    for image, digit in zip(images.astype(int), digits.astype(int), strict=True):
        candidates = [
            n
            for n in range(10)
            if np.array_equal(np.abs([20 * n, 5 * n, 200] - digit[..., None]), image)
        ]
        found.append(*candidates)
    return found


def test_an_image_of_mnist_m_is_the_difference_of_a_patch_and_its_digit(data_dir, photos):
    data = of_name(data_dir, "mnist_m", photos=str(photos))
    target = data.target.splits
    train = photo_numbers(target["train"].take(np.arange(24)), DIGITS)
    test = photo_numbers(target["test"].take(np.arange(5)), TEST_DIGITS)
    assert len(set(train)) > 3
    assert not set(train) & set(test)  # test digits are over photographs of their own
    assert data.channels == 3 and data.source.channels == 3
    np.testing.assert_array_equal(target["train"].labels, LABELS)
    x, _ = data.source.arrays("test")
    assert (x == x[..., :1]).all()  # grey as RGB


def test_the_images_of_mnist_m_are_the_same_in_every_run(data_dir, photos):
    one, other = (of_name(data_dir, "mnist_m", seed=s, photos=str(photos)) for s in (0, 1))
    rows = np.array([5, 2, 17])
    for split in ("train", "test"):
        a, b = (data.target.splits[split] for data in (one, other))
        np.testing.assert_array_equal(a.take(rows % len(a)), b.take(rows % len(b)))
    assert one.fingerprint() == other.fingerprint()
    again = one.target.splits["train"].take(rows[::-1])[::-1]
    np.testing.assert_array_equal(again, one.target.splits["train"].take(rows))


def test_generated_textures_are_the_default_backgrounds(data_dir):
    data = of_name(data_dir, "mnist_m")
    images = data.target.splits["train"].take(np.arange(4))
    assert images.shape == (4, 28, 28, 3)
    patches = {tuple(image[0, 0]) for image in images}
    assert len(patches) > 1
    assert (
        data.fingerprint()["target_train"]
        == of_name(data_dir, "mnist_m").fingerprint()["target_train"]
    )


# The other named pairs.


@pytest.mark.parametrize("name", ["mnist_negatives", "mnist_outlines"])
def test_digits_and_changed_digits_are_different_digits(data_dir, name):
    changes = {
        "mnist_negatives": lambda x: 255 - x,
        "mnist_outlines": lambda x: ndimage.grey_dilation(x, (3, 3), mode="constant") - x,
    }
    data = of_name(data_dir, name)
    source, target = data.source.splits["train"], data.target.splits["train"]
    expected = [changes[name](digit) for digit in DIGITS]
    of_source, of_target = (
        {number_of(image_file.to_unit(x[..., 0]), images) for x in split.take(np.arange(12))}
        for split, images in ((source, DIGITS), (target, expected))
    )
    assert len(of_source) == len(of_target) == 12 and not of_source & of_target
    assert len(data.source.splits["test"]) == len(data.target.splits["test"]) == 5
    np.testing.assert_array_equal(data.change(DIGITS[:2, ..., None])[..., 0], expected[:2])
    # Outlines of resized digits are not resized outlines; negatives are.
    assert (of_name(data_dir, name, image_size=16).change is None) == (name == "mnist_outlines")


def test_usps_in_its_own_and_in_mnists_frame(data_dir):
    plain, framed = (of_name(data_dir, f"mnist_usps{name}") for name in ("", "_framed"))
    x, _ = plain.target.arrays("train")
    assert x.shape == (7, 28, 28, 1) and plain.change is None
    order = np.random.default_rng([0, 2]).permutation(7)
    np.testing.assert_array_equal(x[0], image_file.resize(USPS[order[0]][..., None], 28, 28))
    x, y = framed.target.arrays("train")
    inner = image_file.resize(USPS[order[0]][..., None], 20, 20)
    np.testing.assert_array_equal(x[0, 4:-4, 4:-4], inner)
    assert not x[:, :4].any() and not x[:, :, -4:].any()
    np.testing.assert_array_equal(y, USPS_LABELS[order])
    reverse = of_name(data_dir, "usps_framed_mnist")
    np.testing.assert_array_equal(reverse.source.arrays("train")[0], x)
    assert reverse.target.training_count == 24


def test_the_usual_pairs(data_dir, capsys):
    assert of_name(data_dir, None).name == "mnist_m"
    assert JointDomains(28, 0, None, str(data_dir)).name == "mnist_negatives"
    assert capsys.readouterr().out == ""


def test_generated_digits_take_the_place_of_missing_ones(tmp_path, capsys, monkeypatch):
    def missing(name, folder):
        raise UserError(f"--dataset {name}: not there")

    monkeypatch.setattr(domains.labelled, "named_arrays", missing)
    data = of_name(tmp_path, None, image_size=16)
    assert data.name == "embedded" and data.channels == 3
    assert "--dataset mnist: not there\nusing the embedded" in capsys.readouterr().out
    x_s, _, x_t, _ = training(data, stop=1)
    assert x_s.shape == x_t.shape == (4, 16, 16, 3)
    joint = JointDomains(16, 0, "embedded")
    assert joint.change is not None and joint.channels == 1


# Any two datasets.


def write_classes(folder, names, count=4, channels=3, side=10):
    for name in names:
        for number in range(count):
            image = noise(side, side, [number, len(name), side], channels)
            image_file.write(folder / name / f"{number}.png", image)
    return folder


def test_two_folders_of_class_folders(tmp_path):
    a = write_classes(tmp_path / "a", ["cat", "dog"])
    b = write_classes(tmp_path / "b", ["dog", "cat"], side=14)
    data = LabelledDomains(8, 0, f"{a},{b}")
    assert data.name == f"{a},{b}" and data.class_names == ["cat", "dog"]
    assert data.found["classes"] == 2 and data.target.classes == 2
    other = LabelledDomains(8, 0, f"{a},{b}", class_names=["dog", "cat"])
    for dataset, order in ((data, ["cat", "dog"]), (other, ["dog", "cat"])):
        split = dataset.target.splits["train"]
        for path, label in zip(split.paths, split.labels, strict=True):
            assert path.parent.name == order[label]
    x_s, y_s, x_t, y_t = training(data, 2)
    assert x_s.shape == x_t.shape == (12, 8, 8, 3)
    assert set(y_s) == {0, 1} and set(y_t) == {-1}


def test_a_target_without_classes(tmp_path):
    a = write_classes(tmp_path / "a", ["cat", "dog"])
    write_classes(tmp_path, ["flat"])
    data = LabelledDomains(8, 0, f"{a},{tmp_path / 'flat'}")
    assert data.classes == 2 and data.target.classes == 0
    assert "2 classes" in data.description
    again = LabelledDomains(8, 0, **{k: v for k, v in data.found.items() if k != "classes"})
    assert again.fingerprint() == data.fingerprint() and again.class_names == ["cat", "dog"]
    turned = LabelledDomains(8, 0, f"{tmp_path / 'flat'},{a}")  # a source without classes
    again = LabelledDomains(8, 0, **{k: v for k, v in turned.found.items() if k != "classes"})
    assert again.fingerprint() == turned.fingerprint() and again.classes == 0


def test_a_target_in_another_order_of_the_classes_gets_the_sources(tmp_path):
    a = write_classes(tmp_path / "a", ["cat", "dog"])
    b = write_classes(tmp_path / "b", ["cat", "dog"])
    data = LabelledDomains(8, 0, f"{a},{b}", class_names=["dog", "cat"])
    assert data.source.class_names == data.target.class_names == ["dog", "cat"]
    own = LabelledDomains(8, 0, f"{a},{b}")
    of_target = [np.sort(each.target.arrays("train", 9)[1]) for each in (data, own)]
    np.testing.assert_array_equal(np.sort(1 - of_target[0]), of_target[1])


def test_an_archive_and_a_named_dataset(data_dir, tmp_path):
    np.savez(tmp_path / "my.npz", x_train=USPS, y_train=[2, 1, 0, 2, 1, 0, 0])
    data = of_name(data_dir, f"mnist,{tmp_path / 'my.npz'}", image_size=16)
    assert data.source.training_count == 24 and data.target.classes == 3


def test_labels_are_those_of_the_sources_classes():
    """Names in another order get the labels of the source."""
    source = domains.Found("s", None, None, ["b", "a"], 8, 1)
    split = domains.ArraySplit(USPS, np.arange(3), np.array([0, 1, 1], np.int32))
    target = domains.Found("t", split, split, ["a", "b"], 8, 1)
    new = domains.with_labels_of(source, target, "s,t")
    np.testing.assert_array_equal(new.train.labels, [1, 0, 0])
    assert new.class_names == ["b", "a"]


# Training batches.


def test_each_domain_is_shuffled_by_itself_and_passed_through_wholly(data_dir):
    data = of_name(data_dir, "mnist_usps", image_size=16)
    x_s, y_s, x_t, _ = training(data, 4, stop=42)  # 168 images: 7 passes of MNIST, 24 of USPS
    plain = of_name(data_dir, "mnist_usps", image_size=16)
    for shown, domain in ((x_s, plain.source), (x_t, plain.target)):
        count = domain.training_count
        images, _ = domain.training_batch(np.arange(count))
        numbers = [number_of(image, images) for image in shown]
        passes = np.reshape(numbers, (-1, count))
        np.testing.assert_array_equal(np.sort(passes), [range(count)] * len(passes))
        assert len({tuple(one) for one in passes}) > 1
        if domain is plain.source:
            np.testing.assert_array_equal(LABELS[numbers], y_s)


def test_equal_domains_are_not_paired(data_dir):
    data = of_name(data_dir, "mnist,mnist")
    x_s, _, x_t, _ = training(data, 4, stop=30)
    assert np.mean([np.array_equal(a, b) for a, b in zip(x_s, x_t, strict=True)]) < 0.2


def test_a_batch_larger_than_a_domain(data_dir):
    data = of_name(data_dir, "mnist_usps", image_size=16)
    _, _, x_t, _ = training(data, 24, stop=1)
    assert x_t.shape == (24, 16, 16, 1) and data.training_count == 24


@pytest.mark.parametrize("options", [{}, {"image_size": 16}, {"baseline": "target"}])
def test_resume_sees_the_batches_of_the_uninterrupted_run(data_dir, photos, options):
    options = {"photos": str(photos)} | options
    whole = training(of_name(data_dir, "mnist_m", **options), stop=9)
    tail = training(of_name(data_dir, "mnist_m", **options), start=4, stop=9)
    other = training(of_name(data_dir, "mnist_m", seed=1, **options), stop=9)
    for a, b, c in zip(whole[:3], tail[:3], other[:3], strict=True):
        np.testing.assert_array_equal(a[16:], b)
        assert (a != c).any()


def test_rows_are_those_of_the_whole_batch(data_dir):
    data = of_name(data_dir, "mnist_usps")
    whole = next(data.stream(4, 3, 4).as_numpy_iterator())
    part = next(data.stream(4, 3, 4, range(1, 3)).as_numpy_iterator())
    for a, b in zip(whole, part, strict=True):
        np.testing.assert_array_equal(a[1:3], b)


def test_training_sees_the_labels_of_the_target_only_where_the_baseline_asks(data_dir):
    for baseline in (None, "source"):
        *_, y_t = training(of_name(data_dir, "mnist_usps", baseline=baseline))
        assert set(y_t) == {-1}
    data = of_name(data_dir, "mnist_usps", baseline="target")
    _, _, x_t, y_t = training(data)
    images, labels = data.target.training_batch(np.arange(7))
    for image, label in zip(x_t, y_t, strict=True):
        assert labels[number_of(image, images)] == label


def test_a_number_of_training_images_is_drawn_by_the_seed(data_dir):
    counts = {"source_count": 6, "target_count": 3}
    data = of_name(data_dir, "mnist_usps", **counts)
    assert (data.source.training_count, data.target.training_count) == (6, 3)
    assert len(data.target.splits["test"]) == 3
    drawn = {
        tuple(of_name(data_dir, "mnist_usps", seed=s, **counts).source.splits["train"].rows)
        for s in (0, 0, 1, 2)
    }
    assert 1 < len(drawn) <= 3


# Errors: one line that names the option and what to do.


@pytest.mark.parametrize(
    ("dataset", "options", "said"),
    [
        ("mnist", {}, "--dataset mnist: give two datasets as SOURCE,TARGET"),
        ("mnist,", {}, "--dataset mnist,: give two datasets"),
        ("mnist,usps,mnist", {}, "give two datasets"),
        ("mnist,nowhere", {}, "--dataset nowhere: no such folder"),
        ("mnist_usps", {"photos": "x"}, "--photos x: needs --dataset mnist_m or digits_m"),
        ("mnist_m", {"photos": "nowhere"}, "--photos nowhere: No such file"),
        ("mnist_usps", {"source_count": 25}, "--source_count 25: mnist has 24 .*; give at most"),
        ("mnist_usps", {"target_count": 0}, "--target_count 0: give 1 or more"),
        ("mnist_usps", {"channels": 2}, "--channels 2: give 3"),
        ("mnist_usps", {"image_size": 0}, "--image_size 0: give 1"),
    ],
)
def test_invalid_options_are_refused_by_name(data_dir, dataset, options, said):
    with pytest.raises(UserError, match=said) as caught:
        of_name(data_dir, dataset, **options)
    assert "\n" not in str(caught.value)


def test_domains_that_do_not_fit_together_are_refused(tmp_path):
    a = write_classes(tmp_path / "a", ["cat", "dog"])
    for name, classes, channels, said in (
        ("empty", [], 3, "empty: no images in this folder: it is empty; put .png"),
        ("grey", ["cat", "dog"], 1, "the source are RGB, .* target grayscale; give --channels 3"),
        ("birds", ["cat", "bird"], 3, "source are cat, dog, those of the target bird, cat; give"),
    ):
        (tmp_path / name).mkdir()
        write_classes(tmp_path / name, classes, channels=channels)
        with pytest.raises(UserError, match=said) as caught:
            LabelledDomains(8, 0, f"{a},{tmp_path / name}")
        assert "\n" not in str(caught.value)
    grey = LabelledDomains(8, 0, f"{a},{tmp_path / 'grey'}", channels=1)
    assert training(grey, 2)[2].shape == (12, 8, 8, 1)


def test_labels_of_the_target_that_are_not_there_are_refused(tmp_path):
    a = write_classes(tmp_path / "a", ["cat", "dog"])
    write_classes(tmp_path, ["flat"])
    with pytest.raises(UserError, match=r"--baseline target: the images of .*flat have no labels"):
        LabelledDomains(8, 0, f"{a},{tmp_path / 'flat'}", baseline="target")


def test_photographs_that_cannot_be_used_are_named(data_dir, tmp_path):
    image_file.write(tmp_path / "0.png", noise(40, 40, 0))
    with pytest.raises(UserError, match=r"--photos .*: one photograph is too few"):
        of_name(data_dir, "mnist_m", photos=str(tmp_path))
    for number in range(1, 8):
        image_file.write(tmp_path / f"{number}.png", noise(40, 40, number))
    image_file.write(tmp_path / "3.png", noise(20, 40, 3))
    truncate(tmp_path / "4.png")
    with pytest.raises(UserError, match=r"[34]\.png.*--skip_bad_images"):
        of_name(data_dir, "mnist_m", photos=str(tmp_path)).fingerprint()
    data = of_name(data_dir, "mnist_m", photos=str(tmp_path), skip_bad_images=True)
    assert training(data)[2].shape == (24, 28, 28, 3)


def test_a_photograph_that_stops_the_stream_is_named(data_dir, photos, tmp_path):
    for path in photos.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    data = of_name(data_dir, "mnist_m", photos=str(tmp_path), cache_mb=0)
    for path in tmp_path.iterdir():
        truncate(path)
    with pytest.raises(Exception, match=r"\d\.png"):
        training(data)
    assert isinstance(data.error, UserError)


def test_fingerprints_tell_domains_apart(data_dir, photos):
    names = ("mnist_m", "mnist_negatives", "mnist_outlines", "mnist_usps", "mnist_usps_framed")
    found = [of_name(data_dir, name).fingerprint()["target_train"] for name in names]
    found.append(of_name(data_dir, "mnist_m", photos=str(photos)).fingerprint()["target_train"])
    assert len(set(found)) == len(found)
    assert set(of_name(data_dir, "mnist_usps").fingerprint()) == {
        *("source_train", "source_test", "target_train", "target_test")
    }
