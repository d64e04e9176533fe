"""Progress where the output is no terminal: lines, and none for short work."""

import sys

from common.io import progress

from tqdm import tqdm


def test_long_work_prints_lines_without_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_SECONDS", 1e-9)
    for _ in tqdm(range(5), desc="counting", miniters=1, **progress.tqdm_options()):
        pass
    printed = capsys.readouterr().err
    lines = printed.splitlines()
    assert "\r" not in printed and "\x1b" not in printed
    assert all(line.startswith("counting: ") for line in lines)
    assert "5/5" in lines[-1] and len(lines) > 2


def test_short_work_prints_nothing_without_a_terminal(capsys):
    for _ in tqdm(range(5), **progress.tqdm_options()):
        pass
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_a_bar(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert progress.tqdm_options() == {}
