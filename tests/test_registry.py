"""The models of the zoo, found by their folders."""

from aae.aae import AAE
from common import registry
from common.errors import UserError
from common.tasks.autoencoding import AutoEncoding
from common.tasks.generation import Generation
from pix2pix.pix2pix import Pix2Pix

import pytest


def test_entry_is_what_the_file_hands_to_the_command_line():
    assert registry.entry("aae") == [AAE, Generation, AutoEncoding]
    task = registry.task_of("aae")
    assert type(task) is Generation and task.model_class is AAE and task.name == "aae"
    assert [type(capability) for capability in task.capabilities] == [AutoEncoding]


def test_small_options_are_those_that_the_model_has():
    options = registry.small_options(*registry.entry("pix2pix"))
    assert "--image_size 32" in options and "--width 4" in options and "--blocks" not in options
    assert registry.entry("pix2pix")[0] is Pix2Pix


def test_chosen_names():
    assert registry.chosen("all", registry.NAMES) == registry.NAMES
    assert registry.chosen("wgan, aae", registry.NAMES) == ["wgan", "aae"]
    with pytest.raises(UserError, match="--model gone: choose from"):
        registry.chosen("wgan,gone", registry.NAMES)
