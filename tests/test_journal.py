"""The writing side of the journal: segments begun, appended, synced, rolled, taken again."""

import errno
import os
import stat
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from eventbus import EventBus, JournalSettings, StateUnusable, read_journal
from eventbus.event import encode
from eventbus.events.bus import BusEnded, BusOpened, Recovered
from eventbus.journal import Journal
from eventbus.segment import NOWHERE, segments_in
from eventbus.sink import Place
from eventbus.testing import FakeClock, FaultyDisk
from tests.letters import letters, numbers, segment_paths


def lines(count: int, start: int = 0) -> list[bytes]:
    return [encode(event) + b"\n" for event in letters(count, start=start)]


def journal_in(state: Path, **settings: int) -> Journal:
    journal = Journal(state, JournalSettings(**settings))
    journal.open()
    return journal


def opened(path: Path) -> BusOpened:
    return msgspec.json.decode(path.read_bytes().splitlines()[0], type=BusOpened)


def kept(state: Path) -> list[int]:
    return numbers(list(read_journal(state)))


# --- beginning -------------------------------------------------------------------


def test_a_segment_begins_by_saying_whose_it_is(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)

    (path,) = segment_paths(tmp_path)
    first = opened(path)
    assert (first.writer, first.pid, first.before) == (journal.writer, os.getpid(), 0)
    assert (first.previous, first.previous_end) == (None, None)
    assert path.name.endswith(f"-{journal.writer}.jsonl")
    journal.end({})


def test_what_is_made_is_private(tmp_path: Path) -> None:
    journal_in(tmp_path / "state").end({})

    for path in [tmp_path / "state", *(tmp_path / "state").rglob("*")]:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_two_writers_never_share_a_segment(tmp_path: Path) -> None:
    one, two = journal_in(tmp_path), journal_in(tmp_path)

    assert one.writer != two.writer
    assert len(segment_paths(tmp_path)) == 2
    one.end({})
    two.end({})


def test_a_segment_that_ended_well_is_gone_on_with(tmp_path: Path) -> None:
    for run in range(3):
        journal = journal_in(tmp_path)
        journal.append(lines(2, run * 2), 2)
        journal.end({})

    assert len(segment_paths(tmp_path)) == 1
    assert kept(tmp_path) == list(range(6))
    befores = [event.before for event in read_journal(tmp_path, kinds=(BusOpened, BusEnded))]  # type: ignore[attr-defined]
    assert befores == [0, 3, 4, 7, 8, 11]


def test_one_that_is_full_or_of_another_day_is_not(tmp_path: Path) -> None:
    journal_in(tmp_path).end({})
    journal_in(tmp_path, segment_bytes=10).end({})
    clock = FakeClock(segments_in(tmp_path / "journal")[0].start + timedelta(days=1))
    later = Journal(tmp_path, JournalSettings(), clock=clock)
    later.open()
    later.end({})

    assert len(segment_paths(tmp_path)) == 3


def test_one_whose_writer_died_is_closed_for_it_once(tmp_path: Path) -> None:
    dead = journal_in(tmp_path)
    dead.append(lines(3), 3)
    dead.abandon()

    told = Journal(tmp_path, JournalSettings()).open()
    again = Journal(tmp_path, JournalSettings()).open()

    assert [(event.reason, event.cut_bytes) for event in told] == [("unclean", 0)]  # type: ignore[attr-defined]
    assert [event.segment for event in told if isinstance(event, Recovered)] == [dead.place.segment]
    assert again == []
    assert kept(tmp_path) == [0, 1, 2]


def test_one_that_is_written_now_is_left_alone(tmp_path: Path) -> None:
    live = journal_in(tmp_path)
    live.append([b'{"kind":"half'], 0)

    journal_in(tmp_path).end({})
    live.append([b'":"done"}\n'], 1)
    live.end({})

    assert b'{"kind":"half":"done"}\n' in (tmp_path / "journal" / live.place.segment).read_bytes()


def test_what_a_killed_writer_had_not_named_is_swept_away(tmp_path: Path) -> None:
    journal_in(tmp_path).end({})
    left = tmp_path / "journal" / "20260101T000000000000-00000000.new"
    left.write_bytes(b"half")

    journal_in(tmp_path).end({})

    assert not left.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(StateUnusable, match="give a directory"):
        Journal(tmp_path / "state", JournalSettings()).open()


