"""Arrays of images and labels: every accepted form, and what is refused."""

import io
import zipfile

from common.data.sources.npz import read_npz, validated
from common.errors import UserError

import numpy as np
import pytest

GRAYSCALE = np.random.default_rng(0).integers(0, 256, (6, 5, 4)).astype(np.uint8)
GRAYSCALE[0, 0, 0] = 255
RGB = np.random.default_rng(1).integers(0, 256, (6, 5, 4, 3)).astype(np.uint8)


def test_an_npz_file_is_read_without_its_other_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=GRAYSCALE, y_train=np.arange(6), more=np.arange(3))
    read = read_npz(tmp_path / "a.npz")
    assert read.keys() == {"x_train", "y_train"}
    np.testing.assert_array_equal(read["x_train"], GRAYSCALE)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("truncated", "not a readable .npz file"),
        ("missing", "not a readable .npz file"),
        ("text", "not an .npz file, an archive of NumPy arrays; save one with np.savez"),
        ("npy", "a single array; save one with np.savez"),
        ("names", "holds no array x_train but images, labels; save one with np.savez"),
    ],
)
def test_a_file_that_is_not_npz_gives_an_error_of_one_line(tmp_path, damage, said):
    path = tmp_path / "a.npz"
    np.savez(path, x_train=GRAYSCALE)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "text":
        path.write_text("no arrays\n" * 20)
    elif damage == "npy":
        np.save(tmp_path / "a.npy", GRAYSCALE)
        (tmp_path / "a.npy").rename(path)
    elif damage == "names":
        np.savez(path, images=GRAYSCALE, labels=np.arange(6))
    elif damage == "missing":
        path.unlink()
    with pytest.raises(UserError, match=rf"^{path}: {said}") as caught:
        read_npz(path)
    assert "\n" not in str(caught.value) and "pickle" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "way"), [("y_train", "y_train=y_train.astype(str)"), ("x_train", "np.stack if it is a")]
)
def test_arrays_of_python_objects_are_refused_by_name(tmp_path, key, way):
    given = {"x_train": GRAYSCALE, "y_train": np.arange(6)}
    given[key] = given[key].astype(object)
    np.savez(tmp_path / "a.npz", **given)
    with pytest.raises(UserError, match=f"a.npz: {key} is an array of Python objects") as caught:
        read_npz(tmp_path / "a.npz")
    assert way in str(caught.value) and "allow_pickle" not in str(caught.value)


HEADER = "{'descr': '|u1', 'fortran_order': False, 'shape': (6, 5, 4), }"


