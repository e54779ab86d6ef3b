"""How SQLite goes about every question: by an index, never through all events for a page."""

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, FunctionType
from typing import Any, get_args

import pytest

from eventbus import store as store_package
from eventbus.store.engine import Reader
from eventbus.store.landing import land
from eventbus.store.migrations import migrate
from eventbus.store.sqlite import FILE_NAME, SqliteWriter
from tests.store import asked as asked_module
from tests.store.asked import PASSES, SUMS, WALKS, Ask, Asked, fill

TIMES_AS_MANY = 100_000
"""How many times as large SQLite takes the tables for, once it has been told."""


@pytest.fixture(scope="module", params=["not analyzed", "analyzed"])
def writer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SqliteWriter]:
    """A store with some of everything; SQLite knows nothing of it, or takes it for a large one."""
    directory = tmp_path_factory.mktemp("plans")
    writer = SqliteWriter(directory / FILE_NAME)
    migrate(writer)
    fill(writer, directory)
    if request.param == "analyzed":
        analyze(writer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asked_module, "HOME", directory)
        yield writer
    writer.close()


def analyze(writer: SqliteWriter) -> None:
    """What ANALYZE finds, with many times the rows of each kind, session and so on."""
    writer.run("ANALYZE")
    for table, index, stat in writer.rows("SELECT tbl, idx, stat FROM sqlite_stat1"):
        if re.fullmatch(r"[\d ]+", stat):
            rows, *alike = (int(number) for number in stat.split())
            many = [rows * TIMES_AS_MANY, *(n if n == 1 else n * TIMES_AS_MANY for n in alike)]
            stat = " ".join(map(str, many))
        writer.run(
            "UPDATE sqlite_stat1 SET stat = ? WHERE tbl = ? AND idx IS ?", (stat, table, index)
        )
    writer.run("ANALYZE sqlite_schema")


def plans_of(writer: SqliteWriter, ask: Ask) -> Iterator[tuple[str, str]]:
    """Each step of what SQLite says it does for the questions that are asked, and for which."""
    asked = Asked(writer)
    ask(asked)
    assert asked.questions
    for question, values in asked.questions.items():
        for row in writer.rows(f"EXPLAIN QUERY PLAN {question}", values):
            yield question, row[3]


NO_TABLE = re.compile(
    r"SCAN (?:kinds|part|sqlite_master|\(subquery-\d+\)|\w+ VIRTUAL TABLE INDEX)",
)
"""Kinds told apart, keys in hand, matches of words."""
PUT_IN_ORDER = ("AS part ORDER BY", "CROSS JOIN events ON events.id = hit")
"""Questions that sort what is in hand: a page of each kind, or matches that were counted before."""


def is_page_by_time(question: str, plan: str) -> bool:
    """Whether it is read in the order of the answer, and ends with the page."""
    return " LIMIT " in question and plan.endswith(" INDEX idx_events_ts")


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_goes_along_an_index(writer: SqliteWriter, name: str) -> None:
    faults = [
        (question, plan)
        for question, plan in plans_of(writer, WALKS[name])
        if not NO_TABLE.match(plan)
        and (
            re.match(r"SCAN (?!\w+ USING )", plan)
            or (plan.startswith("SCAN events") and not is_page_by_time(question, plan))
            or ("TEMP B-TREE" in plan and not any(mark in question for mark in PUT_IN_ORDER))
        )
    ]

    assert faults == []


@pytest.mark.parametrize("name", SUMS)
def test_a_sum_looks_at_no_event_that_is_not_of_its_time(writer: SqliteWriter, name: str) -> None:
    plans = [plan for _, plan in plans_of(writer, SUMS[name])]

    assert [plan for plan in plans if plan.startswith("SCAN events")] == []
    assert {plan.split()[1] for plan in plans if re.match(r"SCAN (?!\w+ USING )", plan)} <= {
        "usage_daily",
        "usage_hourly",
        "tasks",
    }


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_through_everything_goes_along_an_index_too(writer: SqliteWriter, name: str) -> None:
    """So that each part of it is read once, and nothing is sorted for the next one."""
    faults = [
        (question, plan)
        for question, plan in plans_of(writer, PASSES[name])
        if re.match(r"SCAN (?:events|e)\b(?! USING )", plan)
        or (" FROM events" in question and "TEMP B-TREE" in plan)
    ]

    assert faults == []


def test_landing_looks_things_up_by_an_index(writer: SqliteWriter) -> None:
    asked = Asked(writer)

    for batch in asked_module.batches():
        land(asked, batch, lane="test")  # type: ignore[arg-type]
    plans = [
        (question, row[3])
        for question, values in asked.questions.items()
        for row in writer.rows(f"EXPLAIN QUERY PLAN {question}", values)
    ]

    assert len(plans) > 5
    assert [each for each in plans if "SCAN" in each[1] or "TEMP B-TREE" in each[1]] == []


# --- no question is forgotten ----------------------------------------------------------


def functions_that_ask() -> dict[CodeType, str]:
    """Every function of the store that is given a reader, by its code."""
    found: dict[CodeType, str] = {}
    for module in pkgutil.iter_modules(store_package.__path__):
        name = f"{store_package.__name__}.{module.name}"
        for function in vars(importlib.import_module(name)).values():
            if inspect.isfunction(function) and function.__module__ == name and _asks(function):
                found[function.__code__] = f"{module.name}.{function.__name__}"
    return found


def _asks(function: FunctionType) -> bool:
    given = [hint for name, hint in function.__annotations__.items() if name != "return"]
    return any(hint is Reader or Reader in get_args(hint) for hint in given)


def given_while(do: Callable[[], Any]) -> dict[CodeType, set[str]]:
    """Every function that is called meanwhile, and which of its parameters are ever given."""
    given: dict[CodeType, set[str]] = {}

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            values = frame.f_locals.items()
            given.setdefault(frame.f_code, set()).update(
                name for name, value in values if value is not None
            )

    sys.setprofile(note)
    try:
        do()
    finally:
        sys.setprofile(None)
    return given


def test_every_question_is_asked_here_with_each_of_its_wishes(writer: SqliteWriter) -> None:
    def ask_everything() -> None:
        for ask in (*WALKS.values(), *SUMS.values(), *PASSES.values()):
            ask(writer)
        for batch in asked_module.batches():
            land(writer, batch, lane="test")

    those_that_ask = functions_that_ask()
    given = given_while(ask_everything)

    assert len(those_that_ask) > 70
    assert [name for code, name in those_that_ask.items() if code not in given] == []
    never = {
        f"{name} {wish}"
        for code, name in those_that_ask.items()
        for wish in inspect.getargs(code).args
        if wish not in given[code]
    }
    assert sorted(never) == []
