"""Who may import whom: the floors of the project, read from every file's imports.

An import goes down, or stays on its floor without a circle; a model never imports another model.
"""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODELS = sorted(path.stem for path in ROOT.glob("*/*.py") if path.stem == path.parent.name)
FLOORS = [  # from top to bottom, packages and modules of common/
    {"loading", "registry", "tasks"},
    {"cli", "demo", "serving"},
    {"training", "evaluation", "inference"},
    {
        "growing",
        "noise_to_image",
        "projection_gan",
        "semi_supervised",
        "text_conditional",
        "staged",
        "two_translators",
        "data",
        "reports",
    },
    {"adversarial", "averaging", "plan", "players", "nn", "images"},
    {"distributed", "growth", "io", "metrics", "recipes"},
    {"errors", "signatures", "environment", "help_stubs", "option_errors", "early_checks"},
]
LOWEST = len(FLOORS) - 1
WITHOUT_TENSORFLOW = ("common/images", "common/io", "common/metrics", "common/errors.py")


def modules() -> Iterator[tuple[str, Path]]:
    """Dotted names and files of the models and of common/."""
    for folder in ["common", *MODELS]:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), path


FILES = dict(modules())


def imports(source: str, known) -> set[str]:
    """Dotted names of the modules among `known` that the source imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else node.module for name in names}
    return found & set(known)


def floor(name: str) -> int:
    """0 for models, then from the top of FLOORS; files of common/ that are on none are an error."""
    package, *rest = name.split(".")
    if package != "common":
        return 0
    if not rest:
        return LOWEST + 1  # common itself sets the environment
    (number,) = [i for i, names in enumerate(FLOORS) if rest[0] in names] or [None]
    assert number is not None, f"{FILES[name]}: is on no floor; add it to FLOORS"
    return number + 1


def faults(graph: dict[str, set[str]]) -> list[str]:
    """What is wrong with the imports, a line each that names both files."""
    found = []
    for name, targets in graph.items():
        for target in targets:
            if floor(target) < floor(name):
                found.append(f"{name} imports {target}, which is on a higher floor")
            if floor(name) == floor(target) == 0 and name.split(".")[0] != target.split(".")[0]:
                found.append(f"{name} imports {target}, another model")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append(f"a circle: {' <- '.join(error.args[1])}")
    return found


def test_imports_go_down():
    graph = {name: imports(path.read_text(), FILES) for name, path in FILES.items()}
    assert len(graph) > 100
    assert faults(graph) == []


@pytest.mark.parametrize("path", sorted(map(str, WITHOUT_TENSORFLOW)))
def test_the_lowest_floors_do_not_know_tensorflow(path):
    place = ROOT / path
    for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
        for node in ast.parse(file.read_text()).body:  # within a function it is imported late
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names]
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else names
                wrong = {name.split(".")[0] for name in names} & {"tensorflow", "keras"}
                assert not wrong, f"{file.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize(
    ("name", "target", "said"),
    [
        ("common.nn.losses", "common.training.loop", "higher floor"),
        ("common.errors", "common.io.atomic", "higher floor"),
        ("dcgan.dcgan", "wgan.wgan", "another model"),
        ("common.data.stream", "common.data.stream", "a circle"),
    ],
)
def test_a_fault_is_found_and_names_both_files(name, target, said):
    (fault,) = faults({name: {target}})
    assert said in fault and name in fault and target in fault


def test_a_circle_on_one_floor_is_found():
    graph = {"common.nn.layers": {"common.nn.blocks"}, "common.nn.blocks": {"common.nn.layers"}}
    (fault,) = faults(graph)
    assert "common.nn.layers" in fault and "common.nn.blocks" in fault


def test_imports_are_read_wherever_they_stand():
    source = "from common.nn import layers, losses\ndef f():\n    import common.errors\n"
    known = ["common.nn", "common.nn.layers", "common.errors", "common.io.atomic"]
    assert imports(source.replace("\\\n", "\n"), known) == {
        "common.nn",
        "common.nn.layers",
        "common.errors",
    }
