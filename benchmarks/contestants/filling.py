"""A program that makes files in nested directories, which others make at the same time.

`python -m benchmarks.contestants.filling DIRECTORY FILES`
"""

import os
import sys
import threading
from pathlib import Path

__all__ = ["fill"]

THREADS = 4


def fill(root: Path, files: int) -> None:
    """Make so many, 25 a directory, three directories deep, by four threads."""
    workers = [
        threading.Thread(target=_fill, args=(root, range(number, files, THREADS)))
        for number in range(THREADS)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _fill(root: Path, numbers: range) -> None:
    for number in numbers:
        directory = f"{root}/{number // 2_500}/{number // 250 % 10}/{number // 25 % 10}"
        os.makedirs(directory, exist_ok=True)
        with open(f"{directory}/{number}.txt", "w") as file:
            file.write("x" * (number % 97))


if __name__ == "__main__":
    fill(Path(sys.argv[1]), int(sys.argv[2]))
