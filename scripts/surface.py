"""Print the public surface: every name people may import, and how it is called.

`make surface` writes it to tests/surface.txt, where a test holds it.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

import msgspec

from eventbus import Sink

OURS = ("eventbus", "sinks")


class Something:
    """A default that is no plain value, whatever it is."""

    def __repr__(self) -> str:
        return "…"


SOMETHING = Something()


def main() -> None:
    print(surface(), end="")


def surface() -> str:
    """The whole surface as text, a module a paragraph."""
    return "\n\n".join("\n".join(of_module(module)) for module in modules()) + "\n"


def modules() -> list[ModuleType]:
    """The modules people import from."""
    sinks = importlib.import_module("sinks")
    names = ["eventbus", "eventbus.testing", "sinks"]
    found = [module.name for module in pkgutil.iter_modules(sinks.__path__)]
    names += [f"sinks.{name}" for name in found if not name.startswith("_")]
    return [importlib.import_module(name) for name in names]


def of_module(module: ModuleType) -> Iterator[str]:
    """A module's name, then its public names in order."""
    yield module.__name__
    for name in sorted(module.__all__):
        value = getattr(module, name)
        yield f"  {name}{call(value)}"
        if inspect.isclass(value) and value.__module__.partition(".")[0] in OURS:
            yield from (f"    {line}" for line in of_class(value))


def of_class(cls: type) -> Iterator[str]:
    """The fields of a Struct, then the methods and properties of any class of ours."""
    if issubclass(cls, msgspec.Struct):
        yield from (of_field(field) for field in msgspec.structs.fields(cls))
    for name in sorted(dir(cls)):
        home = next((base for base in cls.__mro__ if name in vars(base)), object)
        if name.startswith("_") or home.__module__.partition(".")[0] not in OURS:
            continue
        if cls is not Sink and issubclass(cls, Sink) and hasattr(Sink, name):
            continue  # what every sink has is listed once
        if line := of_member(name, vars(home)[name]):
            yield line


def of_field(field: msgspec.structs.FieldInfo) -> str:
    return f".{field.name}" if field.required else f".{field.name} = …"


def of_member(name: str, value: Any) -> str | None:
    """A method with its parameters, a property by name; nothing for a Struct's own slots."""
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    if isinstance(value, FunctionType):
        how = "async " if inspect.iscoroutinefunction(value) else ""
        return f"{how}{name}{call(value)}"
    return f".{name}" if isinstance(value, property) else None


def call(value: Any) -> str:
    """How it is called, without types; empty for what is not called."""
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return ""
    if inspect.isclass(value) and issubclass(value, Exception):
        return ""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):  # a C function that does not say
        return "(…)"
    return str(inspect.Signature([plain(parameter) for parameter in parameters]))


def plain(parameter: inspect.Parameter) -> inspect.Parameter:
    """Without its type, and with a default that reads the same everywhere."""
    default = parameter.default
    if default is not parameter.empty and not isinstance(default, bool | int | float | str | None):
        default = SOMETHING
    return parameter.replace(annotation=parameter.empty, default=default)


if __name__ == "__main__":
    main()
