"""Programs that change a tree as fast as they can, for the watcher to keep up with.

`python -m tests.reliability.treemaking fill DIRECTORY FILES` makes files in
nested directories that four threads make at the same time; `rewrite DIRECTORY`
writes every file that is there again; `muddle DIRECTORY STEPS SEED` does
whatever one can do to a tree.
"""

import os
import random
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from benchmarks.contestants.filling import fill


def rewrite(root: Path) -> None:
    """Write every file again; no directory's time changes by it."""
    for directory, _, names in os.walk(root):
        for name in names:
            with open(os.path.join(directory, name), "a") as file:
                file.write("more")


def muddle(root: Path, steps: int, seed: int) -> None:
    """Do whatever one can do to a tree, in an order that the seed says."""
    chance = random.Random(seed)
    for number in range(steps):
        with suppress(OSError):  # it may be gone, or no directory
            _muddle_once(root, chance, number)


def _muddle_once(root: Path, chance: random.Random, number: int) -> None:
    paths = [path for path in root.rglob("*") if not path.is_symlink()] if number % 5 == 0 else []
    known = _known.setdefault(root, [])
    known += paths
    path = chance.choice(known) if known else root
    directory = path if path.is_dir() else path.parent
    new = directory / f"{number}{chance.choice(NAMES)}"
    act = chance.choices(range(8), weights=(30, 15, 15, 10, 8, 3, 5, 5))[0]
    if act == 0:
        new.write_text("x" * chance.randrange(500))
    elif act == 1:
        new.mkdir()
        known.append(new)
    elif act == 2 and path.is_file():
        path.write_text("y" * chance.randrange(500))
    elif act == 3 and path != root:
        path.rename(root / new.name)
    elif act == 4 and path.is_file():
        path.unlink()
    elif act == 5 and path != root and path.is_dir():
        shutil.rmtree(path)
    elif act == 6:
        new.symlink_to(chance.choice(["/", "nowhere", "."]))
    elif path.is_file():
        beside = path.with_name(f".{path.name}.tmp")
        beside.write_text("z" * chance.randrange(500))
        beside.replace(path)


NAMES = ("", ".txt", "-é", " b", "\n", "|", os.fsdecode(b"\xff"))
_known: dict[Path, list[Path]] = {}


if __name__ == "__main__":
    what, where, *how = sys.argv[1:]
    {"fill": fill, "rewrite": rewrite, "muddle": muddle}[what](Path(where), *map(int, how))