def test_a_disk_that_is_full_at_the_start_is_waited_for(tmp_path: Path) -> None:
    disk = FaultyDisk()
    disk.fail("write", for_good=True, error=errno.ENOSPC)
    before = len(os.listdir("/proc/self/fd"))
    journal = Journal(tmp_path, JournalSettings(), disk=disk)

    journal.open()

    assert "No space left" in str(journal.trouble)
    assert journal.place == NOWHERE
    assert len(os.listdir("/proc/self/fd")) == before
    assert segment_paths(tmp_path) == []
    with pytest.raises(OSError, match="No space left"):
        journal.append(lines(1), 1)
    disk.heal()
    begun = journal.append(lines(1), 1)
    journal.end({})
    assert journal.trouble is None
    assert journal.moves[0].applied(NOWHERE) == begun
    assert kept(tmp_path) == [0]


def test_one_that_never_finds_room_leaves_nothing_when_it_ends(tmp_path: Path) -> None:
    disk = FaultyDisk()
    disk.fail("write", for_good=True, error=errno.EDQUOT)
    journal = Journal(tmp_path, JournalSettings(), disk=disk)
    journal.open()

    journal.end({})

    assert segment_paths(tmp_path) == []


def test_a_segment_that_could_not_be_taken_up_stays_as_it_ended(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    journal.append(lines(1), 1)
    journal.end({})
    ended = segment_paths(tmp_path)[0].read_bytes()
    disk = FaultyDisk()
    disk.fail("writev", error=errno.ENOSPC)

    late = Journal(tmp_path, JournalSettings(), disk=disk)
    late.open()
    late.append(lines(1, 1), 1)
    late.end({})

    assert [path.read_bytes() == ended for path in segment_paths(tmp_path)] == [True, False]
    assert late.writer != journal.writer
    assert kept(tmp_path) == [0, 1]


@pytest.mark.parametrize("error", [errno.EACCES, errno.EROFS, errno.EIO])
def test_what_no_waiting_mends_is_refused_at_once(tmp_path: Path, error: int) -> None:
    disk = FaultyDisk()
    disk.fail("open", for_good=True, error=error)

    with pytest.raises(StateUnusable, match="give a directory"):
        Journal(tmp_path, JournalSettings(), disk=disk).open()


# --- writing -----------------------------------------------------------------------


def test_append_says_where_the_records_begin(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    begun = journal.place
    first, second = lines(1), lines(2, 1)

    places = [journal.append(first, 1), journal.append(second, 2)]

    assert places == [begun, Place(begun.segment, begun.offset + len(first[0]))]
    assert journal.place.offset == (tmp_path / "journal" / begun.segment).stat().st_size
    journal.end({})


@pytest.mark.parametrize("written", [0, 1, 10, 700])
def test_a_write_cut_short_by_an_error_leaves_nothing_of_itself(
    tmp_path: Path, written: int
) -> None:
    class CutShort(FaultyDisk):
        is_short = False

        def writev(self, fd: int, buffers: list[bytes]) -> int:  # type: ignore[override]
            if self.is_short:
                os.write(fd, b"".join(buffers)[:written])
                raise OSError(28, "No space left")
            return os.writev(fd, buffers)

    disk = CutShort()
    journal = Journal(tmp_path, JournalSettings(), disk=disk)
    journal.open()
    before = journal.place
    disk.is_short = True
    with pytest.raises(OSError, match="No space"):
        journal.append(lines(5), 5)
    assert journal.place == before
    disk.is_short = False

    assert journal.append(lines(5), 5) == before
    journal.end({})
    assert kept(tmp_path) == list(range(5))


def test_a_write_that_is_only_short_goes_on(tmp_path: Path) -> None:
    class Short(FaultyDisk):
        def writev(self, fd: int, buffers: list[bytes]) -> int:  # type: ignore[override]
            return os.write(fd, b"".join(buffers)[:7])

    journal = Journal(tmp_path, JournalSettings(), disk=Short())
    journal.open()
    journal.append(lines(20), 20)
    journal.end({})

    assert kept(tmp_path) == list(range(20))


def test_many_pieces_are_one_write_or_a_few(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    journal.append(lines(3_000), 3_000)  # more than one writev takes
    journal.end({})

    assert kept(tmp_path) == list(range(3_000))


def test_where_a_torn_write_cannot_be_taken_back_a_new_segment_leaves_it_behind(
    tmp_path: Path,
) -> None:
    class Torn(FaultyDisk):
        is_torn = False

        def writev(self, fd: int, buffers: list[bytes]) -> int:  # type: ignore[override]
            if self.is_torn:
                os.write(fd, b"".join(buffers)[:-20])
                raise OSError(5, "EIO")
            return os.writev(fd, buffers)

        def truncate(self, fd: int, size: int) -> None:
            if self.is_torn:
                raise OSError(5, "EIO")
            os.ftruncate(fd, size)

    disk = Torn()
    journal = Journal(tmp_path, JournalSettings(), disk=disk)
    journal.open()
    journal.append(lines(5), 5)
    disk.is_torn = True
    with pytest.raises(OSError, match="EIO"):
        journal.append(lines(5, 5), 5)
    disk.truncate = lambda fd, size: (_ for _ in ()).throw(OSError(5, "EIO"))  # type: ignore[method-assign]
    disk.is_torn = False
    journal.append(lines(5, 5), 5)
    journal.end({})

    assert kept(tmp_path) == list(range(10))
    first, second = segment_paths(tmp_path)
    assert opened(second).previous == first.name
    assert opened(second).previous_end is not None


# --- syncing and rolling --------------------------------------------------------------


def test_a_sync_leaves_nothing_unsynced_and_names_a_new_segment_once(tmp_path: Path) -> None:
    disk = FaultyDisk()
    journal = Journal(tmp_path, JournalSettings(), disk=disk)
    journal.open()
    for number in range(3):
        journal.append(lines(1, number), 1)
        assert journal.unsynced_bytes > 0
        journal.sync()
        assert journal.unsynced_bytes == 0
    journal.sync()

    assert disk.calls.count("sync") == 3
    assert disk.calls.count("sync_directory") == 1
    journal.end({})


def test_a_full_segment_is_followed_by_one_that_names_it(tmp_path: Path) -> None:
    journal = journal_in(tmp_path, segment_bytes=1_000)
    for start in range(0, 60, 10):
        journal.append(lines(10, start), 10)
        journal.roll_if_due()
    journal.end({"full": 3})

    paths = segment_paths(tmp_path)
    assert len(paths) == 7
    before = 0
    for previous, path in zip([None, *paths], paths, strict=False):
        first = opened(path)
        assert first.before == before
        assert first.previous == (previous.name if previous else None)
        assert first.previous_end == (previous.stat().st_size if previous else None)
        before += path.read_bytes().count(b"\n")
    assert kept(tmp_path) == list(range(60))
    assert [event.dropped for event in read_journal(tmp_path, kinds=BusEnded)] == [{"full": 3}]  # type: ignore[attr-defined]


def test_a_roll_that_fails_keeps_the_old_segment_in_use(tmp_path: Path) -> None:
    disk = FaultyDisk()
    journal = Journal(tmp_path, JournalSettings(segment_bytes=100), disk=disk)
    journal.open()
    disk.fail("rename")
    with pytest.raises(OSError, match="Input/output"):
        journal.roll_if_due()
    journal.append(lines(5), 5)
    assert journal.roll_if_due()
    journal.append(lines(5, 5), 5)
    journal.end({})

    assert len(segment_paths(tmp_path)) == 2
    assert kept(tmp_path) == list(range(10))
    assert not list((tmp_path / "journal").glob("*.new"))


def test_after_a_failed_sync_the_bytes_are_in_a_new_segment(tmp_path: Path) -> None:
    disk = FaultyDisk()
    journal = Journal(tmp_path, JournalSettings(), disk=disk)
    journal.open()
    journal.append(lines(2), 2)
    journal.sync()
    end = journal.place
    journal.append(lines(3, 2), 3)
    disk.fail("sync")
    journal.sync()

    (move,) = journal.moves
    assert move.old == end
    assert move.applied(end) == move.new
    assert journal.unsynced_bytes == 0
    journal.end({})
    assert kept(tmp_path) == list(range(5))
    assert opened(segment_paths(tmp_path)[1]).previous_end == end.offset


def test_an_open_bus_reads_back_while_it_writes(tmp_path: Path) -> None:
    with EventBus(tmp_path) as bus:
        for start in range(0, 50, 10):
            for event in letters(10, start=start):
                bus.emit_nowait(event)
            bus.flush_now()
            assert kept(tmp_path) == list(range(start + 10))
