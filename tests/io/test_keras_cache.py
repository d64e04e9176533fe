"""Whatever a download by Keras fails with is one exception, in one line."""

import http.client

from common.data.keras_files import NotDownloaded, get_file

import keras
import pytest

URL = "https://example.org/w.h5"


def test_the_path_is_given_and_what_was_asked_for(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(keras.utils, "get_file", lambda *a, **k: asked.append((a, k)) or "here")
    assert get_file("w.h5", URL, tmp_path, "abc") == "here"
    assert asked == [(("w.h5", URL), {"cache_subdir": str(tmp_path), "file_hash": "abc"})]


@pytest.mark.parametrize(
    "error, said",
    [
        (Exception(f"URL fetch failure on {URL}: 404 -- Not Found"), "404 -- Not Found"),
        (ValueError("Incomplete or corrupted file\ndetected."), "corrupted file detected"),
        (http.client.IncompleteRead(b"half", 4), "IncompleteRead"),
        (TimeoutError("timed out"), "timed out"),
        (EOFError(), "^EOFError$"),
    ],
)
def test_every_failure_is_said_in_one_line(tmp_path, monkeypatch, error, said):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(keras.utils, "get_file", fail)
    with pytest.raises(NotDownloaded, match=said) as caught:
        get_file("w.h5", URL, tmp_path, None)
    assert "\n" not in str(caught.value) and "fetch failure" not in str(caught.value)
