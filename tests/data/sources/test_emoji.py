"""Emoji in two styles: what is held out, and that no emoji is on two sides in any skin tone."""

from common.data.paired import PairedImages
from common.data.sources.emoji import base_of, parts_by_base
from common.data.unpaired import UnpairedImages
from common.errors import UserError
from tests.helpers.emoji import STEMS, emoji_image, write_emoji

import numpy as np
import pytest


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return write_emoji(tmp_path_factory.mktemp("named"))


def bases(names):
    return {base_of(name.removesuffix(".png")) for name in names}


@pytest.mark.parametrize(
    ("stem", "base"),
    [
        ("1f44d-1f3fd", "1f44d"),
        ("261d-fe0f", "261d"),  # and with a skin tone, which takes the place of fe0f
        ("261d-1f3fb", "261d"),
        ("0023-fe0f-20e3", "0023-20e3"),
        ("1f468-1f3fb-200d-1f33e", "1f468-200d-1f33e"),
        ("1f46b-1f3fb", "1f46b"),  # one skin tone for both
        ("1f469-1f3fb-200d-1f91d-200d-1f468-1f3ff", "1f46b"),
        ("1f9d1-1f3fb-200d-2764-fe0f-200d-1f9d1-1f3fc", "1f491"),
        ("1faf1-1f3fb-200d-1faf2-1f3fc", "1f91d"),
        ("1f3fb", ""),
    ],
)
def test_the_base_of_an_emoji(stem, base):
    assert base_of(stem) == base


def test_parts_share_no_base_and_leave_nothing_out():
    parts = parts_by_base(STEMS, 0.05, 0.3)
    assert sorted(i for part in parts for i in part) == list(range(len(STEMS)))
    found = [{base_of(STEMS[i]) for i in part} for part in parts]
    assert sum(map(len, found)) == len(set.union(*found)) == 20
    assert [len(part) for part in found] == [13, 1, 6]
    shuffled = STEMS[::-1]  # a part depends on the names alone
    again = parts_by_base(shuffled, 0.05, 0.3)
    assert [{base_of(shuffled[i]) for i in part} for part in again] == found


def test_pairs_are_split_by_their_base(data_dir):
    made = [PairedImages(64, 3, 3, seed, "emoji", str(data_dir)) for seed in (0, 1)]
    names = {split: [name for name, _, _ in made[0].pairs(split)] for split in made[0].splits}
    assert sum(map(len, names.values())) == len(STEMS)
    assert sum(len(bases(each)) for each in names.values()) == 20
    assert [len(bases(names[split])) for split in ("val", "test")] == [1, 2]
    assert made[0].fingerprint() == made[1].fingerprint()  # whatever the seed
    name, x, y = next(made[0].pairs("test"))
    for style, image in (("twitter", x), ("google", y)):
        np.testing.assert_allclose((image + 1) * 127.5, emoji_image(style, name), atol=1e-3)


def test_each_emoji_is_in_one_domain_and_the_counterpart_of_a_test_image_in_none(data_dir):
    data = UnpairedImages(0, "emoji", str(data_dir))
    assert (data.image_size, data.channels, data.load_size) == (64, 3, 72)
    shown = {
        (split, domain): [*data.held_out(domain, split)]
        for split in ("train", "test")
        for domain in "AB"
    }
    names = {key: [one.name for one in images] for key, images in shown.items()}
    assert names["test", "A"] == names["test", "B"]
    pairs = PairedImages(64, 3, 3, 0, "emoji", str(data_dir))
    assert names["test", "A"] == [name for name, _, _ in pairs.pairs("test")]
    in_a, in_b = bases(names["train", "A"]), bases(names["train", "B"])
    assert not in_a & in_b and not (in_a | in_b) & bases(names["test", "A"])
    assert len(in_a | in_b) == 17 and abs(len(in_a) - len(in_b)) <= 1
    styles = {"A": ("twitter", "google"), "B": ("google", "twitter")}
    for (_, domain), images in shown.items():
        for image, style in zip((images[0].x, images[0].target), styles[domain], strict=True):
            expected = emoji_image(style, images[0].name)
            np.testing.assert_allclose((image + 1) * 127.5, expected, atol=1e-3)


@pytest.mark.parametrize("kind", ["paired", "unpaired"])
def test_without_the_files_it_is_said_what_to_put_where(tmp_path, kind):
    (tmp_path / "emoji" / "google").mkdir(parents=True)
    with pytest.raises(UserError, match=r"emoji has no twitter/, and there is no download"):
        if kind == "paired":
            PairedImages(64, 3, 3, 0, "emoji", str(tmp_path))
        else:
            UnpairedImages(0, "emoji", str(tmp_path))
