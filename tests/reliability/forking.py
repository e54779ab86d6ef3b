"""A program that forks under an open bus, in the ways programs do.

`python -m tests.reliability.forking WAY STATE COUNT`: every process emits
`EACH` numbered events; the run is the child's number, 0 is the parent.
"""

import asyncio
import multiprocessing
import os
import sys
import threading
import time
from functools import partial

from eventbus import EventBus
from tests.reliability.numbered import numbered

__all__ = ["EACH", "TOGETHER", "WORKERS"]

EACH = 200
"""Events a child emits."""
WORKERS = 4
TOGETHER = 8
"""Processes that open at the same moment."""


def emit_some(bus: EventBus, run: int, *, producer: int = 0, count: int = EACH) -> None:
    """Emit that many, numbered from 0."""
    for number in range(count):
        bus.emit_nowait(numbered(run, producer, number))


def fork(state: str, count: int) -> None:
    """Fork child after child, each time with events waiting in the parent's inbox."""
    with EventBus(state, serve="never") as bus:
        _fork_under(bus, count)


def fork_beside_lanes(state: str, count: int) -> None:
    """The same while the parent serves a lane, which has the children's events too."""
    with EventBus(state, sinks=["jsonl"]) as bus:
        _fork_under(bus, count, at_once=TOGETHER)  # each waits a while for the lane
        bus.flush_now(timeout=10)


def _fork_under(bus: EventBus, count: int, *, at_once: int = 1) -> None:
    living: dict[int, int] = {}
    for run in range(1, count + 1):
        for number in range(50 * (run - 1), 50 * run):
            bus.emit_nowait(numbered(0, 0, number))
        pid = os.fork()
        if pid == 0:
            emit_some(bus, run)
            _leave(bus, run)
        living[run] = pid
        if run % at_once == 0 or run == count:
            ended = {run: os.waitpid(pid, 0)[1] for run, pid in living.items()}
            assert set(ended.values()) == {0}, f"children ended with {ended}"
            living.clear()


def _leave(bus: EventBus, run: int) -> None:
    """End a forked child in one of the ways that keep what it emitted."""
    if run % 3 == 0:
        bus.flush_now(until="written", timeout=10)
    elif run % 3 == 1:
        bus.close()
    else:
        sys.exit(0)  # runs what is registered for the end of the process
    os._exit(0)


def prefork(state: str, count: int) -> None:
    """A server: it opens the bus, forks its workers, and each serves on a loop or threads."""
    with EventBus(state, serve="never") as bus:
        emit_some(bus, 0)
        workers = []
        for run in range(1, count + 1):
            pid = os.fork()
            if pid == 0:
                _serve_on_loop(bus, run) if run % 2 else _serve_on_threads(bus, run)
                os._exit(0)
            workers.append(pid)
        emit_some(bus, 0, producer=1)
        statuses = [os.waitpid(pid, 0)[1] for pid in workers]
        assert statuses == [0] * count, statuses


def _serve_on_loop(bus: EventBus, run: int) -> None:
    async def main() -> None:
        for number in range(EACH):
            await bus.emit(numbered(run, 0, number))
        await bus.flush(until="written", timeout=10)

    asyncio.run(main())


def _serve_on_threads(bus: EventBus, run: int) -> None:
    threads = [
        threading.Thread(target=emit_some, args=(bus, run), kwargs={"producer": producer})
        for producer in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bus.flush_now(until="written", timeout=10)


def leave_a_child(state: str, count: int) -> None:
    """End in good order while a forked child lives on, that never emits, for `count` seconds."""
    with EventBus(state, sinks=["jsonl"]) as bus:
        emit_some(bus, 0)
        bus.flush_now(timeout=10)
        if os.fork() == 0:
            _let_go_of_the_terminal()
            time.sleep(count)
            os._exit(0)


def _let_go_of_the_terminal() -> None:
    """Whoever waits for the parent's output waits no longer."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(nowhere, fd)


def daemonise(state: str, count: int) -> None:
    """Go on as a forked child while the parent leaves, and serve the lanes from there."""
    bus = EventBus(state, sinks=["jsonl"]).open()
    emit_some(bus, 0)
    bus.flush_now(timeout=10)
    if os.fork():
        os._exit(0)
    emit_some(bus, 1)
    time.sleep(count)
    bus.close()
    os._exit(0)


def together(state: str, count: int) -> None:
    """Fork children that all open a bus of their own at the same moment, round after round."""
    for first in range(1, count + 1, TOGETHER):
        wait, go = os.pipe()
        children = [_fork_waiting(state, run, wait, go) for run in range(first, first + TOGETHER)]
        os.close(wait)
        os.close(go)
        statuses = [os.waitpid(pid, 0)[1] for pid in children]
        assert statuses == [0] * TOGETHER, statuses


def _fork_waiting(state: str, run: int, wait: int, go: int) -> int:
    pid = os.fork()
    if pid == 0:
        os.close(go)
        os.read(wait, 1)  # returns when the parent has closed its end
        _open_own(state, run)
        os._exit(0)
    return pid


def by_multiprocessing(way: str, state: str, count: int) -> None:
    """Children started by multiprocessing; with fork they inherit the parent's bus."""
    context = multiprocessing.get_context(way)
    with EventBus(state, serve="never") as bus:
        emit_some(bus, 0)
        target, first = (_inherit, bus) if way == "fork" else (_open_own, state)
        children = [
            context.Process(target=target, args=(first, run))  # type: ignore[attr-defined]
            for run in range(1, count + 1)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join()
        assert [child.exitcode for child in children] == [0] * count


def _inherit(bus: EventBus, run: int) -> None:
    emit_some(bus, run)


def _open_own(state: str, run: int) -> None:
    with EventBus(state, serve="never") as bus:
        emit_some(bus, run)


def main() -> None:
    """Run the way that was asked for."""
    way, state, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    ways = {
        "os.fork": fork,
        "os.fork beside lanes": fork_beside_lanes,
        "prefork": prefork,
        "together": together,
        "leave a child": leave_a_child,
        "daemonise": daemonise,
    }
    ways.get(way, partial(by_multiprocessing, way))(state, count)


if __name__ == "__main__":
    main()
