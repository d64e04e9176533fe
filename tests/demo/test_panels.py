"""What the page of a demo hands to predict, and the colours of its drawing board."""

from common.data.synthetic.facades import LABEL_COLOURS, facade
from common.demo.boards import BASIC, board_for, hexadecimal, translator_panels
from common.demo.panels import Choice, Flag, Number, Text, Upload, WholeNumber

import numpy as np
import pytest


@pytest.mark.parametrize(
    ("field", "value", "arguments"),
    [
        (WholeNumber("seed", "seed"), 3, ["--seed=3"]),
        (WholeNumber("count", "images", least=1, most=9), 4.0, ["--count=4"]),
        (WholeNumber("seed", "seed"), -1, ["--seed=-1"]),
        (WholeNumber("seed", "seed"), None, []),
        (WholeNumber("count", "images"), 0.5, ["--count=0.5"]),  # for predict to refuse
        (Number("truncation", "truncation"), 0.7, ["--truncation=0.7"]),
        (Flag("noise", "noise"), False, ["--noise=false"]),
        (Text("text", "text"), "a red three", ["--text=a red three"]),
        (Text("text", "text"), "", []),
        (Choice("label", "class", choices=("-1", "2"), none="all"), "-1", ["--label=-1"]),
        (Choice("label", "class", choices=("-1", "2"), none="all"), "all", []),
        (Choice("direction", "direction", choices=("AtoB",)), "AtoB", ["--direction=AtoB"]),
    ],
)
def test_a_value_becomes_an_argument(field, value, arguments):
    assert field.arguments(value) == arguments


def test_the_board_of_label_maps_has_their_colours():
    board = board_for(facade(0, index, 64)[1] for index in range(20))
    expected = {hexadecimal(colour) for colour in LABEL_COLOURS.values()}
    assert set(board.colours) <= expected and len(board.colours) >= 8
    maps = np.concatenate([facade(0, index, 64)[1].reshape(-1, 3) for index in range(20)])
    colours, counts = np.unique(maps, axis=0, return_counts=True)
    assert board.colours[0] == hexadecimal(colours[counts.argmax()])


def test_the_board_of_edges_is_of_their_background_and_lines():
    edges = np.full((2, 16, 16, 1), 255, np.uint8)
    edges[:, 3:5] = 0
    assert board_for(edges).colours == ("#ffffff", "#000000")


def test_the_board_of_photographs_and_of_unknown_images_has_basic_colours():
    photos = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    assert board_for(photos).colours == board_for([]).colours == BASIC


def test_a_translator_can_be_drawn_for_or_given_a_file():
    examples = (np.zeros((4, 4, 3), np.uint8),)
    draw, upload = translator_panels(examples)
    assert draw.title == "Draw" and upload.image == Upload(examples=examples)
