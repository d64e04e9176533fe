"""A cache that keeps to its size, and images that cannot be read."""

from common.data.reading import BadImages, Cache
from common.errors import UserError
from common.images.image_file import BadImage

import numpy as np
import pytest


def test_a_cache_keeps_what_fits():
    cache, made = Cache(megabytes=1), []

    def make(number, kibibytes):
        made.append(number)
        return np.full((kibibytes, 1024), number, np.uint8), np.zeros(0, np.uint8)

    for _ in range(2):
        for number, kibibytes in enumerate((500, 600, 524)):
            arrays = cache.get(number, lambda n=number, k=kibibytes: make(n, k))
            assert arrays[0][0, 0] == number and len(arrays[0]) == kibibytes
    assert made == [0, 1, 2, 1]
    assert len(cache) == 2 and 0 in cache and 1 not in cache


def read(index):
    if index % 2:
        raise BadImage(f"{index}.png: truncated")
    return np.array([index])


def test_a_bad_image_is_an_error_by_default():
    bad = BadImages(skip=False)
    assert bad.next_readable(read, 2, 4, "none") == (2, [2])
    assert bad.error is None
    with pytest.raises(UserError, match=r"1\.png: truncated, or skip it with --skip") as error:
        bad.next_readable(read, 1, 4, "none")
    assert bad.error is error.value


def test_the_next_readable_image_is_read_instead(capsys):
    bad = BadImages(skip=True)
    for _ in range(2):
        assert bad.next_readable(read, 1, 4, "none") == (2, [2])
        assert bad.next_readable(read, 3, 4, "none") == (0, [0])
    assert capsys.readouterr().out == "skipped 1.png: truncated\nskipped 3.png: truncated\n"
    with pytest.raises(UserError, match=r"^none can be read$") as error:
        bad.next_readable(lambda index: read(1), 0, 4, "none can be read")
    assert bad.error is error.value


def test_a_number_of_readable_samples(capsys):
    with pytest.raises(UserError, match=r"1\.png: truncated"):
        [*BadImages(skip=False).readable(read, range(4), 2)]
    found = [*BadImages(skip=True).readable(read, range(4), 2)]
    assert [len(found), *(arrays for _, arrays in found)] == [2, *(read(i) for i, _ in found)]
    assert 1 not in dict(found) and "skipped 1.png: truncated" in capsys.readouterr().out
