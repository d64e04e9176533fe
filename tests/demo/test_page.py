"""The page of a demo, driven through its API and in a headless browser."""

import io
import shutil
import subprocess
import sys
from pathlib import Path

from common import cli
from common.demo import page as demo_page
from common.images import image_file
from common.tasks.paired_translation import InferenceOptions, PairedTranslation
from tests.helpers.image_files import noise
from tests.helpers.tiny import Tiny

import numpy as np
import pytest
from PIL import Image

REASON = "requirements-demo.txt is not installed"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


@pytest.fixture(scope="module")
def address(finished):
    """The address of the page of a run."""
    pytest.importorskip("gradio", reason=REASON)
    page = PairedTranslation(Tiny).demo_page(str(finished), InferenceOptions())
    yield demo_page.launch(page)
    page.close()


@pytest.fixture(scope="module")
def client(address, tmp_path_factory):
    gradio_client = pytest.importorskip("gradio_client", reason=REASON)
    folder = tmp_path_factory.mktemp("client")
    return gradio_client.Client(address, download_files=str(folder), verbose=False)


def given(path):
    return pytest.importorskip("gradio_client").handle_file(str(path))


@pytest.fixture
def predicted(finished, tmp_path):
    """predicted(image) -> the bytes that predict writes for an image file."""

    def of(path):
        arguments = ["predict", str(finished), str(path), "--output", str(tmp_path / "out")]
        cli.main(Tiny, PairedTranslation, arguments=arguments)
        return (tmp_path / "out" / f"{path.stem}.png").read_bytes()

    return of


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_an_upload_gives_the_bytes_of_predict(client, predicted, tmp_path, suffix):
    image_file.write(tmp_path / f"photo{suffix}", noise(24, 20, seed=1))
    result, note = client.predict(given(tmp_path / f"photo{suffix}"), api_name="/upload")
    assert Path(result).read_bytes() == predicted(tmp_path / f"photo{suffix}")
    assert note.startswith("images are translated at 16 pixels")


def test_a_drawing_gives_what_predict_makes_of_it(client, predicted, tmp_path):
    image_file.write(tmp_path / "drawing.png", noise(16, 16, seed=2))
    rgba = Image.open(tmp_path / "drawing.png").convert("RGBA")
    rgba.save(tmp_path / "composite.png")
    drawn = dict.fromkeys(("background", "composite"), given(tmp_path / "composite.png"))
    result, _ = client.predict(drawn | {"layers": [], "id": None}, api_name="/draw")
    assert Path(result).read_bytes() == predicted(tmp_path / "drawing.png")


def test_a_bad_upload_gets_a_message(client, tmp_path):
    (tmp_path / "bad.png").write_text("hello")
    with pytest.raises(Exception, match=r"^bad.png: not an image of a known format"):
        client.predict(given(tmp_path / "bad.png"), api_name="/upload")


def test_an_upload_of_too_many_bytes_is_refused(client, tmp_path):
    (tmp_path / "large.png").write_bytes(bytes(demo_page.MAX_UPLOAD + 1))
    with pytest.raises(Exception, match="exceed"):
        client.predict(given(tmp_path / "large.png"), api_name="/upload")


def test_nothing_is_kept_when_the_process_ends():
    script = "from common.demo import page; print(page.scratch_folder().name)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    folder = Path(ended.stdout.strip())
    assert folder.name.startswith("demo_") and not folder.exists()


def test_without_the_package_one_line_says_what_to_install(finished, run_cli, monkeypatch):
    monkeypatch.setattr(demo_page, "find_spec", lambda _: None)
    ended = run_cli(f"demo {finished}")
    assert ended.status == 2
    assert ended.err == "error: demo needs Gradio: pip install -r requirements-demo.txt\n"


def test_a_taken_port_is_named(finished, address):
    port = int(address.rstrip("/").rpartition(":")[2])
    page = PairedTranslation(Tiny).demo_page(str(finished), InferenceOptions())
    with pytest.raises(demo_page.UserError, match=f"^--port {port}: cannot be used"):
        demo_page.launch(page, port)


def test_a_drawing_is_translated_in_a_browser(address):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if BROWSER is None:
        pytest.skip("there is no browser")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.goto(address)
        canvas = page.locator("canvas").first
        canvas.wait_for()
        page.wait_for_timeout(2000)  # the board appears in steps
        box = canvas.bounding_box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(middle[0] + 60, middle[1] + 40, steps=8)
        page.mouse.up()
        page.get_by_role("button", name="Translate").first.click()
        image = page.locator("img[src*='drawing.png']")
        image.wait_for()
        response = page.request.get(image.get_attribute("src"))
        drawn = np.array(Image.open(io.BytesIO(response.body())).convert("RGB"))
        browser.close()
    assert drawn.shape == (16, 16, 3) and drawn.std() > 0
