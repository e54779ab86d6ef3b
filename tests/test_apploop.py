"""Reaching back into the app: asyncio, uvloop, trio, or no loop at all."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from eventbus import Event, EventBus, read_journal
from eventbus.apploop import ThreadTicket, app_loop, settle, ticket
from tests.letters import PATIENCE, LetterSent, letters, numbers

uvloop = pytest.importorskip("uvloop")

Main = Callable[[], Awaitable[Any]]


def on_uvloop(main: Main) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())  # type: ignore[arg-type]


RUNNERS: dict[str, Callable[[Main], Any]] = {
    "asyncio": lambda main: asyncio.run(main()),  # type: ignore[arg-type]
    "uvloop": on_uvloop,
    "trio": trio.run,
}
each_runner = pytest.mark.parametrize("run", RUNNERS.values(), ids=RUNNERS.keys())


@each_runner
def test_a_loop_is_known_where_it_runs(run: Callable[[Main], Any]) -> None:
    async def main() -> list[bool]:
        one, two = app_loop(), app_loop()
        return [one is not None, one == two, len({one, two}) == 1]

    assert run(main) == [True, True, True]
    assert app_loop() is None


@each_runner
def test_a_ticket_is_settled_from_another_thread(run: Callable[[Main], Any]) -> None:
    async def main() -> list[str]:
        waiters = [ticket() for _ in range(3)]
        threading.Timer(0.01, settle, [waiters, "done"]).start()
        return [await waiter.wait() for waiter in waiters]

    assert run(main) == ["done"] * 3


@each_runner
def test_a_ticket_settled_first_does_not_wait(run: Callable[[Main], Any]) -> None:
    async def main() -> Any:
        waiter = ticket()
        settle([waiter], "done")
        return await waiter.wait()

    assert run(main) == "done"


def test_a_thread_without_a_loop_waits_by_itself() -> None:
    waiter = ticket()
    assert isinstance(waiter, ThreadTicket)
    assert not waiter.wait_here(0.001)

    settle([waiter], "done")

    assert waiter.wait_here(PATIENCE)
    assert waiter.outcome == "done"


def test_it_cannot_be_awaited() -> None:
    with pytest.raises(RuntimeError, match="no loop runs here"):
        asyncio.run(ThreadTicket().wait())


@each_runner
def test_a_loop_that_has_ended_says_so(run: Callable[[Main], Any]) -> None:
    async def main() -> Any:
        return app_loop(), ticket()

    loop, waiter = run(main)

    async def never() -> None:
        raise AssertionError

    assert not loop.soon(print)
    assert not loop.start(never)
    settle([waiter], None)  # and its waiters harm nobody


def test_a_trio_run_that_is_ending_comes_to_no_harm() -> None:
    """It takes an exception out of a call from outside for an error of its own."""

    async def nothing() -> None:
        pass

    async def main() -> threading.Thread:
        loop = app_loop()
        assert loop is not None

        def start_until_it_has_ended() -> None:
            while loop.start(nothing):
                time.sleep(0.000_1)

        thread = threading.Thread(target=start_until_it_has_ended)
        thread.start()
        return thread

    for _ in range(50):
        trio.run(main).join(PATIENCE)


async def test_a_waiter_that_was_cancelled_can_still_be_told() -> None:
    waiter = ticket()
    waiting = asyncio.ensure_future(waiter.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)

    settle([waiter], None)
    await asyncio.sleep(0)

    assert waiting.cancelled()


@each_runner
def test_a_bus_serves_an_app_on_any_loop(tmp_path: Path, run: Callable[[Main], Any]) -> None:
    handled: list[int] = []

    async def main() -> list[Event]:
        async with EventBus(tmp_path) as bus:

            @bus.on(LetterSent)
            async def handle(event: LetterSent) -> None:
                handled.append(event.n)

            subscription = bus.subscribe(LetterSent)
            await bus.emit_many(letters(100), until="written")
            await bus.emit(LetterSent(n=100), until="synced")
            assert (await bus.flush(until="synced", timeout=PATIENCE)).reached
            return [await anext(subscription) for _ in range(101)]

    seen = run(main)

    assert numbers(seen) == handled == list(range(101))
    assert numbers(list(read_journal(tmp_path))) == list(range(101))


def test_one_bus_serves_several_loops_at_once(tmp_path: Path) -> None:
    async def emit(start: int) -> None:
        for event in letters(200, start=start):
            await bus.emit(event, until="written")

    with EventBus(tmp_path) as bus:
        threads = [
            threading.Thread(target=run, args=(lambda start=start: emit(start),))
            for start, run in zip((0, 200, 400), RUNNERS.values(), strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(numbers(list(read_journal(tmp_path)))) == list(range(600))
