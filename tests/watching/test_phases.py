"""Which tool calls are open, as the events say."""

import msgspec
import pytest

from eventbus.events import (
    CommandFinished,
    CommandStarted,
    SessionCreated,
    SessionResumed,
    ToolUpdated,
)
from eventbus.scope import Scope
from eventbus.watching import phases as phases_module
from eventbus.watching.phases import CLOSED_FOR, Phases
from tests.store.given import at
from tests.watching.acted import SCOUT, finished, phases, started


def traces(told: Phases, earliest: float, latest: float) -> list[str | None]:
    return [phase.trace for phase in told.between(at(earliest), at(latest))]


def test_a_call_is_open_from_its_start_to_its_finish() -> None:
    told = phases(started("t1", 1), finished("t1", 2))

    assert traces(told, 0, 0.9) == []
    assert traces(told, 0, 1) == ["t1"]
    assert traces(told, 1.4, 1.5) == ["t1"]
    assert traces(told, 2, 3) == ["t1"]
    assert traces(told, 2.1, 3) == []


def test_one_that_nobody_finished_is_open() -> None:
    assert traces(phases(started("t1", 1)), 99, 100) == ["t1"]


@pytest.mark.parametrize(
    "update",
    [
        ToolUpdated(trace="t1", outcome="success", ts=at(2)),
        ToolUpdated(trace="t1", finished_at=at(2), ts=at(9)),
    ],
)
def test_an_update_may_finish_it(update: ToolUpdated) -> None:
    told = phases(started("t1", 1), update)

    assert traces(told, 3, 4) == []


def test_an_update_of_something_else_does_not() -> None:
    assert traces(phases(started("t1", 1), ToolUpdated(trace="t1", tokens_used=3)), 3, 4) == ["t1"]


@pytest.mark.parametrize("again", [SessionCreated, SessionResumed])
def test_opening_a_session_again_ends_what_its_earlier_life_left_open(
    again: type[SessionCreated] | type[SessionResumed],
) -> None:
    more = {"chat_id": "c", "turn_number": 1} if again is SessionResumed else {}
    opening = again(scope=SCOUT, ts=at(2), **more)

    told = phases(started("t1", 1), started("other", 1, scope=Scope()), opening)

    assert traces(told, 3, 4) == ["other"]


def test_what_is_told_twice_says_nothing_new() -> None:
    told = phases(started("t1", 1), finished("t1", 2), started("t1", 1), finished("t1", 9))

    assert len(told) == 1
    assert traces(told, 2.5, 9) == []


def test_a_clock_that_went_back_ends_nothing_before_it_began() -> None:
    told = phases(started("t1", 5), finished("t1", 1))

    assert traces(told, 5, 5) == ["t1"]


def test_a_command_is_part_of_the_tool_call_it_came_of() -> None:
    command = CommandStarted(id="c1", argv=("/bin/tar", "xf", "x.tar"), cause="t1", ts=at(2))

    told = phases(started("t1", 1), command)
    inner = told.between(at(2), at(2))[-1]

    assert (inner.name, inner.trace) == ("shell", "t1")
    assert [phase.id for phase in told.around(inner)] == ["t1"]
    told.take(CommandFinished(argv=command.argv, cause="c1", ts=at(3)))
    assert [phase.id for phase in told.between(at(4), at(4))] == ["t1"]


def test_a_command_of_nobody_goes_by_its_program() -> None:
    [phase] = phases(CommandStarted(argv=("/bin/tar", "x"), ts=at(1))).between(at(1), at(1))

    assert (phase.name, phase.trace) == ("tar", None)


def test_an_input_that_is_encoded_already_is_read() -> None:
    [phase] = phases(started("t1", 1, msgspec.Raw(b'{"path":"a.py"}'))).between(at(1), at(1))

    assert "a.py" in phase.named.words


def test_what_a_dead_writer_left_open_ends_with_it() -> None:
    told = Phases()
    told.take(started("t1", 1), writer="w1")
    told.take(started("t2", 1), writer="w2")

    assert told.open_writers == {"w1", "w2"}
    told.end_writer("w1", at(2))

    assert traces(told, 3, 4) == ["t2"]
    assert told.open_writers == {"w2"}


def test_what_closed_long_ago_is_forgotten() -> None:
    told = phases(started("t1", 1), finished("t1", 2), started("t2", 1))

    told.forget(at(2) + CLOSED_FOR)
    assert len(told) == 2
    told.forget(at(2.1) + CLOSED_FOR)

    assert traces(told, 0, 9) == ["t2"]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases_module, "OPEN_MOST", 10)
    monkeypatch.setattr(phases_module, "CLOSED_MOST", 10)
    told = Phases()

    for number in range(100):
        told.take(started(f"open{number}", number))
        told.take(started(f"t{number}", number))
        told.take(finished(f"t{number}", number))

    assert len(told) <= 20
    assert traces(told, 99, 99)[-1] == "open99"
