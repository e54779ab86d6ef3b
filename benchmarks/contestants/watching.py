"""Ways to hear of files that change: our watcher, and the libraries as they are."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.contestants.ours import resident
from benchmarks.figures import percentile
from eventbus import Batch, EventBus, Sink, Watcher, WatchSettings
from eventbus.events import FileWritten

__all__ = ["burst", "idle", "latency"]

Hear = Callable[[str], object]
"""Is told the path of each file that was written."""

DIRECTORIES, FILES_EACH = 1_000, 10
PAUSES_S = (0.06, 0.14)
"""Between two writes, by chance, so that none falls into step with who looks."""
QUIET_S, PATIENCE_S = 2.0, 20.0
"""Nothing more is to come once nothing came for that long; nobody is waited for longer."""


# --- what is measured ----------------------------------------------------------------


def latency(directory: Path, *, how: str, files: int) -> dict[str, float]:
    """Milliseconds from a file's write until it is told: by ours, in the journal."""
    root = _root(directory)
    heard: dict[str, float] = {}
    chance = Random(7)
    written: dict[str, float] = {}
    with _watching(how, directory, root, lambda path: heard.setdefault(path, time.perf_counter())):
        for number in range(files):
            time.sleep(chance.uniform(*PAUSES_S))
            name = f"{number}.txt"
            written[name] = time.perf_counter()
            (root / name).write_text("x")
        _until(lambda: len(heard) >= files)
    took = [(heard[name] - at) * 1e3 for name, at in written.items() if name in heard]
    if len(took) < files:
        raise SystemExit(f"{how} told {len(took)} of {files} files")
    return {"p50_ms": percentile(took, 0.5), "p99_ms": percentile(took, 0.99)}


def idle(directory: Path, *, how: str, seconds: float) -> dict[str, float]:
    """Share of a processor that watching takes while nothing happens, in percent."""
    root = _root(directory)
    for number in range(DIRECTORIES):
        inside = root / f"{number // 100}" / f"{number}"
        inside.mkdir(parents=True)
        for file in range(FILES_EACH):
            (inside / f"{file}.txt").write_text("x")
    with _watching(how, directory, root, lambda path: None):
        time.sleep(min(2.0, seconds))  # beginning is not idling
        began, began_cpu = time.perf_counter(), time.process_time()
        time.sleep(seconds)
        cpu = time.process_time() - began_cpu
        return {"percent": 100 * cpu / (time.perf_counter() - began)}


def burst(directory: Path, *, how: str, files: int) -> dict[str, float]:
    """How many of a burst's files are told, and how late the app's timers come meanwhile."""
    root = _root(directory)
    heard: dict[str, float] = {}
    lateness: list[float] = []
    with _watching(how, directory, root, lambda path: heard.setdefault(path, time.perf_counter())):
        made_s = asyncio.run(_made_while_timing(root, files, lateness, heard))
    wanted = {os.path.relpath(path, root) for path in root.rglob("*.txt")}
    told = wanted & heard.keys()
    return {
        "told_percent": 100 * len(told) / len(wanted),
        "after_ms": max(0.0, (max(map(heard.__getitem__, told), default=made_s) - made_s) * 1e3),
        "late_p99_ms": percentile(lateness, 0.99) * 1e3,
    }


async def _made_while_timing(
    root: Path, files: int, lateness: list[float], heard: dict[str, float]
) -> float:
    """Let a program make the files; when it had, once no more is told."""
    argv = [sys.executable, "-m", "benchmarks.contestants.filling", str(root), str(files)]
    making = asyncio.create_task(asyncio.to_thread(subprocess.run, argv, check=True))
    made_s, latest, latest_s = 0.0, -1, time.perf_counter()
    while True:
        due = time.perf_counter() + 0.001
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        lateness.append(now - due)
        if making.done() and not made_s:
            making.result()
            made_s = now
        if len(heard) != latest:
            latest, latest_s = len(heard), now
        if made_s and (latest >= files or now - max(latest_s, made_s) > QUIET_S):
            return made_s


def _root(directory: Path) -> Path:
    root = directory / "root"
    root.mkdir()
    return root


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.01)


# --- ways to hear of it ----------------------------------------------------------------


@contextmanager
def _watching(how: str, directory: Path, root: Path, hear: Hear) -> Iterator[None]:
    """Hear of what is written under a root, by one of the ways."""
    ways: dict[str, Any] = {
        "none": _nobody,
        "default": _ours,
        "quick": _ours,
        "resident": _ours_beside,
        "watchfiles": _watchfiles,
        "watchdog": _watchdog,
    }
    with ways[how](how, directory, root, hear):
        yield


@contextmanager
def _nobody(how: str, directory: Path, root: Path, hear: Hear) -> Iterator[None]:
    yield


class _Hearing(Sink):
    """Hears of an event once it is in the journal."""

    kinds = ("file:write",)

    def __init__(self, hear: Hear) -> None:
        self._hear = hear

    async def write(self, batch: Batch) -> None:
        for event in batch.events:
            if isinstance(event, FileWritten):
                self._hear(event.path)


@contextmanager
def _ours(how: str, directory: Path, root: Path, hear: Hear) -> Iterator[None]:
    settings = WatchSettings(quick=how == "quick")
    with (
        EventBus(directory / "state", sinks=[_Hearing(hear)]) as bus,
        Watcher(bus, [root], settings=settings),
    ):
        yield


@contextmanager
def _ours_beside(how: str, directory: Path, root: Path, hear: Hear) -> Iterator[None]:
    """Another process watches, as it does by default."""
    state = directory / "state"
    with (
        EventBus(state, serve="never") as bus,
        resident(state, [str(root)], module="watching_resident"),
    ):
        bus.attach(_Hearing(hear), writers="all")
        yield


@contextmanager
def _watchfiles(how: str, directory: Path, root: Path, hear: Hear) -> Iterator[None]:
    import watchfiles

    stop, ready = threading.Event(), threading.Event()

    def listen() -> None:
        for changes in watchfiles.watch(
            root, watch_filter=None, stop_event=stop, rust_timeout=50, yield_on_timeout=True
        ):
            ready.set()
            for _, path in changes:
                hear(os.path.relpath(path, root))

    listening = threading.Thread(target=listen)
    listening.start()
    ready.wait()
    try:
        yield
    finally:
        stop.set()
        listening.join()


@contextmanager
def _watchdog(how: str, directory: Path, root: Path, hear: Hear) -> Iterator[None]:
    from watchdog.events import FileSystemEventHandler
    from watchdog.observers import Observer

    class Handler(FileSystemEventHandler):
        def on_any_event(self, event: Any) -> None:
            if not event.is_directory:
                hear(os.path.relpath(os.fsdecode(event.src_path), root))

    observer = Observer()
    observer.schedule(Handler(), str(root), recursive=True)
    observer.start()
    try:
        yield
    finally:
        observer.stop()
        observer.join()
