"""Commands tell the same of a store on PostgreSQL as of one on SQLite."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eventbus.frontends.cli import exits
from eventbus.sink import NamedSink
from tests.frontends.console import Here, Ran
from tests.frontends.day import LONG_SESSION, make_day
from tests.store.conftest import a_schema_of_its_own

pytestmark = pytest.mark.postgres

Ask = Callable[..., Ran]


def with_the_day(directory: Path) -> Iterator[str]:
    """The address of a store that has the day."""
    for url in a_schema_of_its_own():
        make_day(directory / ".state", NamedSink(use="postgres", settings={"url": url}))
        yield url


@pytest.fixture(scope="module")
def shared_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from with_the_day(tmp_path_factory.mktemp("shared"))


@pytest.fixture
def shared(here: Here, shared_url: str) -> Here:
    """A directory whose settings name that store, and that has no state of its own."""
    (here.directory / "eventbus.toml").write_text(f'store = "{shared_url}"\n')
    return here


@pytest.fixture
def written(here: Here) -> Iterator[Here]:
    """The same with a state, of a store that may be written to."""
    for url in with_the_day(here.directory):
        (here.directory / "eventbus.toml").write_text(f'store = "{url}"\n')
        yield here


@pytest.mark.parametrize(
    "args",
    [
        ("usage",),
        ("usage", "--by", "model", "--json"),
        ("usage", "--savings"),
        ("summary", "--since", "2026-11-19"),
        ("summary", "--since", "2026-11-19", "--by", "hour", "--json"),
        ("errors", "--traceback"),
        ("errors", "--list", "--json"),
        ("sessions", "--json"),
        ("sessions", "019ab3…9c1c9d"),
        ("timeline", LONG_SESSION),
        ("timeline", "--around", "019ab3f2-0000-7000-8000-00000000000c", "-n", "4", "--json"),
        ("traces", "--all"),
        ("traces", "trace-1"),
        ("snapshots",),
        ("snapshots", "chat-1", "--json"),
        ("search", "timeout"),
        ("search", "time*", "--kind", "error:*", "--all", "--json"),
        ("ingest", "--list"),
    ],
)
def test_the_answers_are_the_same(shared: Here, ask: Ask, args: tuple[str, ...]) -> None:
    told, meant = shared(*args), ask(*args)

    assert told.err == ""
    assert (told.code, told.out) == (meant.code, meant.out)


def test_a_rating_lands_in_the_shared_store(written: Here) -> None:
    written("rate", "task-1", "bad")
    [task] = written("sessions", "s-bob", "--json").json["tasks"]

    assert task["quality_rating"] == 0


def test_a_server_that_is_away_is_told_in_one_sentence(here: Here) -> None:
    (here.directory / "eventbus.toml").write_text(
        'store = "postgresql://ann:secret@127.0.0.1:1/agents"\n'
    )

    told = here("usage")

    assert told.code == exits.STATE_UNUSABLE
    assert told.err.startswith("eventbus: cannot reach the store postgresql://ann@127.0.0.1:1/")
    assert "secret" not in told.err
    assert told.err.count("\n") == 1


def test_the_doctor_and_a_dump_know_a_shared_store(written: Here) -> None:
    [examined] = written("doctor", "--json").json
    made = written("backup", "--json").json

    assert (examined["engine"], examined["rows"]) == ("postgres", 28)
    assert (made["engine"], made["error"]) == ("postgres", None)
