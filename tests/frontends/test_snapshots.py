"""`eventbus snapshots` and `rate`: what is saved is shown, and changed through the bus."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from eventbus.frontends.cli import exits
from eventbus.replay import read_journal
from tests.frontends.console import Here, Ran
from tests.frontends.day import LONG_SESSION

Ask = Callable[..., Ran]


@pytest.fixture
def copy(here: Here, day: Path) -> Here:
    """The day in a place where one may write."""
    shutil.copytree(day, here.state)
    return here


def kinds_of(here: Here) -> list[str]:
    return [event.kind for event in read_journal(here.state)]


def test_snapshots_are_listed_without_their_states(ask: Ask) -> None:
    assert ask("snapshots").lines == [
        "chat    session        turn  size  saved (UTC)",
        "chat-1  019ab3…9c1c9d     1  21 B  2026-11-20 12:00:08",
    ]


def test_one_snapshot_is_shown_with_its_state(ask: Ask) -> None:
    assert ask("snapshots", "chat-1").out.endswith(
        'state:\n  {\n    "plan": [\n      "umbrella"\n    ]\n  }\n'
    )
    assert ask("snapshots", "chat-1", "--json").json["state"] == {"plan": ["umbrella"]}


def test_a_snapshot_nobody_saved_is_said_to_be_none(ask: Ask) -> None:
    told = ask("snapshots", "chat-9")

    assert told.code == exits.WRONG_USE
    assert told.err.startswith("eventbus: no snapshot of chat 'chat-9' in the store;")


def test_a_deleted_snapshot_is_gone_from_the_list(copy: Here) -> None:
    told = copy("snapshots", "chat-1", "--delete", "--yes")

    assert told.out == "deleted the snapshot of chat chat-1, of turn 1\n"
    assert copy("snapshots").out == "no snapshots\n"
    assert kinds_of(copy)[-1] == "session:discard"


def test_nothing_is_deleted_unless_somebody_is_sure(copy: Here) -> None:
    told = copy("snapshots", "chat-1", "--delete")

    assert told.code == exits.WRONG_USE
    assert told.err.startswith("eventbus: this deletes the snapshot of chat 'chat-1'; say --yes,")
    assert "session:discard" not in kinds_of(copy)
    assert copy("snapshots", "--delete").code == exits.WRONG_USE


def test_a_rating_lands_and_can_be_taken_back(copy: Here) -> None:
    rated = copy("rate", f"task-{LONG_SESSION[:4]}…{LONG_SESSION[-4:]}", "good")
    shown = copy("sessions", LONG_SESSION, "--json").json["tasks"]
    taken_back = copy("rate", shown[0]["id"], "none", "--json")

    assert rated.out == f"rated task task-{LONG_SESSION} good\n"
    assert [each["quality_rating"] for each in shown] == [1]
    assert taken_back.json["quality_rating"] is None
    assert [kind for kind in kinds_of(copy) if kind == "task:rate"] == ["task:rate"] * 2
    assert "unknown" not in copy("sessions").out


@pytest.mark.parametrize("args", [("task-9", "good"), ("task-1", "great"), ("task-1",)])
def test_a_rating_of_nothing_is_refused(ask: Ask, args: tuple[str, ...]) -> None:
    assert ask("rate", *args).code == exits.WRONG_USE


def test_where_recording_is_off_nothing_is_rated(
    copy: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTBUS_DISABLED", "1")

    told = copy("rate", "task-1", "good")

    assert told.code == exits.WRONG_USE
    assert told.err.startswith("eventbus: nothing would be recorded: EVENTBUS_DISABLED is set")
