"""Parameters of functions, classes and dataclasses of options, by name."""

import inspect
from collections.abc import Callable
from dataclasses import fields


def parameters(function: Callable) -> dict[str, inspect.Parameter]:
    """Returns the parameters of a function or of a class's constructor, by name.

    Where a constructor takes `**keywords`, which it hands to `super().__init__`, the parameters of
    the next constructor in the method resolution order are included; of two with one name, the
    one of the subclass counts. `name`, which Keras gives every model, is left out.
    """
    if not inspect.isclass(function):
        return dict(inspect.signature(function).parameters)
    found: dict[str, inspect.Parameter] = {}
    for each in function.__mro__:
        if "__init__" not in vars(each):
            continue
        _self, *own = inspect.signature(each.__init__).parameters.values()
        named = (p for p in own if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
        found = {p.name: p for p in named if p.name != "name"} | found
        if not any(p.kind is p.VAR_KEYWORD for p in own):
            break
    return found


def pick(function: Callable, options: dict) -> dict:
    """Returns those of the options that `function` has `parameters` for."""
    return {name: options[name] for name in parameters(function) if name in options}


def given(options) -> dict:
    """Returns the fields of a dataclass instance that differ from their defaults, by name."""
    values = {field: getattr(options, field.name) for field in fields(options)}
    return {field.name: value for field, value in values.items() if value != field.default}
