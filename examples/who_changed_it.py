"""A file is changed by a tool, by a shell, and behind the agent's back: who did what?

The recorder runs beside the agent, as `eventbus up`, and the questions are the
commands one would type. It leaves nothing behind: the project is a temporary
directory.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from eventbus import EventBus, scope, tool

SETTINGS = """\
[watch]
keep = "text"     # what the files hold, to compare with and to go back to
writers = false   # as for somebody who is not root
"""
GREET = 'def greet(name):\n    return f"Hello, {name}"\n'
PATIENCE_S = 30.0


def eventbus(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command, for what it says."""
    return subprocess.run(
        [sys.executable, "-m", "eventbus", *words], text=True, capture_output=True, check=False
    )


def show(*words: str) -> None:
    """Run a command as one would type it."""
    said = eventbus(*words)
    print(f"\n$ eventbus {' '.join(words)}\n{said.stdout}{said.stderr}", end="")


@contextlib.contextmanager
def recorder() -> Iterator[None]:
    """`eventbus up`, in a process of its own."""
    up = subprocess.Popen(
        [sys.executable, "-m", "eventbus", "up"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert up.stdout is not None
    try:
        while "Ctrl-C" not in up.stdout.readline():
            assert up.poll() is None, "it did not start"
        yield
    finally:
        up.send_signal(signal.SIGTERM)
        up.communicate()


def told(path: str, *, by: str | None) -> Any:
    """The last change of a file, once it is told as it is now and as this tool's."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        said = eventbus("blame", path, "-n", "1", "--json")
        items = json.loads(said.stdout)["items"] if said.stdout.startswith("{") else []
        if items and (items[0]["actor"], items[0]["size_bytes"]) == (by, os.path.getsize(path)):
            return items[0]
        time.sleep(0.1)
    raise TimeoutError(f"no change of {path} by {by} has been told")


def agent(bus: EventBus) -> None:
    """The agent: it writes a file by a tool, and then by a command in a shell."""
    with scope(session="monday", agent="coder", user="ann"):
        with tool("write_file", {"path": "greet.py", "content": GREET}, bus=bus):
            Path("greet.py").write_text(GREET)
        told("greet.py", by="write_file")
        command = """echo 'print(greet("you"))' >> greet.py"""
        with tool("shell", {"command": command}, bus=bus):
            subprocess.run(command, shell=True, check=True)
        told("greet.py", by="shell")


def somebody_else() -> None:
    """No tool call is open when this is written."""
    time.sleep(0.6)  # a change so soon after a call might be the call's
    text = Path("greet.py").read_text()
    Path("greet.py").write_text(text.replace("Hello", "Goodbye"))
    told("greet.py", by=None)


def tell_the_story() -> None:
    """What happened, asked of the record."""
    changed = datetime.fromisoformat(told("greet.py", by=None)["ts"])
    before = (changed - timedelta(milliseconds=100)).isoformat(timespec="milliseconds")
    show("blame", "greet.py")
    show("audit", "--actor", "unknown", "--path", "greet.py")
    show("diff", "greet.py")
    show("restore", "greet.py", "--at", before.replace("+00:00", "Z"))
    told("greet.py", by="eventbus restore")
    show("blame", "greet.py")


def change_the_record() -> None:
    """Whoever it was wants to have been the agent."""
    audit = Path(".state/logs/audit.jsonl")
    audit.write_text(audit.read_text().replace('"actor":"unknown"', '"actor":"write_file"'))


def main() -> None:
    """Play it through."""
    with tempfile.TemporaryDirectory() as project:
        os.chdir(project)
        Path("eventbus.toml").write_text(SETTINGS)
        with recorder():
            with EventBus(".state") as bus:
                agent(bus)
            somebody_else()
            tell_the_story()
        show("verify")
        change_the_record()
        show("verify")
        os.chdir("/")


if __name__ == "__main__":
    main()
