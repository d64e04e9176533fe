"""`predict` of a generator: which images under which names, from a run and from a SavedModel."""

from common.errors import UserError
from common.images import image_file
from common.inference.draw import file_names, select_classes
from common.serving import sampler
from common.training import checkpoint
from tests.helpers.gan_runs import assert_same, cells, make_run, network_of, own_images, written
from tests.helpers.tiny_gan import TinyGan

import numpy as np
import pytest
from PIL import Image, ImageSequence

pytest_plugins = ["tests.helpers.gan_fixtures"]


def test_predict(predict, plain):
    shown = written(predict(plain, "--count 5 --seed 9"))
    assert list(shown) == ["0000.png", "0001.png", "0002.png", "0003.png", "0004.png"]
    for image, expected in zip(shown.values(), own_images(plain, 9, 5), strict=True):
        assert_same(image, expected)
    assert len({image.tobytes() for image in shown.values()}) == 5


def test_predict_generates_64_images_by_default_and_the_same_ones_again(predict, plain):
    shown = written(predict(plain))
    assert len(shown) == 64
    few = written(predict(plain, "--count 2"))
    for name, image in few.items():
        assert_same(image, shown[name])
    other = written(predict(plain, "--count 1 --seed 1"))
    assert not np.array_equal(other["0000.png"], shown["0000.png"])


def test_predict_takes_classes_in_turn_and_names_them(predict, conditional):
    folder = predict(conditional, "--count 4")
    names = ["0000_zero.png", "0001_one.png", "0002_many.png", "0003_zero.png"]
    assert sorted(path.name for path in folder.iterdir()) == [*names, "index.html"]
    expected = own_images(conditional, 0, 4, [0, 1, 2, 0])
    for name, image in zip(names, expected, strict=True):
        assert_same(image_file.read(folder / name), image)


@pytest.mark.parametrize("label", ["2", "many"])
def test_predict_one_class_by_number_or_name(predict, conditional, label):
    for source in (conditional, conditional / "export/tiny_gan/1"):
        folder = predict(source, f"--count 2 --label {label}")
        expected = own_images(conditional, 0, 2, [2, 2])
        assert_same(image_file.read(folder / "0000_many.png"), expected[0])
        assert_same(image_file.read(folder / "0001_many.png"), expected[1])


@pytest.mark.parametrize("kind", ["plain", "conditional"])
@pytest.mark.parametrize("options", ["--count 7", "--grid --seed 2", "--interpolate 3"])
def test_a_saved_model_generates_the_images_of_its_run(request, predict, kind, options):
    run = request.getfixturevalue(kind)
    of_run = written(predict(run, options))
    of_saved = written(predict(run / "export" / "tiny_gan" / "1", options))
    assert list(of_run) == list(of_saved) and of_run
    for name, image in of_run.items():
        assert_same(of_saved[name], image)


def test_a_grid_is_square(predict, plain):
    shown = written(predict(plain, "--grid --count 7 --seed 4"))
    assert list(shown) == ["grid.png"]
    found = cells(shown["grid.png"], 3, 3).reshape(9, 8, 8, 1)
    for image, expected in zip(found, own_images(plain, 4, 7), strict=False):
        assert_same(image, expected)
    assert (found[7:] == 255).all()


def test_a_grid_has_a_row_for_each_class_and_a_column_for_each_noise(predict, conditional):
    grid = image_file.read(predict(conditional, "--grid --count 10") / "grid.png")
    for label, row in enumerate(cells(grid, 3, 4)):  # of 10 images, up to whole rows
        assert_same(row, own_images(conditional, 0, 4, [label] * 4))
    one = image_file.read(predict(conditional, "--grid --count 4 --label one") / "grid.png")
    assert_same(cells(one, 2, 2)[1, 1], own_images(conditional, 0, 4, [1] * 4)[3])


