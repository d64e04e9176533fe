"""The one exception that speaks to the user, and what goes into it: reasons, ranges of options."""

import tarfile
import tokenize
import zipfile
import zlib

try:
    from lzma import LZMAError
except ImportError:  # a Python that was built without it
    LZMAError = zlib.error

# What reading a damaged archive raises (.npz, .zip, .tar.gz, .gz): the readers of Python and NumPy
# check some of its bytes and stumble over others, such as a length, a date, a flag of encryption or
# the text of an array's header. Mistakes of ours (TypeError, NameError, ...) are not among it.
DAMAGE = (
    *(OSError, EOFError, ValueError, LookupError, OverflowError, MemoryError, RuntimeError),
    *(zlib.error, LZMAError, zipfile.BadZipFile, tarfile.TarError, tokenize.TokenError),
)


class UserError(Exception):
    """Something that the user can mend.

    The message is one line: it names the file or the option, says what is wrong and what to do.
    The command line prints it without a traceback and exits with status 2.
    """


def one_line(error: BaseException) -> str:
    """What another exception says, in one line; the name of its class if it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def reason_of(error: BaseException) -> str:
    """What went wrong, in one line: of an OSError without its number and the file's name."""
    return getattr(error, "strerror", None) or one_line(error)


# Each takes options by name and raises a UserError for the first one that is out of its range. None
# is an option that was not given.


def at_least_one(**options: float | None):
    _check(options, lambda value: value >= 1, "1 or more")


def above_zero(**options: float | None):
    _check(options, lambda value: value > 0, "more than 0")


def not_negative(**options: float | None):
    _check(options, lambda value: value >= 0, "0 or more")


def below_one(**options: float | None):
    """For shares and decays: from 0 to below 1."""
    _check(options, lambda value: 0 <= value < 1, "0 or more, but less than 1")


def _check(options: dict[str, float | None], holds, remedy: str):
    for name, value in options.items():
        if value is not None and not holds(value):  # for a NaN nothing holds
            raise UserError(f"--{name} {value}: give {remedy}")