def npz_of(header):
    """An .npz file of one array with a given header."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        text = header.encode()
        head = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
        archive.writestr("x_train.npy", head + GRAYSCALE.tobytes())
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        npz_of(HEADER.replace(", }", "")),  # tokenize.TokenError
        npz_of(HEADER.replace("'", "")),
        npz_of(HEADER.replace("(6, 5", f"({2**62}, 5")),
        npz_of(HEADER.replace("(6, 5", f"({2**40}, 5")),  # MemoryError
        npz_of(HEADER).replace(b"\0\0\0\0", b"\1\0\0\0"),  # flags: encrypted, RuntimeError
        npz_of(HEADER).replace(b"\x14\0\0\0\0\0", b"\x14\0\0\0\x63\0"),  # NotImplementedError
    ],
    ids=["torn", "names", "overflow", "memory", "encrypted", "compression"],
)
def test_damage_found_while_reading_gives_an_error_of_one_line(tmp_path, content):
    assert content != npz_of(HEADER)
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"a.npz: not a readable .npz file") as caught:
        read_npz(tmp_path / "a.npz")
    assert "\n" not in str(caught.value)


def test_a_programming_error_is_not_reported_as_damage(tmp_path, monkeypatch):
    monkeypatch.setattr(np, "load", lambda path: None)
    with pytest.raises(TypeError, match="allow_pickle"):
        read_npz(tmp_path / "a.npz")


def test_values_up_to_255_are_unchanged():
    for x in (
        GRAYSCALE,
        GRAYSCALE[..., None],
        GRAYSCALE.astype(np.int64),
        GRAYSCALE.astype(np.float64),
    ):
        arrays = validated({"x_train": x}, "a")
        assert arrays.x_train.dtype == np.uint8
        np.testing.assert_array_equal(arrays.x_train, GRAYSCALE[..., None])
    np.testing.assert_array_equal(validated({"x_train": RGB}, "a").x_train, RGB)


def test_values_up_to_one_are_scaled():
    scaled = np.float32(GRAYSCALE / 255)
    np.testing.assert_array_equal(validated({"x_train": scaled}, "a").x_train[..., 0], GRAYSCALE)
    for x in (GRAYSCALE > 99, np.uint8(GRAYSCALE > 99), np.float16(GRAYSCALE > 99)):
        converted = validated({"x_train": x}, "a").x_train[..., 0]
        np.testing.assert_array_equal(converted, 255 * (GRAYSCALE > 99))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_overshoot_of_zero_to_one_is_clipped(dtype):
    x = np.array([-0.04, 0, 0.5, 1, 1.0000001, 1.04], dtype).reshape(1, 2, 3)
    expected = [0, 0, 128, 255, 255, 255]
    np.testing.assert_array_equal(validated({"x_train": x}, "a").x_train.ravel(), expected)
    scaled = GRAYSCALE / 255  # a single value a little above 1 changes no other
    scaled[0, 0, 0] = 1.0000001
    arrays = validated({"x_train": scaled, "x_test": np.float32(scaled[:2])}, "a")
    np.testing.assert_array_equal(arrays.x_train[..., 0], GRAYSCALE)
    np.testing.assert_array_equal(arrays.x_test[..., 0], GRAYSCALE[:2])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_arrays_of_different_ranges_are_refused(dtype):
    wide, scaled = dtype(GRAYSCALE), np.float32(GRAYSCALE[:2] / 255)
    message = r"^a: x_train has 0.* to 255.* and x_test has .* to 1.0; give both"
    with pytest.raises(UserError, match=message):
        validated({"x_train": wide, "x_test": scaled}, "a")
    with pytest.raises(UserError, match=r"x_train has .* to 1.0 and x_test has"):
        validated({"x_train": scaled, "x_test": wide}, "a")
    binary = np.ones((3, 5, 4), dtype)
    with pytest.raises(UserError, match=r"x_test has 1.* to 1.*; give both"):
        validated({"x_train": wide, "x_test": binary}, "a")
    black = np.zeros((3, 5, 4), dtype)
    for x in (wide, scaled):
        arrays = validated({"x_train": x, "x_test": black}, "a")
        assert arrays.x_train.max() == 255 and not arrays.x_test.any()


@pytest.mark.parametrize("high", [1.06, 2.0, 16.0, 255.5, 65535.0, np.inf])
def test_a_maximum_that_fits_neither_range_is_refused_by_array(high):
    x = np.linspace(0, high, 20).reshape(1, 5, 4) if np.isfinite(high) else np.full((1, 5, 4), high)
    with pytest.raises(UserError, match=rf"^a: x_test: values .* to {high}; give images in 0 to"):
        validated({"x_train": GRAYSCALE / 1.0, "x_test": x}, "a")


def test_images_are_converted_in_chunks():
    x = np.random.default_rng(2).random((2500, 2, 2))
    np.testing.assert_array_equal(validated({"x_train": x}, "a").x_train[..., 0], np.rint(255 * x))


@pytest.mark.parametrize(
    "y, names, expected",
    [
        ([3, 1, 1, 9, 3, 3], ["1", "3", "9"], [1, 0, 0, 2, 1, 1]),
        ([[3], [1], [1], [9], [3], [3]], ["1", "3", "9"], [1, 0, 0, 2, 1, 1]),
        ([-1.0, 4.0, 4.0, 4.0, -1.0, 4.0], ["-1", "4"], [0, 1, 1, 1, 0, 1]),
        (["b", "a", "b", "b", "b", "c"], ["a", "b", "c"], [1, 0, 1, 1, 1, 2]),
        (np.eye(4)[[2, 0, 3, 3, 1, 0]], ["0", "1", "2", "3"], [2, 0, 3, 3, 1, 0]),
        ([True, False, True, True, True, False], ["False", "True"], [1, 0, 1, 1, 1, 0]),
        ([7] * 6, ["7"], [0] * 6),
        ([10, 9, 100, 9, 10, -1], ["-1", "9", "10", "100"], [2, 1, 3, 1, 2, 0]),
        (["10", "9", "100", "9", "10", "-1"], ["-1", "9", "10", "100"], [2, 1, 3, 1, 2, 0]),
        (["c10", "c9", "c1", "c9", "c1", "c1"], ["c1", "c9", "c10"], [2, 1, 0, 1, 0, 0]),
        ([b"b", b"a", b"b", b"b", b"b", b"c"], ["a", "b", "c"], [1, 0, 1, 1, 1, 2]),
        ([[3, 1, 1, 9, 3, 3]], ["1", "3", "9"], [1, 0, 0, 2, 1, 1]),
        ([[[3]], [[1]], [[1]], [[9]], [[3]], [[3]]], ["1", "3", "9"], [1, 0, 0, 2, 1, 1]),
        (np.float16([2, 0, 0, 2, 2, 0]), ["0", "2"], [1, 0, 0, 1, 1, 0]),
        (np.eye(3, dtype=bool)[[2, 0, 1, 1, 1, 0]], ["0", "1", "2"], [2, 0, 1, 1, 1, 0]),
        (np.uint64([2**63, 0, 0, 0, 0, 0]), ["0", str(2**63)], [1, 0, 0, 0, 0, 0]),
    ],
)
def test_labels_of_any_values(y, names, expected):
    arrays = validated({"x_train": GRAYSCALE, "y_train": np.array(y)}, "a")
    assert arrays.class_names == names
    assert arrays.y_train.dtype == np.int32
    np.testing.assert_array_equal(arrays.y_train, expected)
    assert arrays.x_test is arrays.y_test is None


def test_test_labels_are_numbered_like_training_labels():
    y_test = np.array([[9], [1]])
    given = {"x_train": GRAYSCALE, "y_train": np.array([3, 1, 1, 9, 3, 3])}
    arrays = validated(given | {"x_test": GRAYSCALE[:2], "y_test": y_test}, "a")
    np.testing.assert_array_equal(arrays.y_test, [2, 0])
    with pytest.raises(UserError, match=r"^a: y_test has 4, which y_train lacks"):
        validated(given | {"x_test": GRAYSCALE[:2], "y_test": np.array([9, 4])}, "a")


def test_test_labels_of_another_type_are_the_same_classes():
    given = {"x_train": GRAYSCALE, "x_test": GRAYSCALE[:2], "y_train": np.array([3, 1, 1, 9, 3, 3])}
    for y_test in (["9", "1"], [9.0, 1.0], [b"9", b"1"]):
        arrays = validated(given | {"y_test": np.array(y_test)}, "a")
        np.testing.assert_array_equal(arrays.y_test, [2, 0])


def test_labels_follow_given_class_names():
    given = {"x_train": GRAYSCALE, "y_train": np.array(["1", "10", "2", "2", "1", "10"])}
    given |= {"x_test": GRAYSCALE[:2], "y_test": np.array(["2", "10"])}
    arrays = validated(given, "a", ["1", "10", "2"])
    assert arrays.class_names == ["1", "10", "2"]
    np.testing.assert_array_equal(arrays.y_train, [0, 1, 2, 2, 0, 1])
    np.testing.assert_array_equal(arrays.y_test, [2, 1])
    with pytest.raises(UserError, match="a: has the classes 1, 2, 10, not the classes 1, 3 as in"):
        validated(given, "a", ["1", "3"])


X, Y = {"x_train": GRAYSCALE}, {"y_train": np.arange(6)}


@pytest.mark.parametrize(
    "given, message",
    [
        ({"x_train": GRAYSCALE[0]}, r"images \(5, 4\); give"),
        ({"x_train": RGB[..., :2]}, r"images \(6, 5, 4, 2\); give"),
        ({"x_train": np.zeros((6, 5, 4, 4))}, r"images \(6, 5, 4, 4\); give"),
        ({"x_train": GRAYSCALE[:0]}, r"images \(0, 5, 4\); give"),
        ({"x_train": GRAYSCALE / 127.5 - 1}, r"values -1.0 to 1.0; give"),
        ({"x_train": 2.0 * GRAYSCALE}, r"values 0.0 to 510.0; give"),
        ({"x_train": np.full((1, 2, 2), np.nan)}, "x_train: holds NaN; replace"),
        ({"x_train": np.full((1, 2, 2), "a")}, "type <U1; give"),
        ({"x_train": RGB.transpose(0, 3, 1, 2)}, r"as with x.transpose\(0, 2, 3, 1\)"),
        ({"x_train": np.zeros((6, 5, 4, 4))}, r"as with x\[..., :3\], which drops transparency"),
        ({"x_train": np.zeros((6, 784))}, r"as with x.reshape\(-1, 28, 28\)"),
        (X | {"y_train": np.arange(5)}, r"y_train: shape \(5,\) for 6 images"),
        (X | {"y_train": np.arange(12)}, r"y_train: shape \(12,\) for 6 images"),
        (X | {"y_train": np.array(3)}, r"y_train: shape \(\) for 6 images"),
        (X | {"y_train": np.arange(6) + 0.5}, "y_train: holds 0.5; give a whole number"),
        (X | {"y_train": np.float32([1, np.nan, 2, 3, 4, 5])}, "y_train: holds nan; give"),
        (X | {"y_train": np.full(6, np.inf)}, "y_train: holds inf; give"),
        (X | {"y_train": np.ones((6, 3))}, r"y_train: row 0 of \(6, 3\) is not one-hot"),
        (X | {"y_train": np.full((6, 4), 0.25)}, r"is not one-hot .* as with argmax\(axis=1\)"),
        (X | {"y_train": np.eye(6)[:, :5]}, "row 5 of .* is not one-hot"),
        (X | {"y_train": np.arange(6) + 0j}, "y_train: of type complex128, which names no classes"),
        (X | {"y_train": np.arange(6).astype("M8[D]")}, "y_train: of type datetime64"),
        (X | {"y_train": np.zeros(6, [("a", int)])}, "y_train: of type .*; give whole numbers or"),
        (X | {"y_train": np.array([b"\xff"] * 6)}, "y_train: bytes that are not UTF-8"),
        (X | {"y_test": np.arange(6)}, "y_test without x_test"),
        (X | Y | {"x_test": GRAYSCALE}, "only one of y_train and y_test"),
        (X | {"x_test": GRAYSCALE, "y_test": np.arange(6)}, "only one of y_train and y_test"),
        (X | {"x_test": RGB}, "differ in channels"),
    ],
)
def test_invalid_arrays_are_refused(given, message):
    with pytest.raises(UserError, match=f"^where: .*{message}"):
        validated(given, "where")
