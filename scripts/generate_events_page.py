"""Print docs/events.md: every kind of event, its fields and the files it goes to.

`python -m scripts.generate_events_page > docs/events.md` writes the page; a
test holds it.
"""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import msgspec

import eventbus.events
from eventbus.event import HEADER, Event
from eventbus.formats import SHAPES
from eventbus.kinds import KindFilter

FILES = {
    "audit": "audit.jsonl",
    "interactions": "interactions-{date}.jsonl",
    "usage": "usage.jsonl",
    "storage": "storage.jsonl",
    "backup": "backup.jsonl",
    "errors": "errors.jsonl",
}
OPENING = """\
# Events

<!-- Made by scripts/generate_events_page.py; edit the classes, not this page. -->

Every kind of event we know; all of them are imported from `eventbus.events`.
A kind is `topic:verb`, and each topic is a file of that folder.

An event is written as one JSON object: its kind, its header, then its payload.
The header is `id` (a UUIDv7), `ts` (UTC), `scope` (who is acting) and `cause` (what led to it).
Every event goes to `events.jsonl` and `activity.log`, the bus's own counts left out.
Where a kind has a line in another file as well, that file is named.
"""


def main() -> None:
    print(page(), end="")


def page() -> str:
    """The whole page as text."""
    return "\n".join([OPENING, *(line for module in modules() for line in of_module(module))])


def modules() -> list[ModuleType]:
    """A module a topic, by name."""
    names = sorted(found.name for found in pkgutil.iter_modules(eventbus.events.__path__))
    return [importlib.import_module(f"eventbus.events.{name}") for name in names]


def of_module(module: ModuleType) -> Iterator[str]:
    """A topic: its sentence, its events, then the Structs they hold."""
    yield f"## {module.__name__.rpartition('.')[2]}\n"
    yield f"{inspect.getdoc(module)}\n"
    structs = [cls for cls in vars(module).values() if is_ours(cls, module)]
    for cls in sorted(structs, key=lambda cls: not issubclass(cls, Event)):
        yield from of_struct(cls)


def is_ours(value: object, module: ModuleType) -> bool:
    return (
        inspect.isclass(value)
        and issubclass(value, msgspec.Struct)
        and value.__module__ == module.__name__
    )


def of_struct(cls: type[msgspec.Struct]) -> Iterator[str]:
    """One event or Struct: what it says, where it goes, its fields."""
    is_event = issubclass(cls, Event)
    kind = str(cls.__struct_config__.tag)
    yield f"### {kind}\n" if is_event else f"### {cls.__name__}\n"
    says = " ".join((inspect.getdoc(cls) or "").split())
    yield f"`{cls.__name__}`: {says}\n" if is_event else f"{says}\n"
    files = [f"`{file}`" for name, file in FILES.items() if KindFilter(SHAPES[name].kinds)(kind)]
    if is_event and files:
        yield f"Goes to {' and '.join(files)} as well.\n"
    fields = [field for field in msgspec.structs.fields(cls) if field.name not in HEADER]
    if not fields:
        return
    notes = notes_of(cls)
    yield "| field | type | default | |\n|---|---|---|---|"
    for field in fields:
        written, note = notes[field.name]
        cells = (f"`{field.encode_name}`", f"`{written}`", default_of(field), note)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells).rstrip() + " |"
    yield ""


def default_of(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "must be given"
    if field.default_factory is not msgspec.NODEFAULT:
        return f"`{field.default_factory()!r}`"
    return f"`{field.default!r}`"


def notes_of(cls: type[msgspec.Struct]) -> dict[str, tuple[str, str]]:
    """Each field's type as written and the line under it, inherited ones as well."""
    notes: dict[str, tuple[str, str]] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("eventbus.events."):
            notes |= own_notes(base)
    return notes


def own_notes(cls: type) -> Iterator[tuple[str, tuple[str, str]]]:
    (body,) = ast.parse(inspect.getsource(cls)).body
    assert isinstance(body, ast.ClassDef)
    for place, line in enumerate(body.body):
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            under = body.body[place + 1 : place + 2]
            yield line.target.id, (ast.unparse(line.annotation), text_of(under))


def text_of(under: list[ast.stmt]) -> str:
    """The text that stands alone on a line, if it is one."""
    match under:
        case [ast.Expr(value=ast.Constant(value=str(text)))]:
            return " ".join(text.split())
    return ""


if __name__ == "__main__":
    main()
