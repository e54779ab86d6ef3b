"""Single calls timed one by one, in small groups with a pause between."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter_ns

from benchmarks.contestants.ours import null_sinks
from benchmarks.figures import percentile
from benchmarks.sample import acting, anything_called, called, tool_called
from eventbus import Event, EventBus

__all__ = ["emitting", "past_nulls", "steady", "threads"]

GROUP = 100
"""Calls in a row, few enough that the writer does not get between them."""
PAUSE_S = 0.005
TICK_S = 0.001
WARM_UP = 5
"""Groups that are not counted."""

Spent = list[int]
"""Nanoseconds, call by call."""
Make = Callable[[int], Event]


def emitting(directory: Path, *, groups: int) -> dict[str, float]:
    """The cost of constructing, and of both ways to emit besides."""
    return asyncio.run(_emitting(directory, groups))


async def _emitting(directory: Path, groups: int) -> dict[str, float]:
    bare, nowait, awaited, bare_plain, nowait_plain, anything = (Spent() for _ in range(6))
    async with EventBus(directory / "state") as bus:
        with acting():
            for _ in range(groups + WARM_UP):
                await asyncio.sleep(PAUSE_S)
                _construct(bare, tool_called)
                await asyncio.sleep(PAUSE_S)
                _emit_nowait(nowait, tool_called, bus.emit_nowait)
                await asyncio.sleep(PAUSE_S)
                await _emit(awaited, bus)
                await asyncio.sleep(PAUSE_S)
                _construct(bare_plain, called)
                await asyncio.sleep(PAUSE_S)
                _emit_nowait(nowait_plain, called, bus.emit_nowait)
                await asyncio.sleep(PAUSE_S)
                _emit_nowait(anything, anything_called, bus.emit_nowait)
    return {
        "construct_us": _middle(bare),
        "nowait_us": _middle(nowait),
        "await_us": _middle(awaited),
        "nowait_beyond_us": _middle(nowait) - _middle(bare),
        "await_beyond_us": _middle(awaited) - _middle(bare),
        "plain_beyond_us": _middle(nowait_plain) - _middle(bare_plain),
        "anything_beyond_us": _middle(anything) - _middle(bare),
        "nowait_p99_us": _part(nowait, 0.99),
    }


def _construct(spent: Spent, make: Make) -> None:
    # Every way keeps its events to the end of the group, so none is timed
    # while it frees one.
    kept: list[Event | None] = [None] * GROUP
    for number in range(GROUP):
        began = perf_counter_ns()
        kept[number] = make(number)
        spent.append(perf_counter_ns() - began)


def _emit_nowait(spent: Spent, make: Make, emit_nowait: Callable[[Event], object]) -> None:
    kept: list[Event | None] = [None] * GROUP
    for number in range(GROUP):
        began = perf_counter_ns()
        event = kept[number] = make(number)
        emit_nowait(event)
        spent.append(perf_counter_ns() - began)


async def _emit(spent: Spent, bus: EventBus) -> None:
    kept: list[Event | None] = [None] * GROUP
    for number in range(GROUP):
        began = perf_counter_ns()
        event = kept[number] = tool_called(number)
        await bus.emit(event)
        spent.append(perf_counter_ns() - began)


def past_nulls(directory: Path, *, groups: int, nulls: int) -> dict[str, float]:
    """The cost of a call with so many sinks attached."""
    return asyncio.run(_past_nulls(directory, groups, nulls))


async def _past_nulls(directory: Path, groups: int, nulls: int) -> dict[str, float]:
    spent = Spent()
    async with EventBus(directory / "state", sinks=null_sinks(nulls)) as bus:
        with acting():
            for _ in range(groups + WARM_UP):
                await asyncio.sleep(PAUSE_S)
                _emit_nowait(spent, tool_called, bus.emit_nowait)
    return {"nowait_us": _middle(spent)}


def threads(directory: Path, *, groups: int) -> dict[str, float]:
    """The cost on the loop's own thread and on another."""
    return asyncio.run(_threads(directory, groups))


async def _threads(directory: Path, groups: int) -> dict[str, float]:
    own, other = Spent(), Spent()
    async with EventBus(directory / "state") as bus:
        with acting():
            for _ in range(groups + WARM_UP):
                await asyncio.sleep(PAUSE_S)
                _emit_nowait(own, tool_called, bus.emit_nowait)
                await asyncio.sleep(PAUSE_S)
                await asyncio.to_thread(_emit_nowait, other, tool_called, bus.emit_nowait)
    return {
        "own_us": _middle(own),
        "other_us": _middle(other),
        "own_mean_us": _mean(own),
        "other_mean_us": _mean(other),
    }


def steady(
    directory: Path, *, per_second: int, seconds: float, sinks: Sequence[str] | None
) -> dict[str, float]:
    """Each call and each tick's lateness at a steady pace; no sinks: no recorder."""
    return asyncio.run(_steady(directory, per_second, seconds, sinks))


async def _steady(
    directory: Path, per_second: int, seconds: float, sinks: Sequence[str] | None
) -> dict[str, float]:
    if sinks is None:
        return await _keep_pace(per_second, seconds, lambda event: None)
    async with EventBus(directory / "state", sinks=sinks) as bus:
        return await _keep_pace(per_second, seconds, bus.emit_nowait)


async def _keep_pace(
    per_second: int, seconds: float, emit_nowait: Callable[[Event], object]
) -> dict[str, float]:
    spent, late = Spent(), Spent()
    began = perf_counter_ns()
    with acting():
        for tick in range(1, int(seconds / TICK_S) + 1):
            due = began + int(tick * TICK_S * 1e9)
            await asyncio.sleep(max(0.0, (due - perf_counter_ns()) / 1e9))
            late.append(max(0, perf_counter_ns() - due))
            _emit_some(spent, int(per_second * TICK_S), emit_nowait)
    return {
        "p50_us": percentile(spent, 0.5) / 1e3,
        "p999_us": percentile(spent, 0.999) / 1e3,
        "late_p50_ms": percentile(late, 0.5) / 1e6,
        "late_p99_ms": percentile(late, 0.99) / 1e6,
        "late_most_ms": max(late) / 1e6,
    }


def _emit_some(spent: Spent, some: int, emit_nowait: Callable[[Event], object]) -> None:
    for number in range(some):
        began = perf_counter_ns()
        emit_nowait(tool_called(number))
        spent.append(perf_counter_ns() - began)


def _part(spent: Spent, part: float) -> float:
    return percentile(spent[GROUP * WARM_UP :], part) / 1e3


def _middle(spent: Spent) -> float:
    return _part(spent, 0.5)


def _mean(spent: Spent) -> float:
    counted = spent[GROUP * WARM_UP :]
    return sum(counted) / len(counted) / 1e3
