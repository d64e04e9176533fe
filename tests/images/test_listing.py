"""Images of a folder in one order on every machine, with distinct names."""

from pathlib import Path

from common.errors import UserError
from common.images import listing

import pytest


def test_find_sorts_naturally_and_skips_other_files(tmp_path):
    shown = "01.gif", "9.JPG", "10.png", "a2.tiff", "a10.webp", "b.jfif", "c.JPE"
    for name in (*reversed(shown), ".hidden.png", "notes.txt", "d.avif"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    names = [path.name for path in listing.find(str(tmp_path))]
    assert names == [*shown]


def test_images_of_other_formats_are_counted_in_one_line(tmp_path, capsys):
    for name in ("a/1.png", "a/2.heic", "a/3.AVIF", "b/1.png", "b/4.avif", "b/.5.avif", "b/6.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "folder.tga").mkdir()
    found = listing.find(tmp_path / "a") + listing.find(tmp_path / "b")
    assert capsys.readouterr().out == ""
    listing.print_ignored(tmp_path, found)
    remedy = "these formats are not read; convert to PNG or JPEG\n"
    assert capsys.readouterr().out == f"{tmp_path}: ignored 2 .avif and 1 .heic: {remedy}"
    assert list(listing.image_files([str(tmp_path / "a")])) == found[:1]
    assert capsys.readouterr().out == f"{tmp_path}/a: ignored 1 .avif and 1 .heic: {remedy}"
    listing.print_ignored(tmp_path, [tmp_path / "1.png"])
    assert capsys.readouterr().out == ""
    (tmp_path / "a" / "1.png").unlink()
    with pytest.raises(UserError, match=r"no images .* that can be read, but 1 .avif and 1 .heic"):
        listing.find(tmp_path / "a")


def test_find_names_the_folder(tmp_path):
    with pytest.raises(UserError, match="missing"):
        listing.find(tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file"):
        listing.find(tmp_path / "file")
    with pytest.raises(UserError, match="no images"):
        listing.find(tmp_path)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ("", ""),
        ("/x/a.png /x/b.png", "a.png b.png"),
        ("/x/a.png /x/y/a.png /z/b.png", "x/a.png x/y/a.png b.png"),
        ("/x/y/a.png /x/z/a.png", "y/a.png z/a.png"),
        ("/x/y/v/a.png /x/z/v/a.png texture.png", "/x/y/v/a.png /x/z/v/a.png texture.png"),
    ],
)
def test_distinct_names(paths, names):
    assert listing.distinct_names([*map(Path, paths.split())]) == names.split()


def test_image_files_are_given_by_path_or_by_folder(tmp_path):
    for name in ("b.png", "folder/2.jpg", "folder/1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files = listing.image_files([str(tmp_path / "b.png"), str(tmp_path / "folder")])
    assert [path.relative_to(tmp_path).as_posix() for path in files] == [
        *("b.png", "folder/1.jpg", "folder/2.jpg")
    ]
    with pytest.raises(UserError, match=r"c\.png: no such"):
        listing.image_files([str(tmp_path / "c.png")])


def test_each_input_has_its_own_output_path(tmp_path):
    for name in ("a/1.jpg", "a/2.png", "b/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    out = tmp_path / "out"
    assert listing.output_paths([a], out) == {
        tmp_path / "a" / "1.jpg": out / "1.png",
        tmp_path / "a" / "2.png": out / "2.png",
    }
    with pytest.raises(UserError, match=r"a/2\.png and .*b/2\.png: both would be written to"):
        listing.output_paths([a, b], out)
    with pytest.raises(UserError, match=r"2\.png would be overwritten"):
        listing.output_paths([a], tmp_path / "a")


def paths(root, names):
    for name in names.split():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def shown(targets, root):
    """Targets by input, as texts relative to a folder."""
    return {
        str(source.relative_to(root)): str(target.relative_to(root))
        for source, target in targets.items()
    }


def test_images_that_differ_in_their_suffix_alone_have_output_paths_that_differ(tmp_path):
    paths(tmp_path, "in/a.png in/a.jpg in/a.jpeg in/b.jpg")
    targets = listing.output_paths([str(tmp_path / "in")], tmp_path / "out")
    assert shown(targets, tmp_path) == {
        "in/a.jpeg": "out/a.jpeg.png",
        "in/a.jpg": "out/a.jpg.png",
        "in/a.png": "out/a.png",
        "in/b.jpg": "out/b.png",
    }


def test_a_file_that_is_given_twice_counts_once(tmp_path, monkeypatch):
    paths(tmp_path, "in/a.png in/b.png")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    inputs = ["in/b.png", "in", "./in/../in/a.png", "link/b.png"]
    assert [*map(str, listing.output_paths(inputs, Path("out")))] == ["in/b.png", "in/a.png"]


def test_subfolders_are_kept_in_the_output(tmp_path):
    paths(tmp_path, "in/a.png in/x/a.png in/x/y/2.jpg in/x/y/10.jpg in/.hidden/b.png in/x/notes")
    targets = listing.output_paths([str(tmp_path / "in")], tmp_path / "out", recursive=True)
    expected = {"in/a.png": "out/a.png", "in/x/a.png": "out/x/a.png"}
    expected |= {f"in/x/y/{n}.jpg": f"out/x/y/{n}.png" for n in (2, 10)}
    assert shown(targets, tmp_path) == expected and [*shown(targets, tmp_path)] == [*expected]
    flat = listing.output_paths([str(tmp_path / "in")], tmp_path / "out")
    assert [*shown(flat, tmp_path)] == ["in/a.png"]
    (tmp_path / "in" / "a.png").unlink()
    with pytest.raises(UserError, match=r"no images .* but in subfolders; add --recursive"):
        listing.output_paths([str(tmp_path / "in")], tmp_path / "out")


def test_what_was_written_before_is_no_input(tmp_path, capsys):
    paths(tmp_path, "in/a.jpg in/a.png in/x/b.jpg in/x/b.png")
    folder, made = tmp_path / "in", ["a.png", "x/b.png"]
    targets = listing.output_paths([str(folder)], folder, recursive=True, made=made)
    assert shown(targets, folder) == {"a.jpg": "a.png", "x/b.jpg": "x/b.png"}
    assert "2 images that predict wrote there before are no inputs" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"a\.png: is a result of predict in this folder"):
        listing.output_paths([str(folder / "a.png")], folder, made=made)
