"""What was said in `eventbus.toml` and in the environment, and where it was said."""

import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from eventbus.errors import SettingsError
from eventbus.units import read_duration, read_size

__all__ = [
    "FILE_NAME",
    "Said",
    "Table",
    "fill",
    "find_file",
    "leaves",
    "merge",
    "plain_value",
    "read_environment",
    "read_file",
    "table_in",
    "unknown",
    "value_of",
]

FILE_NAME = "eventbus.toml"
PREFIX = "EVENTBUS_"
FILE_BYTES_MOST = 1024 * 1024
"""No settings file of ours is longer; more is somebody's mistake."""


DAY_S = 86_400

S = TypeVar("S", bound=msgspec.Struct)


class Said(msgspec.Struct, frozen=True):
    """A value, and who said it."""

    value: Any
    origin: str
    """`eventbus.toml:3`, `EVENTBUS_STATE`, `--state`."""
    is_text: bool = False
    """True where only text can be said: a number arrives as its digits."""


Table = dict[str, "Said | Table"]
"""What was said, in tables as the file has them."""


def find_file(start: Path) -> Path | None:
    """The `eventbus.toml` nearest above `start`; not one of another user's."""
    for directory in (start, *start.parents):
        path = directory / FILE_NAME
        try:
            owner = path.stat().st_uid
        except OSError:
            continue
        # Settings name code to run; in a shared directory anybody may leave a file.
        if directory == start or owner in (0, os.getuid()):
            return path
    return None


def read_file(path: Path) -> Table:
    """What a settings file says."""
    text = _text_of(path)
    try:
        parsed = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"cannot read {path}: {_lower(str(error))}") from error
    return _say_all(parsed, (), path.name, _lines_of(text))


