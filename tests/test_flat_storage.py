"""What `read_log` promises holds wherever the flat log is kept."""

import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from eventbus import EventBus, get_log_text, log_error, log_event, read_log, scope, set_session
from eventbus.errors import DefinitionError, StoreUnusable
from eventbus.standby import standby
from eventbus.store.opening import open_store
from eventbus.store.sqlite import FILE_NAME


@pytest.fixture(autouse=True, params=["file", "sqlite", "both"])
def storage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LOG_STORAGE", request.param)
    return str(request.param)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("EVENTBUS_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("eventbus.flat._session", None)
    monkeypatch.setattr("eventbus.flat._in_memory", deque())
    yield tmp_path / "state"
    standby.close()


@pytest.fixture(params=["at once", "once it has landed"])
def landed(request: pytest.FixtureRequest) -> Any:
    """Reading before the lanes have done their part, and after."""
    return standby.close if request.param == "once it has landed" else lambda: None


def messages(**wish: Any) -> list[str]:
    return [entry["message"] for entry in read_log(**wish)]


def test_the_log_is_kept_where_it_is_to_be(state: Path, storage: str) -> None:
    line = log_event("a:b", "x", "one", n=1)
    standby.close()

    assert (state / "logs" / "activity.log").exists() == (storage != "sqlite")
    assert (state / FILE_NAME).exists() == (storage != "file")
    if storage != "file":
        with open_store(state) as store:
            assert store.rows("SELECT raw_line FROM events") == [(line,)]


def test_what_was_just_logged_is_read_back(landed: Any) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    log_event("llm:request", "agent", "asking", model="m")
    landed()

    (entry,) = read_log()

    assert list(entry) == ["timestamp", "event_type", "source", "message"]
    assert before <= entry.pop("timestamp") <= datetime.now(UTC)
    assert entry == {"event_type": "llm:request", "source": "agent", "message": "asking model=m"}


def test_everything_logged_before_is_read_in_order_and_once(landed: Any) -> None:
    for number in range(1_500):
        log_event("a:b", "x", number=number)
    landed()
    log_event("a:b", "x", number=1_500)

    assert messages(limit=5_000) == [f"number={number}" for number in range(1_501)]
    assert messages(limit=3) == ["number=0", "number=1", "number=2"]
    assert messages(limit=0) == []
    assert len(read_log()) == 1_000


def test_since_is_inclusive_to_the_millisecond_and_a_naive_one_local(landed: Any) -> None:
    log_event("a:b", "x", "early")
    time.sleep(0.002)
    aware, naive = datetime.now(UTC), datetime.now()  # noqa: DTZ005 - naive on purpose
    log_event("a:b", "x", "late")
    landed()

    assert messages(since=aware) == ["late"]
    assert messages(since=naive) == ["late"]
    first = read_log()[0]["timestamp"]
    assert messages(since=first) == ["early", "late"]


@pytest.mark.parametrize(
    ("wish", "wanted"),
    [
        (["llm:*"], ["llm:request", "llm:response"]),
        (["llm:response", "app:start"], ["app:start", "llm:response"]),
        ("llm:request", ["llm:request"]),
        (["*:start"], ["app:start"]),
        ([], []),
        (None, ["app:start", "llm:request", "llm:response"]),
    ],
)
def test_event_types_are_exact_or_patterns(wish: Any, wanted: list[str], landed: Any) -> None:
    for event_type in ("app:start", "llm:request", "llm:response"):
        log_event(event_type, "x")
    landed()

    assert [entry["event_type"] for entry in read_log(event_types=wish)] == wanted


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(DefinitionError, match="cannot filter by 'llm'; allowed are"):
        read_log(event_types=["llm"])


def test_the_text_is_the_same_everywhere(landed: Any) -> None:
    set_session("s-1")
    log_event("app:start", "main", "hello | \n there", version="1")
    log_error("main", ValueError("no|way"), "trying")
    with scope(source="cli"):
        log_event("error:io", "disk", "a|b")
    landed()

    assert get_log_text() == (
        "session:create logger session_id=s-1\n"
        "app:start main hello |   there version=1\n"
        "error:runtime main trying - ValueError: no/way\n"
        "error:io disk a/b"
    )


def test_nothing_logged_is_nothing_read(state: Path) -> None:
    assert read_log() == []
    assert get_log_text() == ""
    assert not state.exists()


def test_what_no_lane_has_taken_yet_is_read_from_the_journal(state: Path) -> None:
    log_event("a:b", "x", "by the standby")
    standby.close()
    with EventBus(state, serve="never", sinks=["flat", "sqlite"]):
        log_event("a:b", "x", "served by nobody")
        log_event("a:b", "x", "served by nobody")

        assert messages() == ["by the standby", "served by nobody", "served by nobody"]
        assert messages(limit=2) == ["by the standby", "served by nobody"]


def test_lines_of_another_process_are_read_as_well() -> None:
    program = "from eventbus import log_event; log_event('a:b', 'x', 'elsewhere')"
    subprocess.run([sys.executable, "-c", program], timeout=30, check=True)
    log_event("a:b", "x", "here")

    assert messages() == ["elsewhere", "here"]


def test_a_bus_in_memory_remembers_its_lines() -> None:
    with EventBus(None):
        log_event("a:b", "x", "one")

        assert messages() == ["one"]


def test_a_store_that_cannot_be_read_is_told(state: Path, storage: str) -> None:
    if storage != "sqlite":
        pytest.skip("the store is not asked")
    state.mkdir()
    (state / FILE_NAME).write_bytes(b"no database at all" * 1_000)

    with pytest.raises(StoreUnusable, match=r"cannot read the store .*store.db"):
        read_log()
