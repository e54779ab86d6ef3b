"""`eventbus usage` tells what the store's usage says."""

from collections.abc import Callable
from datetime import UTC, date, datetime

import click
import pytest

from eventbus.bus import EventBus
from eventbus.events import ModelAnswered
from eventbus.frontends.cli import exits
from eventbus.frontends.cli.options import read_day
from tests.frontends.console import Here, Ran, golden
from tests.frontends.day import LONG_SESSION, make_day

Ask = Callable[..., Ran]


def test_usage_is_shown_by_day(ask: Ask) -> None:
    assert ask("usage").out == golden("usage-by-day")


def test_columns_of_what_is_not_known_are_left_out_where_all_is_known(ask: Ask) -> None:
    assert ask("usage", "--by", "user", "--user", "ann").lines == [
        "user   calls  dispatches  tokens in  cached  written  tokens out     cost",
        "ann        1           1     10,500   9,000      500         300  $0.0124",
        "total      1           1     10,500   9,000      500         300  $0.0124",
    ]


@pytest.mark.parametrize(
    ("args", "keys"),
    [
        (("--by", "hour"), ["2026-11-19 12:00", "2026-11-20 12:00"]),
        (("--by", "session"), ["019ab3…9c1c9d", "s-bob", "s-odd"]),
        (("--by", "component"), ["brain", "a\\u001b[2Jb\\nc\\u202ed\\u009b", "worker"]),
        (("--until", "2026-11-19"), ["2026-11-19"]),
        (("--since", "2026-11-20"), ["2026-11-20"]),
        (("--component", "worker"), ["2026-11-19"]),
        (("--session", LONG_SESSION), ["2026-11-20"]),
        (("--model", "local-7b"), ["2026-11-19"]),
    ],
)
def test_usage_is_shown_as_it_is_asked_for(
    ask: Ask, args: tuple[str, ...], keys: list[str]
) -> None:
    lines = ask("usage", *args).lines

    shown = [line.partition("  ")[0] for line in lines[1 : len(keys) + 2]]
    assert shown == [*keys, "total"]


def test_usage_as_json_is_the_stores_own_answer(ask: Ask) -> None:
    told = ask("usage", "--by", "model", "--user", "ann", "--json").json

    assert told["by"] == "model"
    assert told["totals"]["cost_nanos"] == 12_375_000
    assert [entry["key"] for entry in told["entries"]] == ["claude-sonnet-4-5"]


def test_savings_are_shown_by_day_model_and_session(ask: Ask) -> None:
    by_model = ask("usage", "--savings", "--by", "model", "--json").json
    by_session = ask("usage", "--savings", "--by", "session", "--until", "2026-11-19").lines

    assert ask("usage", "--savings").out == golden("savings-by-day")
    assert [(each["key"], each["saved_usd"]) for each in by_model] == [
        ("local-7b", 0.0045),
        ("claude-sonnet-4-5", 0.0),
    ]
    assert by_session[1:] == ["s-bob        1        0  $0.00000  $0.00450"]
    assert ask("usage", "--savings", "--since", "2030-01-01").out == (
        "no task is recorded that is asked for\n"
    )


@pytest.mark.parametrize("args", [("--by", "user"), ("--user", "ann"), ("--component", "brain")])
def test_savings_nobody_keeps_are_refused(ask: Ask, args: tuple[str, ...]) -> None:
    assert ask("usage", "--savings", *args).code == exits.WRONG_USE


def test_nothing_used_is_said(ask: Ask) -> None:
    told = ask("usage", "--since", "2030-01-01")

    assert (told.code, told.lines) == (
        exits.OK,
        ["no model call or dispatch is recorded that is asked for"],
    )


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_table_is_no_wider_than_the_terminal(
    ask: Ask, terminal: Callable[[int], None], width: int
) -> None:
    terminal(width)

    lines = [click.unstyle(line) for line in ask("usage", "--by", "model").lines]

    assert max(len(line) for line in lines[:5]) <= width
    assert ("unpriced" in lines[0]) == (width == 140)
    assert "2 unpriced: nobody knows" in lines[5]


def test_without_a_state_directory_or_a_store_it_is_said(here: Here) -> None:
    nowhere = here("usage")
    here.state.mkdir()
    no_store = here("usage")

    assert nowhere.code == exits.WRONG_USE
    assert nowhere.err.startswith("eventbus: no state directory ")
    assert no_store.code == exits.STATE_UNUSABLE
    assert no_store.err.startswith("eventbus: no store at ")
    assert no_store.err.count("\n") == 1


def test_it_is_said_where_the_journal_has_more(here: Here) -> None:
    make_day(here.state)
    up_to_date = here("usage")
    with EventBus(here.state, serve="never") as bus:
        bus.emit_nowait(ModelAnswered(model="m", cost=1.0))

    behind = here("usage", "--json")

    assert up_to_date.err == ""
    assert behind.err.startswith("eventbus: the journal has events that have not landed yet")
    assert behind.json["totals"]["calls"] == 3
    with EventBus(here.state, serve="resident"):
        assert here("usage").err == ""  # somebody is at it


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("today", date(2026, 11, 20)),
        ("yesterday", date(2026, 11, 19)),
        ("7d", date(2026, 11, 13)),
        ("2026-11-01", date(2026, 11, 1)),
        ("2026-11-01T23:30-02:00", date(2026, 11, 2)),
    ],
)
def test_a_day_is_read_as_people_say_it(written: str, meant: date) -> None:
    assert read_day(written, now=datetime(2026, 11, 20, 0, 30, tzinfo=UTC)) == meant


def test_what_is_no_day_is_refused_in_one_sentence(ask: Ask) -> None:
    told = ask("usage", "--since", "soon")

    assert told.code == exits.WRONG_USE
    assert "not a day: 'soon'; write 'today'" in told.err