def _text_of(path: Path) -> str:
    try:
        # Not blocking: a named pipe in the file's place would wait for its writer.
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SettingsError(f"cannot read {path}: it is not a regular file")
            content = file.read(FILE_BYTES_MOST + 1)
    except OSError as error:
        raise SettingsError(
            f"cannot read {path}: {_lower(error.strerror or str(error))}"
        ) from error
    if len(content) > FILE_BYTES_MOST:
        raise SettingsError(f"cannot read {path}: it is longer than {FILE_BYTES_MOST} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise SettingsError(f"cannot read {path}: byte {error.start} is not UTF-8") from error


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _say_all(
    parsed: Mapping[str, Any],
    path: tuple[str, ...],
    name: str,
    lines: Mapping[tuple[str, ...], int],
) -> Table:
    table: Table = {}
    for key, value in parsed.items():
        here = (*path, key)
        if isinstance(value, dict):
            table[key] = _say_all(value, here, name, lines)
        else:
            line = lines.get(here)
            table[key] = Said(value, f"{name}:{line}" if line else name)
    return table


_HEADER = re.compile(r"\s*\[([^\[\]]+)\]")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_WORD = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


def _lines_of(text: str) -> dict[tuple[str, ...], int]:
    """The line on which each key stands, as near as can be told without a parser."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        if (header := _HEADER.match(line)) is not None:
            table = _words(header[1])
        elif (key := _KEY.match(line)) is not None:
            lines.setdefault((*table, *_words(key[1])), number)
    return lines


def _words(dotted: str) -> tuple[str, ...]:
    return tuple(word.strip("\"'") for word in _WORD.findall(dotted))


def read_environment(
    environ: Mapping[str, str], *, settings: Iterable[tuple[str, ...]], sinks: Iterable[str]
) -> tuple[Table, list[str]]:
    """What `EVENTBUS_*` variables say, and the names of those that are no setting.

    `EVENTBUS_JOURNAL_KEEP_DAYS` is `journal.keep_days`; `EVENTBUS_SINKS_AUDIT_KEEP_DAYS`
    is `sinks.audit.keep_days`. A variable that is empty says nothing.
    """
    known = {_variable(path): path for path in settings}
    prefixes = {_variable(("sinks", name)) + "_": name for name in sinks}
    table: Table = {}
    strangers = []
    for variable in sorted(word for word in environ if word.startswith(PREFIX)):
        path = known.get(variable) or _sink_path(variable, prefixes)
        if path is None:
            strangers.append(variable)
        elif environ[variable]:
            _put(table, path, Said(environ[variable], variable, is_text=True))
    return table, strangers


def _variable(path: tuple[str, ...]) -> str:
    return PREFIX + re.sub(r"[^A-Z0-9]", "_", "_".join(path).upper())


def _sink_path(variable: str, prefixes: Mapping[str, str]) -> tuple[str, ...] | None:
    fitting = [prefix for prefix in prefixes if variable.startswith(prefix)]
    if not fitting:
        return None
    longest = max(fitting, key=len)  # `audit_eu` before `audit`
    return ("sinks", prefixes[longest], variable.removeprefix(longest).lower())


def _put(table: Table, path: tuple[str, ...], said: Said) -> None:
    for word in path[:-1]:
        inner = table.setdefault(word, {})
        assert isinstance(inner, dict)  # only leaves of known tables are put
        table = inner
    table[path[-1]] = said


def merge(under: Table, over: Table) -> Table:
    """Both, where `over` has the last word on each value."""
    merged = dict(under)
    for key, said in over.items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(said, dict)
        merged[key] = merge(below, said) if both else said  # type: ignore[arg-type]  # both are tables
    return merged


def leaves(table: Table, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Said]]:
    """Every value that was said, with its path."""
    for key, said in table.items():
        if isinstance(said, dict):
            yield from leaves(said, (*path, key))
        else:
            yield (*path, key), said


# --- as what is wanted -------------------------------------------------------------


def table_in(table: Table, key: str, above: str = "") -> Table:
    """A table inside a table; empty when nothing was said of it."""
    said = table.get(key, {})
    if isinstance(said, Said):
        raise SettingsError(
            f"{above}{key} cannot be {said.value!r} ({said.origin}); it is a table [{above}{key}]"
        )
    return said


def fill(wanted: type[S], table: Table, path: str) -> S:
    """A Struct of what was said; the rest keeps its defaults."""
    fields = {field.name: field.type for field in msgspec.structs.fields(wanted)}
    for key, said in table.items():
        if key not in fields:
            raise unknown(key, said, fields, of=path)
    return wanted(
        **{key: value_of(said, fields[key], f"{path}.{key}") for key, said in table.items()}
    )


def unknown(key: str, said: "Said | Table", allowed: Iterable[str], *, of: str) -> SettingsError:
    """What is said of a key that is not allowed."""
    where = f" ({said.origin})" if isinstance(said, Said) else ""
    path = f"{of}.{key}" if of else key
    within = f" in [{of}]" if of else ""
    return SettingsError(
        f"no setting {path!r}{where}; allowed{within}: {', '.join(sorted(allowed)) or 'none'}"
    )


def value_of(said: "Said | Table", wanted: Any, path: str) -> Any:
    """A value of the wanted type, or a sentence saying who said what instead."""
    if not isinstance(said, Said):
        raise SettingsError(f"{path} cannot be a table; it is one value")
    try:
        value = _in_units(path, said.value)
        if said.is_text and wanted in (tuple[str, ...], tuple[str, ...] | None):
            value = [word.strip() for word in str(value).split(",") if word.strip()]
        return msgspec.convert(value, wanted, strict=not said.is_text)
    except (msgspec.ValidationError, SettingsError) as error:
        sentence = str(error)
        raise SettingsError(
            f"{path} cannot be {said.value!r} ({said.origin}): {sentence[:1].lower()}{sentence[1:]}"
        ) from error


def _in_units(path: str, value: Any) -> Any:
    """A size, a duration or days as numbers, told by the last word of the name."""
    read = _UNITS.get(path.rpartition(".")[2].rpartition("_")[2])
    if read is None or isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    number = read(value)
    return number if isinstance(value, str) else value


def _read_days(written: str | float) -> float:
    """Days of `"30d"`, `"2 weeks"` or a number of them."""
    try:
        days = read_duration(float(written))
    except ValueError:
        days = read_duration(written) / DAY_S
    return int(days) if days == int(days) else days


_UNITS: dict[str, Callable[[str | float], float]] = {
    "bytes": read_size,
    "days": _read_days,
    "every": read_duration,
    "linger": read_duration,
    "seconds": read_duration,
    "timeout": read_duration,
}
"""How a setting is read whose name ends in that word."""


def plain_value(said: "Said | Table", path: str) -> Any:
    """A sink's own setting, before its Struct is known."""
    if not isinstance(said, Said):
        return {key: plain_value(inner, f"{path}.{key}") for key, inner in said.items()}
    value = value_of(said, Any, path)
    return _literal(value) if said.is_text and isinstance(value, str) else value


def _literal(text: str) -> Any:
    """A variable's text as the TOML value it would be, else as text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
