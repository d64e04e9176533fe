"""Input images of predict: bad ones are named after the others are done, results are no inputs."""

from common.errors import UserError
from common.images import image_file
from common.inference.input_files import InputFiles, InputOptions
from common.reports import result_page
from common.reports.result_page import ResultPage
from tests.helpers.image_files import noise, truncate

import pytest


@pytest.fixture
def folder(tmp_path):
    """Two images and, between them, one that is damaged and one that is none."""
    for name in ("1.jpg", "2.png", "4.jpg"):
        image_file.write(tmp_path / "in" / name, noise(9, 9, 0))
    truncate(tmp_path / "in" / "2.png")
    (tmp_path / "in" / "3.png").write_text("no image")
    return tmp_path / "in"


def convert(files):
    """Copies all images; the numbers of those that were read."""
    page = ResultPage("copies", {})
    done = []
    for source, target, image in files.each(lambda source, _: image_file.read(source)):
        files.write(target, image)
        done.append(source.stem)
    files.write_page(page)
    return done


def test_bad_images_are_named_after_the_others_are_done(folder, tmp_path, capsys):
    files = InputFiles([str(folder)], tmp_path / "out", InputOptions())
    assert convert(files) == ["1", "4"] and len(files) == 2
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["1.png", "4.png", "index.html"]
    assert all(name in (tmp_path / "out/index.html").read_text() for name in ("2.png", "3.png"))
    with pytest.raises(UserError, match=r"^2 of 4 images cannot be used.*2\.png, .*3\.png; repl"):
        files.finish()
    out = capsys.readouterr().out
    assert f"left out: {folder}/2.png: a PNG file that is truncated" in out
    assert f"left out: {folder}/3.png: not an image of a known format" in out


def test_bad_images_may_be_skipped(folder, tmp_path, capsys):
    files = InputFiles([str(folder)], tmp_path / "out", InputOptions(skip_bad_images=True))
    convert(files)
    files.finish()
    assert capsys.readouterr().out.count("left out:") == 2


@pytest.mark.parametrize("skip", [True, False])
def test_nothing_but_bad_images_is_an_error(folder, tmp_path, skip):
    inputs = [str(folder / "2.png"), str(folder / "3.png")]
    files = InputFiles(inputs, tmp_path / "out", InputOptions(skip_bad_images=skip))
    with pytest.raises(UserError, match=r"2\.png: .*truncated.* \(1 more cannot be used either\)"):
        convert(files)
    assert not (tmp_path / "out").exists()


def test_a_folder_may_be_its_own_output_again_and_again(tmp_path):
    image_file.write(tmp_path / "1.jpg", noise(9, 9, 0))
    image_file.write(tmp_path / "sub" / "2.jpg", noise(9, 9, 1))
    for recursive in (False, True, True, False):
        files = InputFiles([str(tmp_path)], tmp_path, InputOptions(recursive=recursive))
        assert convert(files) == (["1", "2"] if recursive else ["1"])
    assert result_page.files_in(tmp_path) == ["1.png", "sub/2.png"]


def test_a_page_keeps_any_file_name(tmp_path):
    page = ResultPage("page", {})
    page.files = ["a b.png", "</script>.png", "sub/\udcff.png"]
    page.write(tmp_path / result_page.NAME)
    assert result_page.files_in(tmp_path) == page.files
