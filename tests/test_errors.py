"""Range checks of options, and exceptions as one line."""

from common import errors
from common.errors import UserError

import pytest


@pytest.mark.parametrize(
    "check, good, bad",
    [
        (errors.at_least_one, [1, 2.5], [0, 0.5, -1]),
        (errors.above_zero, [1e-9, 3], [0, -1]),
        (errors.not_negative, [0, 3], [-1e-9]),
        (errors.below_one, [0, 0.999], [1, -0.1]),
    ],
)
def test_the_first_option_out_of_range_is_named(check, good, bad):
    check(rate=good[0], decay=good[-1])
    for value in [*bad, float("nan")]:
        with pytest.raises(UserError, match=rf"^--decay {value}: give .+"):
            check(rate=good[0], decay=value, other=value)


@pytest.mark.parametrize(
    "error, line, reason",
    [
        (ValueError("two\n  lines"), "two lines", "two lines"),
        (EOFError(), "EOFError", "EOFError"),
        (OSError(2, "No such file", "a.txt"), "[Errno 2] No such file: 'a.txt'", "No such file"),
    ],
)
def test_exceptions_are_described_in_one_line(error, line, reason):
    assert errors.one_line(error) == line
    assert errors.reason_of(error) == reason
