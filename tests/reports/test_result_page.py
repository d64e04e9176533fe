"""Result pages: their content, where their images are stored, and escaping of file names."""

import os

from common.errors import UserError
from common.images import image_file
from common.reports import result_page
from common.reports.result_page import LinkedImage, ResultPage
from tests.helpers.image_files import noise
from tests.helpers.page_reader import Reader, image_of

import numpy as np
import pytest


@pytest.fixture
def written(tmp_path):
    """written(page) -> the parsed page, from a folder whose name needs escaping in a URL."""

    def write(page):
        path = tmp_path / "100% #1" / "index.html"
        page.write(path)
        return Reader(path)

    return write


NAMES = [
    "plain.png",
    'it\'s "quoted".png',
    "a b #1? 100%41.png",
    "größe_дом_家.png",
    "x<b>&amp;.png",
]


@pytest.mark.parametrize("name", NAMES)
def test_images_of_a_row_may_have_any_file_name(written, tmp_path, name):
    linked = noise(9, 12, 1)
    image_file.write(tmp_path / "100% #1" / name, linked)
    page = ResultPage("of <b>", {"run & co": name, "nothing": None})
    page.row(name, {"input": noise(40, 20, 0), "output": LinkedImage(name, 9, 12)})
    found = written(page)
    one, other = found.images
    assert (one["width"], one["height"]) == ("20", "40")
    np.testing.assert_array_equal(image_of(one["src"], tmp_path), noise(40, 20, 0))
    assert (other["width"], other["height"]) == ("12", "9") and found.links == [other["src"]]
    np.testing.assert_array_equal(image_of(other["src"], tmp_path / "100% #1"), linked)
    assert [image["alt"] for image in found.images] == [f"input: {name}", f"output: {name}"]
    assert {image["loading"] for image in found.images} == {"lazy"}
    assert {"of <b>", "run & co", name, "input", "output"} <= set(found.text)
    assert "nothing" not in found.text


def test_a_chart_keeps_its_size(written, tmp_path):
    drawn = noise(400, 900, 2)
    page = ResultPage("a page", {}, side=50)
    page.chart("losses", drawn)
    found = written(page)
    (shown,) = found.charts
    assert (shown["width"], shown["height"], shown["alt"]) == ("900", "400", "losses")
    assert image_of(shown["src"], tmp_path).shape == drawn.shape and "losses" in found.text


def test_a_file_name_may_be_invalid_utf8(written):
    name = os.fsdecode(b"caf\xe9.png")
    page = ResultPage("a page", {"run": name})
    page.row(name, {"output": LinkedImage(name, 4, 4)})
    assert written(page).links == ["caf%E9.png"]


def test_a_page_refers_to_no_other_files(written):
    page = ResultPage("a page", {"run": "r"}, {"seed": 1})
    page.table([["", "a"], ["b", "1"]], "numbers")
    page.note("a  note")
    page.row("r", {"x": noise(4, 4, 0)})
    found = written(page)
    assert all(url.startswith("data:image/") for url in found.urls) and len(found.urls) == 1
    assert {"numbers", "a", "b", "1", "a  note", "seed"} <= set(found.text)


def test_large_embedded_images_are_scaled_down(written, tmp_path):
    page = ResultPage("a page", {}, side=200)
    page.row("r", {"wide": noise(100, 1000, 0), "grey": noise(300, 150, 1, channels=1)})
    one, other = written(page).images
    assert image_of(one["src"], tmp_path).shape == (20, 200, 3)
    assert image_of(other["src"], tmp_path).shape == (200, 100, 3)
    expected = image_file.resize(noise(100, 1000, 0), 20, 200).astype(int)
    assert np.abs(image_of(one["src"], tmp_path) - expected).mean() < 6  # compressed
    assert result_page.scaled_down(noise(1, 9999, 0), 10).shape == (1, 10, 3)


def test_an_image_too_large_for_a_browser_is_a_link(written):
    page = ResultPage("a page", {})
    page.row("r", {"output": LinkedImage("large.png", 10_000, 20_000)})
    found = written(page)
    assert found.images == [] and found.links == ["large.png"]
    assert "open the image, 20000x10000 pixels" in found.text


def test_a_page_has_a_maximum_number_of_images(written, monkeypatch):
    monkeypatch.setattr(result_page, "LIMIT", 3)
    page = ResultPage("a page", {})
    page.row("one", {"x": noise(4, 4, 0), "y": noise(4, 4, 1)})
    for number in range(4):
        page.single(f"single {number}", noise(4, 4, number))
    found = written(page)
    assert [image["alt"] for image in found.images[2:]] == ["single 0", "single 1"]
    assert "2 more are not shown." in found.text


def test_only_result_pages_are_overwritten(tmp_path, capsys):
    path = tmp_path / "index.html"
    path.write_text("<html>my site</html>")
    ResultPage("a page", {}).write(path)
    assert path.read_text() == "<html>my site</html>"
    assert "left unchanged" in capsys.readouterr().out
    path.unlink()
    for title in ("first", "second"):
        ResultPage(title, {}).write(path)
        assert title in Reader(path).text
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        ResultPage("a page", {}).write(tmp_path / "file" / "index.html")
