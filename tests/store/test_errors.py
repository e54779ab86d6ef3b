"""Errors of every producer as rows, and those that are alike together."""

from typing import Any

import pytest

from eventbus import Event, Scope
from eventbus.events import (
    DispatchError,
    DispatchFinished,
    ErrorRaised,
    IoFailed,
    LogLine,
    ModelFailed,
    ReloadFailed,
    ToolErrored,
    ValidationFailed,
    WorkerFailed,
)
from eventbus.store.engine import Writer
from eventbus.store.errors import ErrorKept, ErrorsAlike, errors, errors_by
from eventbus.store.sessions import session
from tests.store.given import S1, at, land_each, walk_through

FAILED = DispatchError(name="OSError", message="disk full", stack="Traceback")


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (ErrorRaised(type="KeyError", message="k", stack="T"), ("KeyError", "k", "T", None)),
        (ValidationFailed(type="ValueError"), ("ValueError", "", None, None)),
        (IoFailed(type="OSError"), ("OSError", "", None, None)),
        (ReloadFailed(type="SyntaxError"), ("SyntaxError", "", None, None)),
        (ToolErrored(type="KeyError", tool="look"), ("KeyError", "", None, "look")),
        (ModelFailed(model="m", error="busy"), ("ModelFailed", "busy", None, None)),
        (
            WorkerFailed(task="w", error="no", error_type="LookupError", stack="T"),
            ("LookupError", "no", "T", None),
        ),
        (DispatchFinished(error=FAILED), ("OSError", "disk full", "Traceback", None)),
        (LogLine(event_type="error:io", message="gone"), ("error:io", "gone", None, None)),
    ],
    ids=lambda value: value.kind if isinstance(value, Event) else "",
)
def test_every_producers_errors_are_rows(
    emptied: Writer, event: Event, said: tuple[Any, ...]
) -> None:
    land_each(emptied, event)

    (row,) = errors(emptied).items
    assert (row.type, row.message, row.stack, row.tool) == said
    assert (row.kind, row.event_id) == (event.kind, event.id)


def test_what_a_tool_raised_is_not_counted_again_for_its_dispatch(emptied: Writer) -> None:
    failed = DispatchError(name="OSError", message="disk full", tool="write")

    land_each(emptied, ToolErrored(type="OSError", tool="write"), DispatchFinished(error=failed))

    (row,) = errors(emptied).items
    assert row.kind == "error:tool"


def test_an_error_is_a_row_with_all_it_says(emptied: Writer) -> None:
    event = ToolErrored(
        type="KeyError",
        message="'path'",
        stack="Traceback",
        component="worker",
        tool="look",
        args={"file": ["a"]},
        ts=at(0),
        scope=Scope(session="s1", source="cli"),
    )

    land_each(emptied, event, LogLine(event_type="shop:open"), DispatchFinished())

    assert errors(emptied).items == [
        ErrorKept(
            event_id=event.id,
            ts="2026-01-02T03:04:05.000Z",
            kind="error:tool",
            component="worker",
            type="KeyError",
            message="'path'",
            stack="Traceback",
            tool="look",
            args={"file": ["a"]},
            source="cli",
            session_id="s1",
        )
    ]


class PaymentFailed(ErrorRaised, tag="error:payment_test"):
    amount: int = 0


def test_an_error_of_a_users_own_kind_is_a_row_as_well(emptied: Writer) -> None:
    land_each(emptied, PaymentFailed(type="Declined", amount=3, scope=S1))

    (row,) = errors(emptied).items
    found = session(emptied, "s1")
    assert (row.kind, row.type) == ("error:payment_test", "Declined")
    assert found is not None
    assert found.errors == 1


def raised(type: str, seconds: float, **fields: Any) -> ErrorRaised:
    return ErrorRaised(type=type, ts=at(seconds), **{"scope": S1, **fields})


def test_errors_come_newest_first_and_page_both_ways(emptied: Writer) -> None:
    for number in range(5):
        land_each(emptied, raised("KeyError", number // 2, message=str(number)))
    land_each(emptied, raised("OSError", 9, component="worker", scope=Scope(session="s2")))

    found = walk_through(errors, emptied, component="brain", type="KeyError")

    assert [each.message for each in found] == ["4", "3", "2", "1", "0"]
    assert [each.type for each in errors(emptied, session_id="s2").items] == ["OSError"]
    assert [each.type for each in errors(emptied, component="worker").items] == ["OSError"]
    assert len(errors(emptied, type="KeyError", since=at(1)).items) == 3


def test_alike_errors_are_counted_with_their_first_and_last(emptied: Writer) -> None:
    land_each(
        emptied,
        raised("KeyError", 5, message="last"),
        raised("KeyError", 1, message="first", stack="old"),
        raised("KeyError", 3, message="between", stack="newer"),
        raised("KeyError", 4, component="worker", message="other"),
        raised("OSError", 2, scope=Scope()),
    )

    alike = errors_by(emptied)

    assert alike[0] == ErrorsAlike(
        component="brain",
        type="KeyError",
        count=3,
        first="2026-01-02T03:04:06.000Z",
        last="2026-01-02T03:04:10.000Z",
        message="last",
        stack="newer",
    )
    others = {(each.component, each.type, each.count) for each in alike[1:]}
    assert others == {("worker", "KeyError", 1), (None, "OSError", 1)}


def test_alike_errors_of_a_time_and_a_component(emptied: Writer) -> None:
    land_each(
        emptied,
        raised("KeyError", 1, stack="early"),
        raised("KeyError", 5),
        raised("KeyError", 9, stack="late"),
        raised("OSError", 5, component="worker"),
    )

    (alike,) = errors_by(emptied, since=at(5), until=at(9), component="brain")

    assert (alike.count, alike.first, alike.stack) == (1, "2026-01-02T03:04:10.000Z", None)
