"""Running a command in this process, and in one of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventbus.frontends.cli import main

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "golden"


def golden(name: str) -> str:
    """What a command prints, to the letter."""
    return (GOLDEN / f"{name}.txt").read_text()


class Ran(msgspec.Struct):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


class Here:
    """Commands run in a directory, inside the test's process."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self.state = directory / ".state"
        self._capsys = capsys

    def __call__(self, *args: str) -> Ran:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(args))
        said = self._capsys.readouterr()
        return Ran(int(ended.value.code or 0), said.out, said.err)


def start(*args: str, cwd: Path, **environ: str) -> "subprocess.Popen[str]":
    """A command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "eventbus", *args],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def running(*args: str, cwd: Path, until: str, **environ: str) -> Iterator["subprocess.Popen[str]"]:
    """The same, once it has said something; killed if the test leaves it running."""
    process = start(*args, cwd=cwd, **environ)
    try:
        read_until(process, lambda line: until in line)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def read_until(
    process: "subprocess.Popen[str]", wanted: Callable[[str], bool], *, of_errors: bool = False
) -> list[str]:
    """Its lines up to the first that is wanted."""
    stream = process.stderr if of_errors else process.stdout
    assert stream is not None
    lines: list[str] = []
    while not lines or not wanted(lines[-1]):
        line = stream.readline()
        if not line:
            raise AssertionError(f"it ended: {''.join(lines)}{process.communicate()[1]}")
        lines.append(line)
    return lines
