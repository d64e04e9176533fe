import hashlib
import socket
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

from common.errors import UserError
from common.evaluation import inception
from common.evaluation.inception import keras_inception, keras_inception_features
from common.io import keras_cache

import keras
import numpy as np
import pytest


def middle_colour(x, training):
    """A stub for Inception: (N, 299, 299, 3) -> (N, 3)."""
    assert not training
    assert x.shape[1:] == (299, 299, 3)
    return x[:, 150, 150]


def test_features_are_in_order_for_any_batch_size():
    levels = np.array([0, 51, 102, 204, 255])
    images = np.ones((5, 8, 6, 3), np.uint8) * levels.astype(np.uint8)[:, None, None, None]
    expected = np.repeat(levels[:, None] / 127.5 - 1, 3, axis=1)
    for batch in (2, 5, 32):
        features = keras_inception_features(images, batch, middle_colour)
        np.testing.assert_allclose(features, expected, atol=1e-6)


def test_images_may_have_different_sizes():
    stream = (np.full((side, 2 * side, 3), 255, np.uint8) for side in (4, 350, 299))
    features = keras_inception_features(stream, 2, middle_colour)
    np.testing.assert_allclose(features, np.ones((3, 3)), atol=1e-6)


def test_downscaling_is_antialiased():
    stripes = np.zeros((598, 598, 3), np.uint8)
    stripes[:, ::2] = 255
    prepared = inception._inception_input(stripes)
    np.testing.assert_allclose(prepared[:, 1:-1], 0, atol=1e-5)


@pytest.mark.parametrize(
    "image",
    [np.zeros((8, 8, 3), np.float32), np.zeros((8, 8, 1), np.uint8), np.zeros((8, 8), np.uint8)],
)
def test_images_must_be_uint8_rgb(image):
    with pytest.raises(ValueError, match="uint8"):
        keras_inception_features([image], network=middle_colour)


def test_no_images_is_a_user_error():
    with pytest.raises(UserError, match="there are no images"):
        keras_inception_features([], network=middle_colour)


def test_the_network_is_inception_up_to_its_pooled_features(monkeypatch):
    monkeypatch.setattr(keras.utils, "get_file", lambda *_, **__: None)  # random weights
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    features = keras_inception_features(images)
    assert features.shape == (2, 2048)
    assert features.dtype == np.float32
    assert features.min() >= 0  # outputs of a ReLU
    assert np.abs(features[0] - features[1]).max() > 0


@pytest.fixture
def models(monkeypatch, tmp_path):
    """The folder of an empty Keras cache."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path / "models"


def test_cached_weights_need_no_download(monkeypatch, models):
    models.mkdir()
    (models / inception.WEIGHTS_FILE).write_bytes(b"weights")
    monkeypatch.setattr(inception, "WEIGHTS_MD5", hashlib.md5(b"weights").hexdigest())
    monkeypatch.setattr(urllib.request, "urlopen", None)
    monkeypatch.setattr(keras.applications, "InceptionV3", dict)
    options = keras_inception()
    assert options.pop("weights") == str(models / inception.WEIGHTS_FILE)
    assert options == {"include_top": False, "pooling": "avg"}


def assert_one_clear_line(error, models):
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith("Keras-Inception FID needs")
    assert str(models / inception.WEIGHTS_FILE) in line
    assert inception.WEIGHTS_URL in line
    assert list(models.glob("*")) == []
    assert socket.getdefaulttimeout() is None


def test_a_failed_download_says_where_the_weights_belong(monkeypatch, models):
    def no_network(*_, **__):
        raise urllib.error.URLError(socket.gaierror(-2, "Name or service not known"))

    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    with pytest.raises(UserError, match="Name or service not known") as error:
        keras_inception()
    assert_one_clear_line(error, models)


def truncated(handler):
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"half")


def another_file(handler):
    handler.send_header("Content-Length", "17")
    handler.end_headers()
    handler.wfile.write(b"log in to the LAN")


def stalled(handler):
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"half")
    handler.server.test_is_over.wait(30)


@pytest.mark.parametrize("answer", [truncated, another_file, stalled])
def test_an_interrupted_download_leaves_no_file(monkeypatch, models, answer):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            answer(self)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.test_is_over = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(inception, "WEIGHTS_URL", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setattr(keras_cache, "DOWNLOAD_TIMEOUT", 0.5)
    try:
        with pytest.raises(UserError, match="could not be downloaded") as error:
            keras_inception()
        assert_one_clear_line(error, models)
    finally:
        server.test_is_over.set()
        server.shutdown()
        server.server_close()
