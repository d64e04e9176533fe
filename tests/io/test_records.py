"""CSV and JSON files of a run."""

import errno
import json
import os
from pathlib import Path

from common.errors import UserError
from common.io import records

import numpy as np
import pytest


def test_json_is_written_atomically(tmp_path, monkeypatch):
    path = tmp_path / "deeper" / "x.json"
    records.write_json(path, {"a": 1})

    def write_text(self, content):
        self.write_bytes(content.encode()[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write_text)
    with pytest.raises(UserError, match=rf"{path}: cannot be written \(No space left"):
        records.write_json(path, {"a": 2})
    assert records.read_json(path) == {"a": 1}


def test_json_has_null_for_nan_and_infinities(tmp_path):
    path, content = tmp_path / "x.json", {"a": [float("nan"), 1.5], "b": {"c": float("inf")}}
    records.write_json(path, content | {"d": "e"})
    assert json.loads(path.read_text(), parse_constant=pytest.fail) == {
        "a": [None, 1.5],
        "b": {"c": None},
        "d": "e",
    }


@pytest.mark.parametrize("content", ["{", "3", "[1]"])
def test_json_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "x.json"
    assert records.read_json(path) == {}
    path.write_text(content)
    with pytest.raises(UserError, match=rf"{path}: cannot be read"):
        records.read_json(path)


def test_rows_may_hold_the_name_of_any_file(tmp_path):
    path, name = tmp_path / "new" / "x.csv", os.fsdecode(b"\xff.png")
    records.write_rows(path, ("file", "class"), [(name, "a, b")])
    assert path.read_bytes() == b'file,class\r\n\xff.png,"a, b"\r\n'


def test_columns_are_read_up_to_a_truncated_line(tmp_path):
    path = tmp_path / "x.csv"
    assert records.read_columns(path) == {}
    for step in (1, 2):
        records.append_row(path, {"step": step, "loss": step / 3})
    with open(path, "a") as file:
        file.write("3,0.")
    columns = records.read_columns(path)
    np.testing.assert_array_equal(columns["step"], [1, 2])
    np.testing.assert_array_equal(columns["loss"], [0.333333, 0.666667])
