"""Writes docs/reliability.md: each statement, the tests that hold it, their last figures.

`make reliability` runs the tests, which keep their figures in
docs/reliability.json, and then this; the rest is the tests' own text.
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

__all__ = [
    "LATER",
    "Kept",
    "Outcome",
    "Statement",
    "counts_in",
    "named_tests",
    "page",
    "read_kept",
    "statements",
]

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests" / "reliability"
PAGE = ROOT / "docs" / "reliability.md"
KEPT = ROOT / "docs" / "reliability.json"

LATER = {
    "R22": "its number is kept free",
}
"""Statements about parts that are not built, or numbers without one."""

OPENING = """\
# Reliability

<!-- Made by scripts/generate_reliability_page.py from the tests and docs/reliability.json. -->

Each promise, the tests that hold it, and what they measured when they were run last.
What the words mean stands in the [glossary](glossary.md).

```console
$ make reliability                        # all of them at CI's counts, then this page
$ make reliability ARGS="-k full_disk"    # some of them; the others keep their figures
$ EVENTBUS_LONG=1 make reliability        # at the long counts: many hours
$ EVENTBUS_RUNS=50 make reliability       # at counts of your own
```

A figure is written by the test itself, from the counts it really ran.
A test that a machine does not allow is counted as skipped, with the reason.
"""


Outcome = Literal["passed", "skipped", "broken", "failed"]
"""Broken: it is known not to hold, and the test says so."""


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one test went when it was run last."""

    outcome: Outcome
    seconds: float
    day: str
    """The UTC day."""
    machine: str
    figure: str | None = None
    reason: str | None = None
    """Why it was skipped, or does not hold."""
    counts: dict[str, int] = {}
    """What its module was given for each count it asked for."""


class Statement(msgspec.Struct, frozen=True):
    """One promise, as its test files say it."""

    name: str
    text: str
    files: list[Path]


def read_kept(file: Path) -> dict[str, Kept]:
    """What is kept of each test, by node id."""
    return msgspec.json.decode(file.read_bytes(), type=dict[str, Kept]) if file.exists() else {}


def write_kept(file: Path, kept: Mapping[str, Kept]) -> None:
    lines = msgspec.json.format(msgspec.json.encode(dict(sorted(kept.items()))), indent=1)
    file.write_bytes(lines + b"\n")


# --- what the tests say of themselves -----------------------------------------------


def statements() -> list[Statement]:
    """Every statement that has a test file, by number."""
    by_name: dict[str, Statement] = {}
    for file in sorted(TESTS.glob("test_*.py")):
        name, text = _said(file)
        by_name.setdefault(name, Statement(name, text, [])).files.append(file)
    return sorted(by_name.values(), key=lambda each: int(each.name[1:]))


def _said(file: Path) -> tuple[str, str]:
    """The statement a test file names in the first line of its docstring."""
    opening = (ast.get_docstring(_parsed(file)) or "").partition("\n\n")[0]
    said = re.fullmatch(r"(R\d+): (.+)", " ".join(opening.split()))
    if said is None or f"_r{int(said[1][1:]):02}_" not in file.name:
        raise SystemExit(f"{file.name} begins with {opening!r}; wanted is its statement, 'R1: …'")
    return said[1], said[2].removesuffix(".")


@cache
def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def named_tests(file: Path) -> list[str]:
    """Its tests by name, those of classes too, in order."""
    functions = (node for node in ast.walk(_parsed(file)) if isinstance(node, _FUNCTIONS))
    tests = [node for node in functions if node.name.startswith("test_")]
    return [node.name for node in sorted(tests, key=lambda node: node.lineno)]


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def counts_in(file: Path) -> dict[str, tuple[int, int]]:
    """The counts a module asks for, by constant: in CI, in the long form."""
    counts = {}
    for node in _parsed(file).body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(func=ast.Name(id="runs"), keywords=keywords),
            ):
                asked = {word.arg: ast.literal_eval(word.value) for word in keywords}
                counts[name] = (asked["ci"], asked["long"])
    return counts


# --- the page -------------------------------------------------------------------------


