"""What the tests of producers stand on: a bus in memory, and a process that has no session yet."""

from collections.abc import Iterator

import pytest

from eventbus.producers import acting
from eventbus.testing import Recorded, recorded


@pytest.fixture(autouse=True)
def no_session_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acting, "_own", {})


@pytest.fixture
def record() -> Iterator[Recorded]:
    with recorded() as kept:
        yield kept
