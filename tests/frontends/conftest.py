"""A directory to run commands in."""

from pathlib import Path

import pytest

from tests.frontends.console import Here


@pytest.fixture
def here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Here:
    monkeypatch.chdir(tmp_path)
    return Here(tmp_path, capsys)
