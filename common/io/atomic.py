"""Files that appear whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import UserError, reason_of


@contextmanager
def appearing_whole(path: Path) -> Iterator[Path]:
    """Gives a path to write a file to, which is renamed to `path` in the end; makes its folder.

    Raises:
        UserError: it cannot be written; nothing is left of it.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            part.replace(path)
        except BaseException:  # Ctrl-C too
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({reason_of(error)}); make room or name another folder"
        ) from error
