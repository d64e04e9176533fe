"""Help texts without importing TensorFlow, which takes about five seconds.

A help text is made of signatures and docstrings; no tensor is involved. When a model's script is
asked for help only, the large libraries are replaced by stubs: modules in which every name exists,
each a class that can be subclassed, called and used as a decorator, and that does nothing.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

STUBBED = frozenset({"tensorflow", "keras", "scipy", "matplotlib", "imageio", "requests"})
HELP = frozenset({"-h", "--help"})


def only_help_is_asked_for(command: Sequence[str]) -> bool:
    """Whether a command, the script first, is a model's script with a help option."""
    return is_model_script(command[0]) and bool(HELP & {*command})


def is_model_script(file: str) -> bool:
    """Whether a file is a model's script, NAME/NAME.py."""
    script = Path(file).resolve()
    return script.suffix == ".py" and script.stem == script.parent.name


class StubType(type):
    """Metaclass of the stubs: a class that has every attribute, each again a stub."""

    def __getattr__(cls, name: str):
        if name.startswith("__"):  # Python looks up optional special methods
            raise AttributeError(name)
        return StubType(name, (Stub,), {})


class Stub(Exception, metaclass=StubType):
    """Takes any arguments; as a decorator, returns what it decorates unchanged.

    An exception, because some names are used in `except` clauses.
    """

    def __init__(self, *_, **__):
        pass

    def __call__(self, *decorated, **_):
        return decorated[0] if decorated else self

    def __getattr__(self, name: str):
        return getattr(type(self), name)


class _StubModule(ModuleType):
    __path__: Sequence[str] = ()

    def __getattr__(self, name: str):
        return getattr(Stub, name)


class StubFinder(MetaPathFinder, Loader):
    """Finds a stub module for each package in `STUBBED` and everything inside it."""

    def find_spec(self, fullname: str, path=None, target=None) -> ModuleSpec | None:
        if fullname.partition(".")[0] in STUBBED:
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StubModule(spec.name)

    def exec_module(self, module: ModuleType):
        pass


def install():
    """Makes later imports return stubs; the process can then print help or check options only."""
    sys.meta_path.insert(0, StubFinder())
