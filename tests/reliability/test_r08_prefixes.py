"""R8: whatever a crash leaves of a segment, opening mends it.

Any prefix of a segment is a segment again once the journal was opened: every
whole record is there, the torn end is cut off, kept aside and told, and the
next record never grows onto it. The same for an end of NULs or of garbage.
Opening a second time changes nothing more, and nothing found in the journal's
directory is a reason not to start.
"""

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from eventbus import Event, EventBus, JournalSettings, read_journal
from eventbus.disk import Disk
from eventbus.event import encode
from eventbus.events.bus import Recovered
from eventbus.journal import Journal
from tests.reliability.counts import runs, timeout_for
from tests.reliability.numbered import Producer, bad_lines, numbered, read_numbers

LINES = 200
GARBAGE = runs(ci=600, long=50_000)
WHO = Producer(run=0, producer=0)


class Short(Event, tag="proof:short", frozen=True):
    number: int


class QuickDisk(Disk):
    """Syncs nothing: what is proven here does not hang on it."""

    def sync(self, fd: int) -> None:
        pass

    def sync_directory(self, path: Path) -> None:
        pass


DISK = QuickDisk()


@pytest.fixture
def segment(ram: Path) -> Path:
    """A segment of 200 records, as a bus that was killed left it."""
    state = ram / "first"
    journal = Journal(state, JournalSettings())
    journal.open()
    journal.append([encode(Short(number=number)) + b"\n" for number in range(LINES - 1)], LINES - 1)
    journal.abandon()
    (path,) = (state / "journal").glob("*.jsonl")
    assert path.read_bytes().count(b"\n") == LINES
    return path


def _left_behind(state: Path, segment: Path, content: bytes) -> Path:
    """A state directory whose one segment holds that."""
    directory = state / "journal"
    directory.mkdir(parents=True, exist_ok=True)
    for entry in os.scandir(directory):
        os.unlink(entry)
    path = directory / segment.name
    path.write_bytes(content)
    return path


def _open_and_die(state: Path) -> list[Event]:
    """Open the journal as a bus does, and be killed; what it told."""
    journal = Journal(state, JournalSettings(), disk=DISK)
    try:
        return journal.open()
    finally:
        journal.abandon()


def _mended(path: Path, whole: bytes, torn: bytes, told: list[Event]) -> list[str]:
    """What is wrong with a segment that was mended."""
    wrong = []
    first, _, closing = path.read_bytes().partition(b'{"kind":"bus:close"')
    if first != whole:
        wrong.append(f"{len(whole)} bytes of whole records became {len(first)}")
    if closing.count(b"\n") != 1 or not closing.endswith(b"\n"):
        wrong.append("it was not closed by one record")
    kept = [torn_file.read_bytes() for torn_file in path.parent.glob("*.torn")]
    if kept != [torn] * bool(torn):
        wrong.append(f"{len(torn)} torn bytes were kept as {kept!r}")
    news = [(event.reason, event.cut_bytes) for event in told if isinstance(event, Recovered)]
    if news != [("torn" if torn else "unclean", len(torn))]:
        wrong.append(f"it told {news}")
    return wrong


def _numbers(state: Path) -> list[int]:
    return [event.number for event in read_journal(state, kinds=Short)]  # type: ignore[attr-defined]


@pytest.mark.timeout(timeout_for(30_000, each=0.001))
def test_every_prefix_of_a_segment_is_a_segment_again(
    ram: Path, segment: Path, record_property: Callable[[str, object], None]
) -> None:
    """R8: any prefix of a segment recovers, byte for byte; a torn end is kept and told."""
    content = segment.read_bytes()
    state = ram / "second"

    for size in range(len(content) + 1):
        end = content.rfind(b"\n", 0, size) + 1
        path = _left_behind(state, segment, content[:size])

        told = _open_and_die(state)

        assert _mended(path, content[:end], content[end:size], told) == [], size
        if size % 997 == 0:
            assert _numbers(state) == list(range(max(0, content[:end].count(b"\n") - 1)))

    record_property("figure", f"{len(content) + 1} prefixes of {LINES} lines: all recovered")


def _snapshot(state: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((state / "journal").iterdir())}


