"""What an import costs, and who may import whom."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = {
    *("aiofiles", "anyio", "asyncio", "backports", "click", "compression", "cronsim"),
    *("sinks", "pathspec", "sqlite3", "trio", "uvloop", "watchfiles"),
}
"""Packages that have no part in emitting an event."""


def modules_after(statement: str) -> set[str]:
    """Top-level packages a fresh interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    asked = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    return set(asked.stdout.split())


def test_importing_eventbus_loads_no_extra() -> None:
    loaded = modules_after("import eventbus") - modules_after("pass")

    assert sorted(loaded & EXTRAS) == []


def test_importing_eventbus_makes_no_form_of_a_line() -> None:
    """What writes text for people is imported by the sinks that do."""
    code = "import sys, eventbus; print(*[name for name in sys.modules if '.formats' in name])"

    asked = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )

    assert asked.stdout.split() == []


@pytest.mark.parametrize("module", ["memory", "null"])
def test_a_sink_that_writes_no_file_loads_no_file_library(module: str) -> None:
    loaded = modules_after(f"import sinks.{module}")

    assert "aiofiles" not in loaded


def test_every_import_goes_down_the_layers() -> None:
    """The contracts stand in pyproject.toml."""
    lint = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert lint.returncode == 0, lint.stdout + lint.stderr


def modules_of(package: str) -> set[str]:
    """The modules and packages that stand right inside a package."""
    inside = ROOT / package
    found = {path.stem for path in inside.glob("*.py")}
    found |= {path.parent.name for path in inside.glob("*/__init__.py")}
    return {f"{package}.{name}" for name in found if not name.startswith("__")}


def layers() -> list[set[str]]:
    """The modules of each layer, highest first, as the contract has them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    lines = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    # What stands in brackets is allowed not to be there yet.
    return [set(re.findall(r"(?<![(.\w])[\w.]+", line)) for line in lines]


def test_every_module_has_a_layer() -> None:
    """One that is in no layer would be free to import anything."""
    assert modules_of("eventbus") | {"sinks"} == set().union(*layers())


def test_the_design_page_shows_the_layers_as_they_are() -> None:
    page = (ROOT / "docs" / "design.md").read_text().partition("## Layers")[2]
    rows = [row.split("|")[1] for row in page.splitlines() if row.startswith("| `")]

    shown = [set(re.findall(r"`(\w+)`", row)) for row in rows]

    assert shown == [{name.removeprefix("eventbus.") for name in layer} for layer in layers()]


@pytest.mark.parametrize("package", ["eventbus", "sinks"])
def test_every_folder_of_modules_is_a_package(package: str) -> None:
    """A folder without `__init__.py` is left out of the contracts in silence."""
    folders = {path.parent for path in (ROOT / package).rglob("*.py")}

    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []
