"""How often a statement is tried: for CI, in the long form, or as asked."""

import os
from collections.abc import Callable

__all__ = ["Tell", "runs", "timeout_for"]

Tell = Callable[[str, object], None]
"""pytest's `record_property`; what a test tells as its `figure` is on the page."""


def runs(*, ci: int, long: int) -> int:
    """`EVENTBUS_RUNS` if given, else the long count with `EVENTBUS_LONG=1`, else CI's."""
    asked = os.environ.get("EVENTBUS_RUNS")
    if asked:
        return int(asked)
    return long if os.environ.get("EVENTBUS_LONG") == "1" else ci


def timeout_for(count: int, *, each: float) -> float:
    """Seconds after which a test of `count` runs counts as hung, on a busy machine."""
    return 60 + 4 * count * each
