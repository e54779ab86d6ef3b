"""Exceptions nobody caught are recorded, and told as before."""

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eventbus import read_journal, record_uncaught
from eventbus.events import ErrorRaised
from eventbus.testing import Recorded


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who was told before, in place of those pytest has there."""
    said: list[str] = []
    monkeypatch.setattr(sys, "excepthook", lambda *about: said.append("program"))
    monkeypatch.setattr(threading, "excepthook", lambda about: said.append("thread"))
    monkeypatch.setattr(sys, "unraisablehook", lambda about: said.append("finaliser"))
    return said


@pytest.fixture
def undo(told: list[str]) -> Iterator[Callable[[], None]]:
    undo = record_uncaught()
    yield undo
    undo()


def the_only(record: Recorded) -> ErrorRaised:
    (event,) = record.of(ErrorRaised)
    assert isinstance(event, ErrorRaised)
    return event


def raise_to_the_top(error: BaseException) -> None:
    try:
        raise error
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]


def test_one_that_ends_the_program(record: Recorded, undo: Any, told: list[str]) -> None:
    raise_to_the_top(ValueError("no"))

    event = the_only(record)
    assert (event.type, event.message, event.context) == ("ValueError", "no", "uncaught")
    assert event.stack is not None
    assert event.stack.startswith("Traceback")
    assert told == ["program"]


def test_one_that_ends_a_thread(record: Recorded, undo: Any, told: list[str]) -> None:
    def fail() -> None:
        raise ValueError("no")

    thread = threading.Thread(target=fail, name="worker-7")
    thread.start()
    thread.join()

    assert the_only(record).context == "uncaught in thread worker-7"
    assert told == ["thread"]


def test_one_in_a_finaliser(record: Recorded, undo: Any, told: list[str]) -> None:
    class Bad:
        def __del__(self) -> None:
            raise ValueError("no")

    Bad()
    gc.collect()

    event = the_only(record)
    assert event.type == "ValueError"
    assert event.context is not None
    assert "Bad.__del__" in event.context
    assert told == ["finaliser"]


async def test_one_in_a_task_nobody_awaits(record: Recorded, undo: Any) -> None:
    said: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: said.append(context["message"]))
    record_uncaught()
    record_uncaught()

    async def fail() -> None:
        raise ValueError("no")

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    del task
    gc.collect()

    event = the_only(record)
    assert (event.type, event.context) == ("ValueError", "Task exception was never retrieved")
    assert said == ["Task exception was never retrieved"]

    undo()
    assert loop.get_exception_handler() is not None
    loop.call_exception_handler({"message": "after", "exception": ValueError("after")})
    assert said[-1] == "after"
    assert len(record.of(ErrorRaised)) == 1


@pytest.mark.parametrize("ends", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_program_on_purpose_is_no_error(
    record: Recorded, undo: Any, told: list[str], ends: type[BaseException]
) -> None:
    raise_to_the_top(ends())

    assert record.of(ErrorRaised) == []
    assert told == ["program"]


def test_twice_is_once_and_undone_is_as_before(
    record: Recorded, undo: Callable[[], None], told: list[str]
) -> None:
    again = record_uncaught()
    raise_to_the_top(ValueError("no"))
    assert len(record.of(ErrorRaised)) == 1

    again()
    undo()
    raise_to_the_top(ValueError("no"))

    assert len(record.of(ErrorRaised)) == 1
    assert told == ["program", "program"]


def test_undone_under_another_it_is_silent(
    record: Recorded, undo: Callable[[], None], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = sys.excepthook
    monkeypatch.setattr(sys, "excepthook", lambda *about: ours(*about))

    undo()
    raise_to_the_top(ValueError("no"))

    assert record.of(ErrorRaised) == []
    assert told == ["program"]


DIES = """
import os, sys
from eventbus import EventBus, record_uncaught

record_uncaught()
before = sys.excepthook
def die(*about):
    before(*about)
    os._exit(7)  # with no time for anything
sys.excepthook = die
bus = EventBus(sys.argv[1]).open()
raise ValueError("the last words")
"""


def test_it_is_written_before_the_process_dies(tmp_path: Path) -> None:
    died = subprocess.run(
        [sys.executable, "-c", DIES, tmp_path], capture_output=True, text=True, timeout=30
    )

    assert died.returncode == 7
    assert "ValueError: the last words" in died.stderr
    (event,) = read_journal(tmp_path, kinds="error:*")
    assert event.message == "the last words"  # type: ignore[attr-defined]
