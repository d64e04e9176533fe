"""Animation of a training run from its sample grids."""

from pathlib import Path

from common.io.atomic import atomic_file

import imageio.v3 as iio
import numpy as np

FRAMES = 100  # maximum number
FRAME_SECONDS = 0.1
LAST_FRAME_SECONDS = 2.0
MAX_SIDE = 16383  # px; a limit of WebP


def animate(samples: Path, target: Path):
    """Writes the grids `step_*.png` of a folder as one animation, in the order of their steps.

    Grids of another size than the last one, of a resumed run, are left out. Nothing is written for
    fewer than two grids. Of grids that are too large for the format, only every second pixel is
    taken, or every third, ...

    Args:
        samples: folder of the grids.
        target: .gif or .webp file.

    Raises:
        UserError: the file cannot be written.
    """
    paths = sorted(samples.glob("step_*.png"))
    sizes = [iio.improps(path).shape[:2] for path in paths]
    paths = [path for path, size in zip(paths, sizes, strict=True) if size == sizes[-1]]
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), FRAMES)).round().astype(int)
    frames = [iio.imread(paths[i], mode="RGB") for i in chosen]
    if len(frames) < 2:
        return
    milliseconds = [1000 * FRAME_SECONDS] * (len(frames) - 1) + [1000 * LAST_FRAME_SECONDS]
    stride = -(-max(frames[0].shape) // MAX_SIDE)
    shown = np.stack(frames)[:, ::stride, ::stride]
    content = iio.imwrite("<bytes>", shown, extension=target.suffix, duration=milliseconds, loop=0)
    with atomic_file(target) as part:
        part.write_bytes(content)
