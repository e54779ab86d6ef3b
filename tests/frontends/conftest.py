"""A directory to run commands in, and a day that was recorded for them to tell of."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.frontends.console import Here, Ran
from tests.frontends.day import make_day


@pytest.fixture
def here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Here:
    monkeypatch.chdir(tmp_path)
    return Here(tmp_path, capsys)


@pytest.fixture(scope="session")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state directory of the day; nobody may write to it."""
    return make_day(tmp_path_factory.mktemp("day") / ".state")


@pytest.fixture
def ask(here: Here, day: Path) -> Callable[..., Ran]:
    """Commands asked of the day."""
    return lambda *args: here(*args, "--state", str(day))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes the output a terminal that is so wide."""

    def be(width: int) -> None:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        monkeypatch.setenv("COLUMNS", str(width))

    return be
