"""What is found by looking, when the kernel tells nothing."""

import os
import shutil
from pathlib import Path

import pytest

from eventbus.disk import SYSTEM_DISK
from eventbus.testing import FakeClock
from eventbus.watching.lookout import Lookout
from eventbus.watching.pace import no_rest
from eventbus.watching.rules import Rules
from eventbus.watching.turns import BLIND, DEEP, GLANCES

DIRECTORIES = 10


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def lookout_on(root: Path, clock: FakeClock, *, gitignore: bool = False) -> Lookout:
    """One that takes it that the kernel tells of every directory."""
    rules = Rules(gitignore=gitignore)
    lookout = Lookout(root, rules, clock=clock, disk=SYSTEM_DISK, rest=no_rest)
    lookout.begin()
    lookout.hears(lookout.hearable())
    lookout.look()
    lookout.tree.untold.clear()
    return lookout


def ops(found: list) -> list[tuple[str, str]]:
    return [(each.op, each.path) for each in found]


def turned(lookout: Lookout, clock: FakeClock, turns: int = 2) -> list[tuple[str, str]]:
    """What some turns find that the kernel did not tell of."""
    found = []
    for _ in range(turns):
        found += lookout.take_turn()
        clock.advance(1)
        found += lookout.look()
    return ops(found)


def some_files(root: Path) -> None:
    for number in range(DIRECTORIES):
        (root / f"{number}").mkdir()
        (root / f"{number}/a.txt").write_text("x")


def test_turns_find_what_the_kernel_did_not_tell_and_say_so(
    tmp_path: Path, clock: FakeClock
) -> None:
    some_files(tmp_path)
    lookout = lookout_on(tmp_path, clock)
    (tmp_path / "3/a.txt").write_text("longer")
    (tmp_path / "4/new.txt").write_text("x")
    (tmp_path / "5/a.txt").unlink()

    assert sorted(turned(lookout, clock)) == [
        ("delete", "5/a.txt"),
        ("write", "3/a.txt"),
        ("write", "4/new.txt"),
    ]
    assert [(gap.reason, gap.found) for gap in lookout.gaps] == [("unheard", 3)]


def test_what_the_kernel_tells_a_little_later_is_no_gap(tmp_path: Path, clock: FakeClock) -> None:
    some_files(tmp_path)
    lookout = lookout_on(tmp_path, clock)
    (tmp_path / "4/new.txt").write_text("x")
    lookout.take_turn()
    lookout.hear([str(tmp_path / "4/new.txt")])

    assert ops(lookout.look()) == [("write", "4/new.txt")]
    assert turned(lookout, clock) == []
    assert lookout.gaps == []


def test_turns_come_round_to_everything(tmp_path: Path, clock: FakeClock) -> None:
    files = DEEP * 3
    for number in range(files):
        (tmp_path / f"{number}.txt").write_text("x")
    lookout = lookout_on(tmp_path, clock)
    for number in range(files):
        (tmp_path / f"{number}.txt").write_text("longer")

    assert len(turned(lookout, clock, turns=4)) == files
    assert GLANCES > DEEP
    assert BLIND > GLANCES


def test_a_directory_the_kernel_tells_nothing_of_is_looked_in_each_turn(
    tmp_path: Path, clock: FakeClock
) -> None:
    some_files(tmp_path)
    lookout = lookout_on(tmp_path, clock)
    lookout.hears_none()
    (tmp_path / "3/a.txt").write_text("longer")

    assert ops(lookout.take_turn()) == [("write", "3/a.txt")]
    assert lookout.gaps == []


def test_a_doubt_is_looked_into_and_told(tmp_path: Path, clock: FakeClock) -> None:
    some_files(tmp_path)
    lookout = lookout_on(tmp_path, clock)
    shutil.rmtree(tmp_path / "3")
    lookout.doubt("because")

    assert ops(lookout.look()) == [("delete", "3/a.txt"), ("delete", "3")]
    assert [(gap.reason, gap.found) for gap in lookout.gaps] == [("because", 2)]


def test_a_directory_with_a_name_that_is_no_text_is_not_listened_to(
    tmp_path: Path, clock: FakeClock
) -> None:
    some_files(tmp_path)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/3/caf\xe9")).write_text("x")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/4/d\xe9/in")).mkdir(parents=True)

    heard = set(lookout_on(tmp_path, clock).heard)

    assert heard == {"", *map(str, range(DIRECTORIES))} - {"3", "4"}


def test_a_pipe_in_place_of_a_gitignore_is_no_trouble(tmp_path: Path, clock: FakeClock) -> None:
    os.mkfifo(tmp_path / ".gitignore")
    some_files(tmp_path)

    assert lookout_on(tmp_path, clock, gitignore=True).tree.names["3"] == {"a.txt"}


def test_a_path_deep_in_what_is_hidden_is_passed_over(tmp_path: Path, clock: FakeClock) -> None:
    lookout = lookout_on(tmp_path, clock)
    (tmp_path / "node_modules/a").mkdir(parents=True)
    (tmp_path / "node_modules/a/b.js").write_text("x")
    lookout.hear([str(tmp_path / "node_modules/a/b.js"), str(tmp_path / "node_modules")])

    assert lookout.look() == []