def test_interpolation_goes_from_one_seed_to_the_other(predict, plain):
    folder = predict(plain, "--interpolate 5 --seed 3 --seed_to 8")
    assert sorted(path.name for path in folder.iterdir()) == [
        "index.html",
        "interpolation.gif",
        "interpolation.png",
    ]
    (frames,) = cells(image_file.read(folder / "interpolation.png", 1), 1, 5)
    assert_same(frames[0], own_images(plain, 3, 1)[0])
    assert_same(frames[-1], own_images(plain, 8, 1)[0])
    model = network_of(plain)
    # Uniform noise: the middle of a straight line.
    middle = (model.latent.of_seed(3, 1) + model.latent.of_seed(8, 1)) / 2
    assert_same(frames[2], image_file.to_uint8(model.sampler(middle, training=False))[0])
    with Image.open(folder / "interpolation.gif") as gif:
        shown = [
            np.array(frame.convert("L"))[2:10, 2:10, None] for frame in ImageSequence.Iterator(gif)
        ]
        assert gif.info["loop"] == 0
    there_and_back = [0, 1, 2, 3, 4, 3, 2, 1]
    assert len(shown) == len(there_and_back)
    for image, number in zip(shown, there_and_back, strict=True):
        assert_same(image, frames[number])


def test_interpolation_of_every_class_through_the_same_noise(predict, conditional):
    folder = predict(conditional, "--interpolate 3 --count 4")
    rows = cells(image_file.read(folder / "interpolation.png"), 6, 3)  # two of each class
    for number, row in enumerate(rows):
        label, column = divmod(number, 2)
        assert_same(row[0], own_images(conditional, 0, 2, [label] * 2)[column])
        assert_same(row[-1], own_images(conditional, 1, 2, [label] * 2)[column])


def test_interpolation_between_two_classes_keeps_the_noise(predict, conditional):
    for source in (conditional, conditional / "export/tiny_gan/1"):
        options = "--interpolate 3 --label zero --label_to 2 --seed 4 --count 2"
        frames = cells(image_file.read(predict(source, options) / "interpolation.png"), 2, 3)
        assert_same(frames[:, 0], own_images(conditional, 4, 2, [0, 0]))
        assert_same(frames[:, 2], own_images(conditional, 4, 2, [2, 2]))
        model = network_of(conditional)
        halves = np.array([[0.5, 0, 0.5]] * 2, np.float32)
        middle = model.sampler([model.latent.of_seed(4, 2).numpy(), halves], training=False)
        assert_same(frames[:, 1], image_file.to_uint8(middle))


def test_interpolation_between_two_classes_and_two_seeds(predict, conditional):
    folder = predict(conditional, "--interpolate 2 --label 1 --label_to 0 --seed 4 --seed_to 9")
    (frames,) = cells(image_file.read(folder / "interpolation.png"), 1, 2)
    assert_same(frames[0], own_images(conditional, 4, 1, [1])[0])
    assert_same(frames[1], own_images(conditional, 9, 1, [0])[0])


@pytest.mark.parametrize("kind", ["plain", "conditional"])
def test_latent_arithmetic(request, predict, kind):
    run = request.getfixturevalue(kind)
    with_class = kind == "conditional"
    options = "--arithmetic '0,3 - 4 + 2,5' --seed 6" + (" --label 1" if with_class else "")
    model = network_of(run)
    shown = image_file.read(predict(run, options) / "arithmetic.png", model.channels)
    grid = cells(shown, 4, 3)
    z = model.latent.of_seed(6, 6).numpy()
    means = [(z[0] + z[3]) / 2, z[4], (z[2] + z[5]) / 2]
    rows = [[means[0], z[0], z[3]], [means[1], z[4]], [means[2], z[2], z[5]]]
    rows.append([means[0] - means[1] + means[2]])
    one_hot = np.eye(3, dtype=np.float32)[[1]]
    for row, noises in zip(grid, rows, strict=True):
        for shown, noise in zip(row, noises, strict=False):
            inputs = [noise[None], one_hot] if with_class else noise[None]
            assert_same(shown, image_file.to_uint8(model.sampler(inputs, training=False))[0])
    assert (grid[1, 2] == 255).all()  # a row that is shorter
    assert (grid[3, 1] != grid[3, 0]).any() and (grid[3, 1] != grid[3, 2]).any()  # neighbours


def test_averaged_weights_are_used(predict, tmp_path):
    run = make_run(tmp_path / "averaged", ema=0.9)
    model = TinyGan(ema=0.9)
    checkpoint.load(checkpoint.path_of(run / "checkpoints", 4), model)
    for variable in model.average_generator.trainable_variables:
        variable.assign(2.0 * variable)
    checkpoint.save(run / "checkpoints", 5, model)
    noise = model.latent.of_seed(0, 1)
    (shown,) = written(predict(run, "--count 1")).values()
    assert_same(shown, image_file.to_uint8(model.average_generator(noise, training=False))[0])


