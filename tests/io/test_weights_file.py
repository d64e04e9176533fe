"""Weights files: read as they were written, or refused in one line."""

import pickle

from common.errors import UserError
from common.io import weights_file
from common.io.download import sha256_of

import numpy as np
import pytest

ABOUT = {"model": "m", "options": {"width": 4}, "step": 7, "network": "average"}
ARRAYS = {
    "a/0001": np.array([1.5, -2], np.float16),
    "a/0000": np.zeros((2, 0), np.float16),
    "ab/0000": np.array(3, np.uint32),
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "folder" / "f.npz"
    weights_file.write(path, ABOUT, ARRAYS)
    return path


def contents(path):
    with np.load(path) as archive:
        return {key: archive[key] for key in archive.files}


def test_a_file_is_read_as_it_was_written(file, tmp_path):
    found = weights_file.read(file)
    assert found.about == ABOUT and found.networks == ["a", "ab"]
    first, second = found.variables("a")
    assert first.shape == (2, 0) and first.dtype == second.dtype == np.float32
    np.testing.assert_array_equal(second, [1.5, -2])
    (count,) = found.variables("ab")
    assert count == 3 and count.dtype == np.uint32


def test_the_digest_is_that_of_the_content_in_any_order(file, tmp_path):
    def digest(about, arrays):
        weights_file.write(tmp_path / "f.npz", about, arrays)
        return contents(tmp_path / "f.npz")["sha256"].tobytes()

    expected = contents(file)["sha256"].tobytes()
    assert digest(ABOUT, dict(reversed(ARRAYS.items()))) == expected
    assert digest(ABOUT | {"step": 8}, ARRAYS) != expected


def test_equal_content_gives_equal_bytes(file, tmp_path):
    weights_file.write(tmp_path / "again.npz", ABOUT, ARRAYS)
    assert file.read_bytes() == (tmp_path / "again.npz").read_bytes()


def test_rounding():
    values = np.array([0.1, 1e6, 0], np.float32)
    np.testing.assert_array_equal(
        weights_file.rounded(values), np.array([0.1, np.inf, 0], np.float16)
    )
    seeds = np.array([2**32 - 1], np.uint32)
    assert weights_file.rounded(seeds) is seeds and weights_file.widened(seeds) is seeds


@pytest.mark.parametrize("key", ["a/0001", "ab/0000", "about"])
def test_an_altered_file_is_refused(file, key):
    changed = contents(file)
    changed[key] = changed[key] + changed[key].dtype.type(1)
    np.savez(file, **changed)
    refused(file, "does not match its digest")


def test_an_array_more_or_less_is_refused(file):
    whole = contents(file)
    np.savez(file, **whole, **{"a/0002": np.zeros(1)})
    refused(file, "does not match its digest")
    np.savez(file, **{key: array for key, array in whole.items() if key != "ab/0000"})
    refused(file, "does not match its digest")


def test_a_truncated_or_damaged_file_is_refused(file):
    whole = file.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        refused(file)
    for position in range(0, len(whole), 50):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 255]) + whole[position + 1 :])
        try:  # a byte that nobody reads, such as one of a date, may differ
            assert weights_file.read(file).about == ABOUT
        except UserError as error:
            assert "\n" not in str(error)


class Harmful:
    """Says so when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def test_no_pickle_is_read(file, tmp_path):
    (tmp_path / "p.npz").write_bytes(pickle.dumps(Harmful()))
    refused(tmp_path / "p.npz", "no .npz archive")
    np.savez(file, **contents(file), x=np.array([Harmful()], object))
    refused(file, "allow_pickle")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        weights_file.read(tmp_path / "nowhere.npz")
    np.savez(tmp_path / "checkpoint.npz", **ARRAYS)
    refused(tmp_path / "checkpoint.npz", "sha256")
    weights_file.write(tmp_path / "f.npz", {"model": "m", "step": 1}, ARRAYS)
    refused(tmp_path / "f.npz", "network, options")
    weights_file.write(tmp_path / "f.npz", 3, ARRAYS)
    refused(tmp_path / "f.npz", "model, network, options, step")


def refused(path, said=""):
    with pytest.raises(UserError) as caught:
        weights_file.read(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and said in text and "\n" not in text


def test_names_are_those_of_the_models_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(weights_file, "ROOT", tmp_path)
    assert weights_file.named("m") == {} and weights_file.listed("m") == ""
    for name in ("b", "a"):
        weights_file.write(tmp_path / "m" / "weights" / f"{name}.npz", ABOUT, ARRAYS)
    assert list(weights_file.named("m")) == ["a", "b"]
    assert weights_file.listed("m") == "; trained weights of m: a, b"
    assert weights_file.find("a", "m") == tmp_path / "m" / "weights" / "a.npz"
    assert weights_file.find("c", "m") is None and weights_file.find("a", "n") is None


def test_a_file_is_found_by_its_path(file):
    assert weights_file.located(str(file)) == file
    digest = sha256_of(file)
    assert weights_file.located(f"{file}#sha256={digest.upper()}") == file
    with pytest.raises(UserError, match=f"SHA-256 {digest}, not {'0' * 64}"):
        weights_file.located(f"{file}#sha256={'0' * 64}")
    with pytest.raises(UserError, match="64 hexadecimal digits"):
        weights_file.located(f"{file}#sha256=123")
    assert weights_file.located(str(file.parent)) is None


def test_a_file_is_found_by_its_url(server, file, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    server.files["/a/f.npz"] = server.files["/b/f.npz?x=1"] = file.read_bytes()
    found = [weights_file.located(f"{server.url}/{place}") for place in ("a/f.npz", "b/f.npz?x=1")]
    assert len({*found}) == 2  # files of one name from two places
    for path in found:
        assert path.parent == tmp_path / "home" / "models" and path.suffix == ".npz"
        assert weights_file.read(path).about == ABOUT
    url = f"{server.url}/a/f.npz#sha256={sha256_of(file)}"
    assert weights_file.located(url) == found[0] and len(server.requests) == 2
    with pytest.raises(UserError, match="not 00000"):
        weights_file.located(f"{server.url}/a/f.npz#sha256={'0' * 64}")
