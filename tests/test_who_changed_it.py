"""The story of `docs/who_changed_it.md` is what happens: blame, audit, diff, restore, verify."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.run_blocks import blocks_of

ROOT = Path(__file__).resolve().parent.parent
TRIES = 3
"""A file may be seen while it is being written, and is then told of twice."""


def told_by_the_page() -> list[str]:
    """Its sessions in the order in which they happen, the first of which is shown early on."""
    blocks = [each.text for each in blocks_of(ROOT / "docs" / "who_changed_it.md")]
    sessions = [text for text in blocks if text.startswith("$ eventbus ")]
    return [text for text in sessions[1:] if "eventbus up" not in text]


def played(directory: Path) -> str:
    ran = subprocess.run(
        [sys.executable, "-W", "error", ROOT / "examples" / "who_changed_it.py"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def without_times(text: str) -> list[str]:
    """Its lines without what differs from run to run: times, places, users, numbers of records."""
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?|\d\d:\d\d:\d\d\.\d+", "TIME", text)
    text = re.sub(r"\d{4}-\d\d-\d\d UTC", "DAY", text)
    text = re.sub(r"/\S*/greet\.py", "/greet.py", text)
    text = re.sub(r"\bcli( +)\S+$", "cli ME", text, flags=re.MULTILINE)
    text = re.sub(r"\d+ (records?|lines?|files?|segments?|blocks?|writers?)\b", r"N \1", text)
    text = re.sub(r"[\d.]+ KiB|:\d+(-\d+)? ", "N ", text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


@pytest.mark.slow
def test_what_the_page_tells_is_what_happens(tmp_path: Path) -> None:
    told = without_times("\n".join(told_by_the_page()))
    assert len(told) > 20

    for number in range(TRIES):
        (tmp_path / str(number)).mkdir()
        happened = without_times(played(tmp_path / str(number)))
        if happened == told:
            return

    assert happened == told