def test_opening_twice_is_opening_once(ram: Path, segment: Path) -> None:
    """R8: mending twice is mending once."""
    content = segment.read_bytes()

    for size in [*range(0, len(content), 611), len(content)]:
        state = ram / str(size)
        path = _left_behind(state, segment, content[:size])
        _open_and_die(state)
        once = path.read_bytes()

        told = _open_and_die(state)
        after_two = _snapshot(state)
        _open_and_die(state)

        assert path.read_bytes() == once
        assert [event.segment for event in told if isinstance(event, Recovered)] != [path.name]
        assert {name: after_two[name] for name in after_two if name.endswith(".torn")} == {
            name: content for name, content in _snapshot(state).items() if name.endswith(".torn")
        }


def _tails(rng: random.Random) -> Iterator[bytes]:
    """What may stand behind the last record."""
    nuls = b"\0" * rng.choice((1, 7, 511, 4_096, 70_000))
    half = encode(Short(number=-1))[: rng.randrange(1, 90)]
    noise = rng.randbytes(rng.randrange(1, 300))
    yield from (nuls, half + nuls, nuls + half, noise, noise.replace(b"\n", b"{"))
    yield from (half + b"\n" + nuls, nuls + b"\n", noise + b"\n", b"\n", b"\n\n\n", b"{}x\n[]\n3\n")
    yield b"x" * 200_000


@pytest.mark.timeout(timeout_for(GARBAGE, each=0.01))
def test_a_tail_of_nuls_or_garbage_is_cut_off_and_never_served(
    ram: Path, segment: Path, record_property: Callable[[str, object], None]
) -> None:
    rng = random.Random(88)
    lines = segment.read_bytes().splitlines(keepends=True)
    tried = 0

    while tried < GARBAGE:
        for tail in _tails(rng):
            tried += 1
            state = ram / "second"
            count = rng.choice((0, 1, 2, 20, LINES))
            whole = b"".join(lines[:count])
            path = _left_behind(state, segment, whole + tail)

            _open_and_die(state)
            with EventBus(state, serve="never", disk=DISK) as bus:
                bus.emit_nowait(numbered(*WHO, 0))

            assert path.read_bytes().startswith(whole)
            assert list(bad_lines(state)) == []
            assert _numbers(state) == list(range(max(0, count - 1)))
            assert read_numbers(state)[WHO] == [0]
            torn = b"".join(kept.read_bytes() for kept in (state / "journal").glob("*.torn"))
            assert torn == tail

    record_property("figure", f"{tried} tails of NULs or garbage: all cut and kept")


def test_garbage_between_records_is_passed_over(ram: Path, segment: Path) -> None:
    lines = segment.read_bytes().splitlines(keepends=True)
    holes = [b"\0" * 5_000 + b"\n", b'{"kind":"proof:short","num\n', b"\n", b"\xff\xfe\n", b"[1]\n"]
    content = b"".join(
        line + holes[index % len(holes)] if index % 9 == 4 else line
        for index, line in enumerate(lines)
    )
    _left_behind(ram / "state", segment, content)

    _open_and_die(ram / "state")

    events = list(read_journal(ram / "state"))
    assert [event.number for event in events if isinstance(event, Short)] == list(range(LINES - 1))
    assert {event.kind for event in events} <= {"proof:short", "bus:recover"}


def test_what_was_cut_off_is_told_with_its_digest(ram: Path, segment: Path) -> None:
    content = segment.read_bytes()
    state = ram / "state"
    _left_behind(state, segment, content[:-5])
    torn = content[content.rfind(b"\n", 0, -5) + 1 : -5]

    with EventBus(state, serve="never"):
        pass

    (told,) = read_journal(state, kinds=Recovered)
    assert isinstance(told, Recovered)
    assert told.segment == segment.name
    assert told.digest == hashlib.sha256(torn).hexdigest()


# --- whatever lies in the directory ------------------------------------------------


