"""`UserError`, the error shown to users, and what its messages are made of."""

import math
import tarfile
import tokenize
import zipfile
import zlib

try:
    from lzma import LZMAError
except ImportError:  # a Python built without it
    LZMAError = zlib.error

# Exceptions raised when a damaged archive (.npz, .zip, .tar.gz, .gz) is read: Python's and NumPy's
# readers check some of its bytes and fail on others, such as a length, a date, an encryption flag
# or the text of an array's header. Programming errors (TypeError, NameError, ...) are not included.
DAMAGE = (
    *(OSError, EOFError, ValueError, LookupError, OverflowError, MemoryError, RuntimeError),
    *(zlib.error, LZMAError, zipfile.BadZipFile, tarfile.TarError, tokenize.TokenError),
)


class UserError(Exception):
    """An error that the user can fix.

    The message is one line: it names the file or the option, says what is wrong and what to do.
    The command line prints it without a traceback and exits with status 2.
    """


def one_line(error: BaseException) -> str:
    """Returns an exception's message as one line, or the name of its class if it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def reason_of(error: BaseException) -> str:
    """Returns the reason for an error as one line: an OSError's without errno and file name."""
    return getattr(error, "strerror", None) or one_line(error)


# Range checks: each takes options by name and raises a UserError for the first one that is out of
# range. None stands for an option that was not given.


def at_least_one(**options: float | None):
    at_least(1, **options)


def at_least(least: float, **options: float | None):
    _check(options, lambda value: value >= least, f"{least} or more")


def power_of_two(least: int, **options: int | None):
    _check(
        options,
        lambda value: value >= least and math.log2(value).is_integer(),
        f"a power of two from {least} up",
    )


def above_zero(**options: float | None):
    _check(options, lambda value: value > 0, "more than 0")


def not_negative(**options: float | None):
    _check(options, lambda value: value >= 0, "0 or more")


def below_one(**options: float | None):
    """Accepts 0 up to, but not including, 1: fractions and decay rates."""
    _check(options, lambda value: 0 <= value < 1, "0 or more, but less than 1")


def _check(options: dict[str, float | None], is_valid, remedy: str):
    for name, value in options.items():
        if value is not None and not is_valid(value):  # no comparison holds for NaN
            raise UserError(f"--{name} {value}: give {remedy}")
