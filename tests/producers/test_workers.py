"""Work in the background, and how it ended."""

from collections.abc import AsyncIterator

import anyio
import pytest

from eventbus import worker_task
from eventbus.events import WorkerFailed, WorkerFinished
from eventbus.testing import FakeClock, Recorded


def failed(record: Recorded) -> WorkerFailed:
    (event,) = record.of("worker:*")
    assert isinstance(event, WorkerFailed)
    return event


@pytest.mark.on_both_backends
async def test_a_task_that_is_done_is_told(record: Recorded) -> None:
    clock = FakeClock()

    async with worker_task("summarise", clock=clock):
        clock.advance(0.04)

    (event,) = record.of("worker:*")
    assert isinstance(event, WorkerFinished)
    assert (event.task, event.duration_ms) == ("summarise", 40)
    assert event.scope.session is not None


def test_a_task_that_fails_is_told_with_its_traceback(record: Recorded) -> None:
    with pytest.raises(LookupError), worker_task("summarise"):
        raise LookupError("no model")

    event = failed(record)
    assert (event.task, event.error, event.error_type) == ("summarise", "no model", "LookupError")
    assert event.stack is not None
    assert 'raise LookupError("no model")' in event.stack


@pytest.mark.on_both_backends
async def test_a_task_that_is_cancelled_did_not_finish(record: Recorded) -> None:
    with anyio.move_on_after(0.01):
        async with worker_task("slow"):
            await anyio.sleep(10)

    assert failed(record).error_type in ("CancelledError", "Cancelled")


@pytest.mark.on_both_backends
async def test_functions_of_every_kind_may_be_tasks(record: Recorded) -> None:
    @worker_task
    def plain() -> int:
        return 1

    @worker_task("named")
    async def waits() -> int:
        await anyio.sleep(0)
        return 2

    @worker_task
    async def stream() -> AsyncIterator[int]:
        yield 3

    class Worker:
        @worker_task
        @classmethod
        def run(cls) -> int:
            return 4

    assert [plain(), await waits(), *[n async for n in stream()], Worker.run()] == [1, 2, 3, 4]
    assert [event.task for event in record.of(WorkerFinished)] == [  # type: ignore[attr-defined]
        "plain",
        "named",
        "stream",
        "run",
    ]


def test_a_block_needs_a_name() -> None:
    with pytest.raises(TypeError, match="needs a name"), worker_task():
        pass