def _odd_things(directory: Path, name: str) -> None:
    """Put things into a journal's directory that have no business there."""
    stem = name.removesuffix(".jsonl")
    (directory / "99999999T999999999999-aaaaaaaa.jsonl").write_text("no such day\n")
    (directory / "20260101T000000000000-bbbbbbbb.jsonl").mkdir()
    (directory / "20260101T000000000000-cccccccc.jsonl").symlink_to(directory / name)
    (directory / "20260101T000000000000-dddddddd.jsonl").symlink_to("/nowhere")
    os.mkfifo(directory / "20260101T000000000000-eeeeeeee.jsonl")
    (directory / "20260101T000000000000-ffffffff.jsonl").write_bytes(b"")
    (directory / f"{stem}.new").mkdir()
    (directory / f"{stem}.0.torn").mkdir()
    (directory / "notes.txt").write_text("mine")
    (directory / "x.new").symlink_to(directory / "notes.txt")
    (directory / "cursors").write_text("no directory")
    (directory / os.fsdecode(b"\xff\xfe.jsonl")).write_bytes(b"\xff\n")


@pytest.mark.timeout(30)
def test_nothing_in_the_directory_is_a_reason_not_to_start(ram: Path, segment: Path) -> None:
    """R8: it never refuses to start."""
    state = ram / "state"
    path = _left_behind(state, segment, segment.read_bytes()[:-5])
    _odd_things(path.parent, segment.name)

    for turn in range(2):
        with EventBus(state, serve="never") as bus:
            bus.emit_nowait(numbered(*WHO, turn))

    assert read_numbers(state)[WHO] == [0, 1]
    assert _numbers(state) == list(range(LINES - 2))
    assert (path.parent / "notes.txt").read_text() == "mine"


class OtherOwner(QuickDisk):
    """Somebody else's segments: they cannot be opened for writing."""

    def __init__(self, names: set[str], *, act: str) -> None:
        self._names = names
        self._act = act
        self._fds: set[int] = set()

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        if path.name in self._names and self._act == "open" and flags & os.O_RDWR:
            raise PermissionError(13, "not yours", str(path))
        fd = super().open(path, flags, mode)
        if path.name in self._names:
            self._fds.add(fd)
        else:
            self._fds.discard(fd)
        return fd

    def truncate(self, fd: int, size: int) -> None:
        if self._act == "truncate" and fd in self._fds:
            raise OSError(5, "broken")
        super().truncate(fd, size)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        if self._act == "pread" and fd in self._fds:
            raise OSError(5, "broken")
        return super().pread(fd, size, offset)

    def lock(self, fd: int) -> bool:
        if self._act == "lock" and fd in self._fds:
            raise OSError(37, "no locks")
        return super().lock(fd)


@pytest.mark.parametrize("act", ["open", "truncate", "pread", "lock"])
def test_a_segment_that_cannot_be_mended_is_left_and_told(
    ram: Path, segment: Path, act: str
) -> None:
    state = ram / "state"
    content = segment.read_bytes()[:-5]
    path = _left_behind(state, segment, content)

    with EventBus(state, serve="never", disk=OtherOwner({segment.name}, act=act)) as bus:
        bus.emit_nowait(numbered(*WHO, 0))

    assert path.read_bytes() == content
    assert read_numbers(state)[WHO] == [0]
    (told,) = read_journal(state, kinds=Recovered)
    assert isinstance(told, Recovered)
    assert (told.segment, told.cut_bytes) == (segment.name, 0)
    assert told.reason.startswith("cannot be mended")


def test_a_segment_that_is_alive_is_left_alone(ram: Path) -> None:
    with EventBus(ram, serve="never") as bus:
        bus.emit_nowait(numbered(*WHO, 0))
        bus.flush_now()
        (path,) = (ram / "journal").glob("*.jsonl")
        before = path.read_bytes()

        assert _open_and_die(ram) == []

        assert path.read_bytes() == before


def test_a_segment_that_ended_well_is_gone_on_with_and_its_records_counted(ram: Path) -> None:
    for turn in range(3):
        with EventBus(ram, serve="never") as bus:
            bus.emit_nowait(numbered(*WHO, turn))

    (path,) = (ram / "journal").glob("*.jsonl")
    records = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    befores = {
        index: record["before"] for index, record in enumerate(records) if "before" in record
    }
    assert befores == {index: index for index in (0, 2, 3, 5, 6, 8)}
