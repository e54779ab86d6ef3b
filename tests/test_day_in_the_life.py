"""A day of two users, and every number of it worked out by hand.

Dollars for a million tokens: claude-day 3 in, 15 out, 0.30 from the cache, 3.75
into it for five minutes; gpt-day 2, 8, 0.50; gemini-day 0.50, 4.

    ann  brain      claude-day   1,000 x 3 + 2,000 x 3.75 + 10,000 x 0.30 + 500 x 15   21,000
    ann  worker     gpt-day      1,000 x 2 + 4,000 x 0.50 + 1,000 x 8                  12,000
    ann  heartbeat  mystery-1    no price                                                   -
    bob  brain      gemini-day   2,000 x 0.50 + 400 x 4                                 2,600
    bob  brain      claude-day   4,000 x 3 + 1 x 15, cut short                         12,015

in millionths of a dollar: 47,615 in all.
"""

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventbus import read_journal
from eventbus.events import DispatchRefused
from eventbus.store.dispatches import dispatches
from eventbus.store.engine import Reader
from eventbus.store.errors import errors_by
from eventbus.store.opening import open_store
from eventbus.store.openings import openings
from eventbus.store.rebuild import rebuild
from eventbus.store.savings import savings
from eventbus.store.sessions import session, sessions
from eventbus.store.snapshots import snapshot
from eventbus.store.timeline import timeline
from eventbus.store.traces import traces
from eventbus.store.usage import Grouping, usage

EXAMPLE = Path(__file__).parent.parent / "examples" / "day_in_the_life.py"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state directory of that day."""
    import asyncio

    state: Path = tmp_path_factory.mktemp("day") / "state"
    asyncio.run(runpy.run_path(str(EXAMPLE))["record"](state))
    return state


@pytest.fixture
def store(state: Path) -> Iterator[Reader]:
    with open_store(state) as reader:
        yield reader


def test_the_whole_day(store: Reader) -> None:
    totals = usage(store).totals

    assert totals.cost_nanos == 47_615_000
    assert totals.tokens_in == 13_000 + 5_000 + 100 + 2_000 + 4_000
    assert totals.tokens_out == 500 + 1_000 + 50 + 400 + 1
    assert totals.cache_read == 10_000 + 4_000
    assert totals.cache_write == 2_000
    assert totals.reasoning == 200 + 600 + 100
    assert (totals.calls, totals.dispatches) == (5, 3)
    assert (totals.unpriced, totals.partial, totals.estimated) == (1, 1, 0)


@pytest.mark.parametrize(
    ("by", "micros"),
    [
        ("user", {"ann": 33_000, "bob": 14_615}),
        ("component", {"brain": 35_615, "worker": 12_000, "heartbeat": 0, "": 0}),
        ("model", {"claude-day": 33_015, "gpt-day": 12_000, "gemini-day": 2_600, "mystery-1": 0}),
        ("session", {"s1": 33_000, "s2": 14_615}),
    ],
)
def test_what_it_is_made_of(store: Reader, by: Grouping, micros: dict[str, int]) -> None:
    entries = usage(store, by=by).entries

    costs = {entry.key: entry.cost_nanos for entry in entries if entry.calls or entry.dispatches}
    costs.pop("", None)
    micros.pop("", None)
    assert costs == {key: cost * 1_000 for key, cost in micros.items()}


def test_the_limit_was_reached_after_three_cents(state: Path, store: Reader) -> None:
    (refused,) = read_journal(state, kinds="dispatch:refuse")

    assert isinstance(refused, DispatchRefused)
    assert (refused.sender_id, refused.limit, refused.spent) == ("ann", 0.03, 0.033)
    told = {(each.sender_id, each.status): each.cost for each in dispatches(store).items}
    assert told == {
        ("ann", "success"): 0.033,
        ("ann", "refused"): 0,
        ("bob", "success"): 0.0026,
        ("bob", "error"): 0.012015,
    }


def test_the_tool_that_crashed(store: Reader) -> None:
    told = [(call.tool_input, call.outcome) for call in traces(store, chat_id="bob-1").items]

    assert told == [({"path": "notes.txt"}, "success"), ({"path": "missing.txt"}, "error")]
    (alike,) = errors_by(store)
    assert (alike.count, alike.component, alike.type) == (1, "brain", "FileNotFoundError")
    assert alike.stack is not None
    assert "read_file" in alike.stack


def test_what_staying_at_home_saved(store: Reader) -> None:
    (saved,) = savings(store, by="model")

    assert (saved.key, saved.saved_usd, saved.unknown) == ("llama-at-home", 0.0105, 0)


def test_the_session_that_was_gone_on_with(store: Reader) -> None:
    kept = snapshot(store, "ann-1")
    assert kept is not None
    assert (kept.turn_number, kept.state, kept.session_id) == (1, {"asked": 1}, "s1")

    (resumed,) = openings(store, chat_id="ann-1").items
    assert (resumed.session_id, resumed.snapshot) == ("s3", kept.event_id)


def test_the_three_sessions_ended_and_have_their_sums(store: Reader) -> None:
    first = session(store, "s1")

    assert [each.id for each in sessions(store).items if each.id.startswith("s")][:3] == [
        "s3",
        "s2",
        "s1",
    ]
    assert first is not None
    assert first.end_time is not None
    assert first.cli_tool == "claude-code"
    second = session(store, "s2")
    assert second is not None
    assert (second.tools, second.errors) == (2, 1)


def test_the_timeline_tells_it_in_order(store: Reader) -> None:
    told = [entry.kind for entry in timeline(store, "s2").items]

    assert told.index("tool:start") < told.index("llm:response") < told.index("error:tool")


def test_a_rebuilt_store_has_the_same_totals(state: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(state, copy)
    rebuild(copy)

    def told(where: Path) -> Any:
        with open_store(where) as reader:
            return [usage(reader, by=by) for by in ("user", "model", "session", "hour")]  # type: ignore[arg-type]

    assert told(copy) == told(state)
