"""One look for all lanes: whether the journal has grown."""

import os
from pathlib import Path

import pytest

from eventbus import pulse
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.pulse import Pulse

FIRST, SECOND = "20261125T120000000000-0000beef.jsonl", "20261125T130000000000-0000beef.jsonl"
OTHER = "20261125T120000000000-0000cafe.jsonl"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    (tmp_path / FIRST).write_bytes(b"1\n")
    (tmp_path / OTHER).write_bytes(b"1\n")
    return tmp_path


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more\n")


def test_at_first_everything_is_news_and_then_nothing(journal: Path) -> None:
    beat = Pulse(journal, SYSTEM_DISK)

    assert [beat.has_changed() for _ in range(4)] == [True, False, False, False]


def test_it_sees_a_segment_grow_once(journal: Path) -> None:
    beat = Pulse(journal, SYSTEM_DISK)
    beat.has_changed()

    for path in (journal / FIRST, journal / OTHER, journal / FIRST):
        grow(path)

        assert [beat.has_changed() for _ in range(3)] == [True, False, False]


def test_it_sees_a_segment_begin(journal: Path) -> None:
    beat = Pulse(journal, SYSTEM_DISK)
    for _ in range(3):
        beat.has_changed()

    (journal / SECOND).write_bytes(b"")

    assert beat.has_changed()
    grow(journal / SECOND)
    assert beat.has_changed()


def test_it_sees_one_begin_right_after_it_has_listed_the_others(journal: Path) -> None:
    """A directory's time steps; what is made in the same step does not change it."""
    beat = Pulse(journal, SYSTEM_DISK)
    beat.has_changed()
    then = os.stat(journal)

    (journal / SECOND).write_bytes(b"1\n")
    os.utime(journal, ns=(then.st_atime_ns, then.st_mtime_ns))

    assert beat.has_changed()


def test_it_lives_without_the_directory_and_with_segments_that_go(journal: Path) -> None:
    missing = Pulse(journal / "nowhere", SYSTEM_DISK)
    beat = Pulse(journal, SYSTEM_DISK)
    beat.has_changed()

    assert [missing.has_changed() for _ in range(2)] == [False, False]
    (journal / OTHER).unlink()
    for _ in range(3):
        beat.has_changed()
    grow(journal / FIRST)
    assert beat.has_changed()


def test_a_segment_that_has_not_grown_for_long_is_looked_at_less_often(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Counting(Disk):
        def stat(self, path: Path) -> os.stat_result:
            asked.append(path.name)
            return super().stat(path)

    monkeypatch.setattr(pulse, "WARM_FOR", 5)
    beat = Pulse(journal, Counting())
    for _ in range(20):
        beat.has_changed()
    asked.clear()

    for _ in range(20):
        beat.has_changed()

    assert asked.count(FIRST) == 2
    grow(journal / FIRST)
    assert sum(beat.has_changed() for _ in range(10)) == 1
    grow(journal / FIRST)
    assert beat.has_changed()
