"""Keras' cache folder, and one exception for every way a download can fail."""

import http.client

from common.io.keras_cache import NotDownloaded, datasets_folder, get_file, keras_home

import keras
import pytest

URL = "https://example.org/w.h5"


def test_the_cache_is_in_keras_home_or_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    assert keras_home() == tmp_path / "keras"
    assert datasets_folder(None) == tmp_path / "keras" / "datasets"
    assert datasets_folder(str(tmp_path / "mine")) == tmp_path / "mine"
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert keras_home() == tmp_path / ".keras"
    assert datasets_folder("~/mine") == tmp_path / "mine"


def test_get_file_passes_its_arguments_to_keras(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(keras.utils, "get_file", lambda *a, **k: asked.append((a, k)) or "here")
    assert get_file("w.h5", URL, tmp_path, "abc") == "here"
    assert asked == [(("w.h5", URL), {"cache_subdir": str(tmp_path), "file_hash": "abc"})]


@pytest.mark.parametrize(
    "error, message",
    [
        (Exception(f"URL fetch failure on {URL}: 404 -- Not Found"), "404 -- Not Found"),
        (ValueError("Incomplete or corrupted file\ndetected."), "corrupted file detected"),
        (http.client.IncompleteRead(b"half", 4), "IncompleteRead"),
        (TimeoutError("timed out"), "timed out"),
        (EOFError(), "^EOFError$"),
    ],
)
def test_every_failure_gives_a_message_of_one_line(tmp_path, monkeypatch, error, message):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(keras.utils, "get_file", fail)
    with pytest.raises(NotDownloaded, match=message) as caught:
        get_file("w.h5", URL, tmp_path, None)
    assert "\n" not in str(caught.value) and "fetch failure" not in str(caught.value)
