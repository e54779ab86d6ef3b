"""A bar of progress, on a terminal that shows no data meanwhile."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

__all__ = ["Tell", "progress_bar"]

Tell = Callable[[int, int], None]
"""Told how much is done, and how much there is."""


@contextmanager
def progress_bar(label: str) -> Iterator[Tell | None]:
    """What is told of progress is shown on stderr; None where that is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def tell(done: int, total: int) -> None:
            bar.length = max(1, total)
            bar.update(min(done, total) - bar.pos)

        yield tell
