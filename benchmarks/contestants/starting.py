"""How long fresh processes take to their first sign of life."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.laps import Laps

__all__ = ["eventbus_command", "fresh", "tail"]


def fresh(directory: Path, *, code: str, times: int) -> dict[str, float]:
    """Milliseconds an interpreter lives that runs a line and ends."""
    argv = [sys.executable, "-c", code]
    _lived_ms(argv, directory)  # the first may have to compile
    return {"ms": median(_lived_ms(argv, directory) for _ in range(times))}


def _lived_ms(argv: list[str], directory: Path) -> float:
    began = perf_counter()
    subprocess.run(argv, cwd=directory, check=True)
    return (perf_counter() - began) * 1e3


def eventbus_command(state: Path, *words: str) -> None:
    """Run `eventbus` on a state directory to its good end."""
    subprocess.run(_command(*words), env=_at(state), check=True, stdout=subprocess.DEVNULL)


def tail(directory: Path, *, events: int) -> dict[str, float]:
    """Milliseconds until `eventbus tail` shows its first line."""
    from benchmarks.contestants import ours  # the other questions here need no bus

    ours.emit(Laps(events), directory, sinks=("jsonl", "flat"))
    return {"ms": asyncio.run(_first_line_ms(directory / "state"))}


async def _first_line_ms(state: Path) -> float:
    began = perf_counter()
    shown = await asyncio.create_subprocess_exec(
        *_command("tail"), env=_at(state), stdout=asyncio.subprocess.PIPE
    )
    assert shown.stdout is not None
    line = await asyncio.wait_for(shown.stdout.readline(), timeout=20)
    spent_ms = (perf_counter() - began) * 1e3
    if shown.returncode is None:
        shown.kill()
    await shown.wait()
    if not line:
        raise SystemExit("eventbus tail showed nothing")
    return spent_ms


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "eventbus", *words]


def _at(state: Path) -> dict[str, str]:
    return os.environ | {"EVENTBUS_STATE": str(state)}
