"""Progress of long work."""

import io
import sys

_SECONDS = 30  # between two lines


class _Lines(io.TextIOBase):
    """Writes what tqdm redraws in place as lines."""

    def write(self, text: str) -> int:
        if line := text.strip():
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        return len(text)


def tqdm_options() -> dict:
    """Arguments for tqdm: a progress bar on a terminal, a line every half minute elsewhere."""
    if sys.stderr.isatty():
        return {}
    intervals = {"delay": _SECONDS, "mininterval": _SECONDS, "maxinterval": _SECONDS}
    return {"file": _Lines(), **intervals}
