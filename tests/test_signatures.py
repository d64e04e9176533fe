"""Parameters by name: of functions, of classes and their parents, of dataclasses."""

from dataclasses import dataclass

from common.signatures import given, parameters, pick


class Base:
    def __init__(self, rate: float = 0.1, decay: float = 0.5, *, name: str = "base"):
        self.rate, self.decay, self.name = rate, decay, name


class Middle(Base):
    """Has no constructor of its own."""


class Model(Middle):
    def __init__(self, width: int = 3, decay: float = 0.9, **shared):
        super().__init__(decay=decay, name="model", **shared)
        self.width = width


class Closed(Model):
    def __init__(self, depth: int = 1):
        super().__init__(width=depth)


def test_parameters_of_a_class_include_those_of_its_parents():
    found = parameters(Model)
    assert set(found) == {"rate", "decay", "width"}
    assert found["decay"].default == 0.9 and found["rate"].default == 0.1


def test_a_constructor_without_keywords_hides_its_parents():
    assert list(parameters(Closed)) == ["depth"]
    assert list(parameters(Middle)) == ["rate", "decay"]


def test_pick_selects_the_options_that_a_function_takes():
    assert pick(lambda a, b=2: None, {"a": 1, "c": 3}) == {"a": 1}
    assert pick(Model, {"rate": 1, "width": 2, "steps": 3, "name": "x"}) == {"rate": 1, "width": 2}


@dataclass
class Options:
    best: bool = False
    step: int | None = None


def test_given_are_the_options_that_differ_from_their_defaults():
    assert given(Options()) == {}
    assert given(Options(step=0)) == {"step": 0}
    assert given(Options(best=True, step=None)) == {"best": True}
