"""Make an environment and install a pinned set into it, or see that it is there.

`python scripts/install.py DIRECTORY SET`: the sets are requirements/*.txt.
Standard library only, because this runs before anything is installed.
"""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOLDS = {
    "run": ("run",),
    "test": ("test", "run"),
    "lint": ("lint", "test", "run"),
    "bench": ("bench", "run"),
}
"""A set, and all that is there once it is installed."""


def main(directory: str, wanted: str) -> None:
    """Install `wanted` into `directory`, unless that was done."""
    home = Path(directory).absolute()
    if stamp(home, wanted).exists():
        return
    if not works(home):
        say(f"making {directory} with Python {sys.version.split()[0]}")
        venv.create(home, clear=True, with_pip=True, symlinks=True, prompt="eventbus")
    say(f"installing requirements/{wanted}.txt")
    pip(home, "--require-hashes", "-r", str(lock(wanted)))
    # The lock holds the build backend too: nothing unpinned is ever fetched.
    pip(home, "--no-deps", "--no-build-isolation", "--no-index", "-e", str(ROOT))
    forget_old_stamps(home)
    for held in HOLDS[wanted]:
        stamp(home, held).touch()


def works(home: Path) -> bool:
    """Whether there is an environment whose interpreter still starts."""
    python = home / "bin" / "python"
    if not python.exists():
        return False
    asked = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False)
    return asked.returncode == 0


def lock(name: str) -> Path:
    return ROOT / "requirements" / f"{name}.txt"


def stamp(home: Path, name: str) -> Path:
    """The file that says a set is installed, named by all that decides it."""
    content = [lock(name), ROOT / "pyproject.toml", Path(__file__)]
    digest = hashlib.sha256(str(ROOT).encode())
    for path in content:
        digest.update(path.read_bytes())
    return home / f".installed-{name}-{digest.hexdigest()[:16]}"


def forget_old_stamps(home: Path) -> None:
    """So that going back to an earlier lock installs it again."""
    current = {stamp(home, name) for name in HOLDS}
    for found in set(home.glob(".installed-*")) - current:
        found.unlink()


def pip(home: Path, *arguments: str) -> None:
    command = [home / "bin" / "python", "-m", "pip", "install", "-qq", "--no-input"]
    subprocess.run([*command, "--disable-pip-version-check", *arguments], check=True)


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except subprocess.CalledProcessError as error:
        sys.exit(f"could not install: {' '.join(map(str, error.cmd))}")