def test_errors_are_one_line(refused, plain, conditional, tmp_path):
    def check(run, options, *said):
        refused(f"predict {run} --output {tmp_path / 'out'} {options}", *said)
        assert not (tmp_path / "out").exists()

    check(plain, "--count 0", "--count 0")
    check(plain, "--seed -1", "--seed -1")
    check(plain, f"--seed {2**63}", "--seed")
    check(plain, "--interpolate 1", "--interpolate 1")
    check(plain, "--interpolate 4 --grid", "--grid")
    check(plain, "--seed_to 4", "--seed_to 4", "--interpolate")
    check(plain, "--label 1", "--label 1", "takes no class")
    check(plain, "--interpolate 4 --label 1 --label_to 0", "takes no class")
    check(conditional, "--label 1 --label_to 0", "--label_to 0", "--interpolate")
    check(conditional, "--interpolate 4 --label_to 0", "--label_to 0", "--label")
    check(conditional, "--interpolate 4 --label 1 --label_to 3", "--label_to 3", "0 to 2")
    check(conditional, "--arithmetic 1-2", "--arithmetic 1-2", "--label")
    check(plain, "--arithmetic 1-", "--arithmetic 1-", "3,17,25-4,9,12+1,2,6")
    check(plain, "--arithmetic ''", "--arithmetic", "3,17,25-4,9,12+1,2,6")
    for other in ("--grid", "--interpolate 3", "--count 5"):
        check(plain, f"--arithmetic 1-2 {other}", f"{other.split()[0]}: --arithmetic")
    both = "--interpolate 3 --seed_to 3 --arithmetic 1-2"
    check(plain, both, "--interpolate: --arithmetic")
    check(conditional, "--label 3", "--label 3", "0 to 2", "zero, one, many")
    check(conditional, "--label two", "--label two", "zero, one, many")
    check(plain, "--best", "--keep_best")
    check(plain / "export/tiny_gan/1", "--best", "--best", "export")
    check(tmp_path / "none", "", str(tmp_path / "none"), "no run")
    (tmp_path / "file").touch()
    refused(f"predict {plain} --output {tmp_path / 'file'}", str(tmp_path / "file"), "a file")
    refused(f"predict {plain} --output {tmp_path / 'file' / 'x'} --count 1", "cannot be written")


def test_a_saved_model_without_class_weights(predict, refused, conditional, monkeypatch, tmp_path):
    monkeypatch.setattr(sampler, "MIXTURE", "serving_something_else")
    options = f"--output {tmp_path / 'out'} --interpolate 3 --label 0 --label_to 1"
    refused(f"predict {conditional / 'export/tiny_gan/1'} {options}", "--label_to 1", "again")


def test_classes_are_selected_by_name_first():
    assert select_classes(["b", "1", "2"], "1") == [1]
    assert select_classes(["b", "1", "2"], "0") == [0]
    assert select_classes(["a", "b"], None) == [0, 1]
    assert select_classes([], None) == []
    for label in ("-1", "2", "1.0", "A", ""):
        with pytest.raises(UserError, match="--label"):
            select_classes(["a", "b"], label)


def test_where_all_classes_are_numbers_they_are_selected_by_name_alone():
    names = [str(number) for number in range(1, 13)]
    assert select_classes(names, "12") == [11]
    assert select_classes(names, "1") == [0]
    with pytest.raises(UserError, match="--label 0: give one of 1, 2, 3"):
        select_classes(names, "0")


def test_file_names_say_the_class():
    names = ["T-shirt/top", "Ankle boot", "Баня", "..", "a" * 300]
    assert file_names(np.arange(5), 5, names) == [
        "0000_t_shirt_top.png",
        "0001_ankle_boot.png",
        "0002_баня.png",
        "0003_3.png",
        f"0004_{'a' * 40}.png",
    ]


def test_file_names_sort_as_their_numbers():
    assert file_names(None, 2, []) == ["0000.png", "0001.png"]
    many = file_names(np.arange(10001) % 10, 10001, "0123456789")
    assert many[7] == "00007_7.png" and many[-1] == "10000_0.png"
    assert many == sorted(many)
