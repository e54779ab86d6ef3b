"""The pinned sets hold what is declared, and nothing that leads anywhere."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
GROUPS: dict[str, list[Any]] = PROJECT["dependency-groups"]
OURS = PROJECT["project"]["name"]


def of_group(name: str) -> list[Requirement]:
    """What a group asks for, and the groups it includes."""
    asked: list[Requirement] = []
    for entry in GROUPS[name]:
        if isinstance(entry, dict):
            asked += of_group(entry["include-group"])
        elif (requirement := Requirement(entry)).name != OURS:
            asked.append(requirement)
    return asked


def of_extras(*names: str) -> list[Requirement]:
    return [Requirement(text) for name in names for text in EXTRAS[name]]


DECLARED = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
SETS = {
    "run": [*DECLARED, *of_extras("zstd"), *of_group("build")],
    "test": [*DECLARED, *of_extras("trio", "uvloop", "zstd"), *of_group("test")],
    "lint": [*DECLARED, *of_group("lint")],
    "bench": [*DECLARED, *of_extras("zstd"), *of_group("bench")],
}


def pinned(name: str) -> dict[str, Version]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return {
        canonicalize_name(found[1]): Version(found[2])
        for found in re.finditer(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    }


@pytest.mark.parametrize("name", SETS)
def test_a_lock_holds_what_is_declared_at_a_version_that_is_allowed(name: str) -> None:
    """After a change of pyproject.toml: `make lock`."""
    pins = pinned(name)

    for requirement in SETS[name]:
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not in the lock"
        assert version in requirement.specifier, f"{requirement} is pinned to {version}"


def test_the_locks_agree_with_each_other() -> None:
    """They are installed over one another."""
    lint = pinned("lint")

    for name in ("run", "test"):
        assert {each: lint.get(each) for each in pinned(name)} == pinned(name)


@pytest.mark.parametrize("name", SETS)
def test_a_lock_holds_names_versions_and_hashes_alone(name: str) -> None:
    line = re.compile(
        r"[\w.-]+==[\w.+!-]+( ; [\w.'<>=!()\s]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?"
    )
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()

    assert [each for each in lines if not line.fullmatch(each)] == []
