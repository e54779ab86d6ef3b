"""One contestant alone in a fresh process: `python -m benchmarks.child ERRAND`.

The errand is JSON, and so is the last line of standard output: the figures.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.laps import CallLaps, Laps, kept

__all__ = ["Errand", "run"]


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """What a child is to run, and where."""

    target: str
    """`package.module:function`."""
    directory: str
    events: int = 0
    """Count through so many and be timed; 0: the function measures itself."""
    calls: bool = False
    """Time each call rather than the whole."""
    files: str = "*"
    """Which files must hold every event in the end."""
    arguments: dict[str, Any] = {}


def run(errand: Errand) -> dict[str, float]:
    """The figures of one errand."""
    module, _, name = errand.target.partition(":")
    function = getattr(import_module(module), name)
    if errand.events:
        return _race(function, errand)
    figures: dict[str, float] = function(Path(errand.directory), **errand.arguments)
    return figures


def _race(function: Callable[..., None], errand: Errand) -> dict[str, float]:
    laps = CallLaps(errand.events) if errand.calls else Laps(errand.events)
    function(laps, Path(errand.directory), **errand.arguments)
    laps.finish()
    held = kept(Path(errand.directory), errand.files)
    if held != errand.events:
        raise SystemExit(f"{errand.target} kept {held} events of {errand.events}")
    return laps.figures()


if __name__ == "__main__":
    figures = run(msgspec.json.decode(sys.argv[1], type=Errand))
    sys.stdout.write("\n" + msgspec.json.encode(figures).decode() + "\n")
