"""Training as an animation: the sample grids of a run, one after the other."""

from pathlib import Path

from common.io.atomic import atomic_file

import imageio.v3 as iio
import numpy as np

FRAMES = 100  # at most
FRAME_SECONDS = 0.1
LAST_FRAME_SECONDS = 2.0


def animate(samples: Path, target: Path):
    """Writes the grids `step_*.png` of a folder, in order, as one animation.

    Args:
        samples: the folder; with fewer than two grids of one size nothing is written.
        target: a .gif or .webp file.

    Raises:
        UserError: it cannot be written.
    """
    paths = sorted(samples.glob("step_*.png"))
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), FRAMES)).round().astype(int)
    frames = [iio.imread(paths[i], mode="RGB") for i in chosen]
    if len(frames) < 2 or len({frame.shape for frame in frames}) > 1:
        return
    milliseconds = [1000 * FRAME_SECONDS] * (len(frames) - 1) + [1000 * LAST_FRAME_SECONDS]
    shown = np.stack(frames)
    content = iio.imwrite("<bytes>", shown, extension=target.suffix, duration=milliseconds, loop=0)
    with atomic_file(target) as part:
        part.write_bytes(content)
