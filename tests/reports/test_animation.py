from common.images import image_file
from common.reports.animation import animate

import imageio.v3 as iio
import numpy as np


def grids(folder, steps, side=8):
    for step in steps:
        grey = np.full((side, side, 3), step, np.uint8)
        image_file.write(folder / f"step_{step:08d}.png", grey)
    return folder


def test_frames_follow_the_steps(tmp_path):
    animate(grids(tmp_path, [0, 60, 120, 180, 240]), tmp_path / "training.webp")
    frames = iio.imread(tmp_path / "training.webp", index=...)
    assert frames.shape == (5, 8, 8, 3)
    assert (np.diff(frames.mean((1, 2, 3))) > 0).all()


def test_many_grids_are_subsampled_and_the_last_one_is_kept(tmp_path):
    animate(grids(tmp_path, range(0, 240, 2)), tmp_path / "training.gif")
    frames = iio.imread(tmp_path / "training.gif", index=...)
    assert len(frames) == 100
    assert abs(frames[-1].mean() - 238) < 3


def test_one_grid_writes_nothing(tmp_path):
    animate(grids(tmp_path, [0]), tmp_path / "training.webp")
    assert not (tmp_path / "training.webp").exists()


def test_grids_that_are_too_large_for_the_format_are_thinned(tmp_path):
    for step in (0, 200):
        image_file.write(tmp_path / f"step_{step}.png", np.full((4, 16384, 3), step, np.uint8))
    animate(tmp_path, tmp_path / "training.webp")
    assert iio.imread(tmp_path / "training.webp", index=...).shape == (2, 2, 8192, 3)


def test_grids_of_another_size_than_the_last_one_are_left_out(tmp_path):
    grids(tmp_path, [0], side=16).joinpath("step_00000000.png").rename(tmp_path / "step_0.png")
    animate(grids(tmp_path, [100, 200]), tmp_path / "training.webp")
    frames = iio.imread(tmp_path / "training.webp", index=...)
    assert frames.shape == (2, 8, 8, 3)