def page(kept: Mapping[str, Kept]) -> str:
    """The whole page."""
    every = statements()
    later = [f"| {name} | {text} |" for name, text in LATER.items()]
    parts = [
        OPENING,
        *("| | statement | last run |", "|---|---|---|"),
        *(_row(statement, kept) for statement in every),
        "",
        *(line for statement in every for line in _section(statement, kept)),
        *("## Not yet promised\n", "These stand for parts to come; nothing holds them yet.\n"),
        *("| | statement |", "|---|---|", *later, ""),
    ]
    return "\n".join(parts)


def _row(statement: Statement, kept: Mapping[str, Kept]) -> str:
    of_each = [_of(test, file, kept) for file in statement.files for test in named_tests(file)]
    runs = [run for of_one in of_each for run in of_one]
    says = _outcome(runs)
    if says.startswith("passed"):
        says = next(filter(None, map(_figures, of_each)), says)
    missing = of_each.count([])
    if runs and missing:
        says += f"; {missing} of {len(of_each)} tests not run yet"
    return _cells(f"[{statement.name}](#{statement.name.lower()})", statement.text, says)


def _section(statement: Statement, kept: Mapping[str, Kept]) -> Iterator[str]:
    yield f"## {statement.name}\n"
    yield f"{statement.text[0].upper()}{statement.text[1:]}.\n"
    for file in statement.files:
        runs = {test: _of(test, file, kept) for test in named_tests(file)}
        every = [run for of_one in runs.values() for run in of_one]
        yield f"- [{_written(file)}](../{_written(file)})"
        yield from _counts(file, every)
        yield from _when(every)
        yield "\n| test | last run |\n|---|---|"
        yield from (_cells(f"`{test}`", _said_of(of_one)) for test, of_one in runs.items())
        yield ""


def _of(test: str, file: Path, kept: Mapping[str, Kept]) -> list[Kept]:
    """What is kept of a test, once for each of its cases."""
    found = []
    for nodeid, run in kept.items():
        path, _, rest = nodeid.partition("::")
        if path == _written(file) and rest.partition("[")[0].rpartition("::")[2] == test:
            found.append(run)
    return found


def _written(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def _counts(file: Path, runs: list[Kept]) -> Iterator[str]:
    """How often it tries, a line a count."""
    for name, (ci, long) in counts_in(file).items():
        word = name.capitalize().replace("_", " ")
        last = sorted({run.counts[name] for run in runs if name in run.counts})
        taken = f", {' and '.join(f'{each:,}' for each in last)} when run last" if last else ""
        yield f"- {word}: {ci:,} in CI, {long:,} in the long form{taken}."


def _when(runs: list[Kept]) -> Iterator[str]:
    """The days and machines of the last runs."""
    for day, machine in sorted({(run.day, run.machine) for run in runs}):
        yield f"- Run on {day}: {machine}."


def _said_of(runs: list[Kept]) -> str:
    return "; ".join(filter(None, (_outcome(runs), _figures(runs))))


def _figures(runs: list[Kept]) -> str:
    """What the cases of a test measured, once each."""
    return "; ".join(dict.fromkeys(run.figure for run in runs if run.figure))


def _outcome(runs: list[Kept]) -> str:
    """How the cases of a test went, together."""
    if not runs:
        return "not run yet"
    failed, skipped = (sum(run.outcome == name for run in runs) for name in ("failed", "skipped"))
    if failed:
        return f"**failed**: {failed} of {len(runs)}"
    broken = dict.fromkeys(str(run.reason) for run in runs if run.outcome == "broken")
    if broken:
        return f"**does not hold yet**: {'; '.join(broken)}"
    if skipped == len(runs):
        return f"skipped: {runs[0].reason}"
    cases = f" in {len(runs)} cases" if len(runs) > 1 else ""
    return f"passed{cases}" + (f", {skipped} skipped" if skipped else "")


def _cells(*texts: str) -> str:
    return f"| {' | '.join(text.replace('|', chr(92) + '|') for text in texts)} |"


if __name__ == "__main__":
    if "--print" in sys.argv:
        sys.stdout.write(page(read_kept(KEPT)))
    else:
        PAGE.write_text(page(read_kept(KEPT)))
