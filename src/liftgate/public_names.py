"""Import public names at their first use, and make public functions refuse unknown keyword arguments."""

from __future__ import annotations

import functools
import importlib
import typing
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def lazy_names(package: str, functions: Mapping[str, str], types: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package.

    Args:
        package: name of the package, as pickle stores it.
        functions: name → module that defines it, or `module:name there`.
        types: the same for classes.
    """

    @functools.cache
    def load(name: str) -> Any:
        home = functions.get(name) or types.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, attribute = home.partition(":")
        found = getattr(importlib.import_module(module), attribute or name)
        return refuse_unknown_arguments(found, package, name) if name in functions else found

    return load


def refuse_unknown_arguments(function: Callable[P, T], package: str, name: str) -> Callable[P, T]:
    """Wrap a public function so that it refuses unknown keyword arguments before any work.

    Args:
        function: the function.
        package: name of its public package, as pickle stores it.
        name: its public name.

    Raises:
        UsageError: by the wrapped function, for an unknown keyword; the hint names the nearest one.
    """
    import inspect  # 10 ms, which `import liftgate` need not wait for

    parameters = inspect.signature(function).parameters.values()
    known = [one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    if rest := next((one.name for one in parameters if one.kind == one.VAR_KEYWORD), None):
        options = next(iter(typing.get_args(typing.get_type_hints(function)[rest])), None)
        if not typing.is_typeddict(options):  # the function validates its own keywords
            return function
        known += options.__annotations__

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        for word in kwargs:
            if word not in known:
                from liftgate.errors import UsageError
                from liftgate.suggestions import suggestion

                raise UsageError(f"{name}() has no argument {word!r}", hint=suggestion(word, known))
        return function(*args, **kwargs)

    checked.__module__, checked.__qualname__ = package, name  # where pickle finds it
    return checked
