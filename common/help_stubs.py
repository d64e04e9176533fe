"""Help texts without TensorFlow, whose import takes some five seconds.

A help text is made of signatures and docstrings; no tensor is touched. A model's script that is
asked for help alone gets stand-ins for the large libraries: modules that have every name, each a
class that can be subclassed, called and used as a decorator, and that does nothing.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

LARGE = frozenset({"tensorflow", "keras", "scipy", "matplotlib", "imageio", "requests"})
HELP = frozenset({"-h", "--help"})


def asked_for_help(command: Sequence[str]) -> bool:
    """Whether a process with these arguments, its script first, is a model's and asks for help."""
    script = Path(command[0]).resolve()
    return script.suffix == ".py" and script.stem == script.parent.name and bool(HELP & {*command})


class Anything(type):
    """A class of classes that have every attribute."""

    def __getattr__(cls, name: str):
        if name.startswith("__"):  # Python asks for some to see whether they are there
            raise AttributeError(name)
        return Anything(name, (Nothing,), {})


class Nothing(Exception, metaclass=Anything):
    """What every name of a stand-in is: takes all arguments, and as a decorator changes nothing.

    An exception, because some names stand in an `except`.
    """

    def __init__(self, *_, **__):
        pass

    def __call__(self, *decorated, **_):
        return decorated[0] if decorated else self

    def __getattr__(self, name: str):
        return getattr(type(self), name)


class _Module(ModuleType):
    __path__: Sequence[str] = ()

    def __getattr__(self, name: str):
        return getattr(Nothing, name)


class Standins(MetaPathFinder, Loader):
    """Finds, for the packages in `LARGE` and all that is within them, a module with every name."""

    def find_spec(self, fullname: str, path=None, target=None) -> ModuleSpec | None:
        if fullname.partition(".")[0] in LARGE:
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType):
        pass


def install():
    """From here on the process imports stand-ins; it must do nothing but print help."""
    sys.meta_path.insert(0, Standins())
