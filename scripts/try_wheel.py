"""Build the wheel, install it into an empty environment, and use it from there."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 20.0
"""Seconds until a recorder must have begun its journal, or have ended."""

ASK_A_PRICE = "from eventbus.prices import price_of; print(price_of('gpt-5').id)"
"""The prices are data beside the code, and have to be in the wheel."""


def main() -> None:
    """Build, install, ask, record; say what was done."""
    with tempfile.TemporaryDirectory(prefix="eventbus-wheel-") as scratch:
        wheel = build(Path(scratch))
        commands = install(wheel, Path(scratch, "empty"))
        elsewhere = Path(scratch, "elsewhere")
        elsewhere.mkdir()
        for words in (["version"], ["sinks"]):
            run(commands / "eventbus", *words, cwd=elsewhere)
        run(commands / "python", "-m", "eventbus", "version", cwd=elsewhere)
        run(commands / "python", "-c", ASK_A_PRICE, cwd=elsewhere)
        record(commands / "eventbus", elsewhere)
    print(f"{wheel.name} installs into an empty environment and records from there")


def build(scratch: Path) -> Path:
    """One wheel of what is here."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", scratch, cwd=ROOT)
    (wheel,) = scratch.glob("*.whl")
    return wheel


def install(wheel: Path, home: Path) -> Path:
    """An environment of the pinned set and the wheel; where its commands are."""
    venv.create(home, with_pip=True, symlinks=True)
    pip = [home / "bin" / "python", "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    run(*pip, "--require-hashes", "-r", ROOT / "requirements" / "run.txt", cwd=home)
    run(*pip, "--no-deps", "--no-index", wheel, cwd=home)
    return home / "bin"


def record(command: Path, here: Path) -> None:
    """Start `eventbus up`, wait for its journal, interrupt it, and see it end well."""
    recorder = subprocess.Popen([command, "up"], cwd=here)
    try:
        wait_for_journal(recorder, here / ".state" / "journal")
        recorder.send_signal(signal.SIGINT)
        if code := recorder.wait(PATIENCE):
            sys.exit(f"eventbus up ended with {code} when interrupted; it should say 0")
    finally:
        recorder.kill()


def wait_for_journal(recorder: "subprocess.Popen[bytes]", journal: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not list(journal.glob("*.jsonl")):
        if recorder.poll() is not None:
            sys.exit(f"eventbus up ended with {recorder.returncode} before it had a journal")
        if time.monotonic() > deadline:
            sys.exit(f"eventbus up began no journal within {PATIENCE:.0f} s")
        time.sleep(0.05)


def run(*words: "str | os.PathLike[str]", cwd: Path) -> None:
    print("$", Path(words[0]).name, *words[1:], flush=True)
    if code := subprocess.run(words, cwd=cwd, env=clean_environment(), check=False).returncode:
        sys.exit(f"{Path(words[0]).name} ended with {code}")


def clean_environment() -> dict[str, str]:
    """Ours without what would let the source tree be found."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


if __name__ == "__main__":
    main()
