"""Is the journal whole: whole lines, the counts its records say, every hole declared, its seals."""

import os
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import msgspec

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.event import UNREADABLE
from eventbus.replay import READ_BYTES, valid_end
from eventbus.sealing.anchors import Anchor, compare
from eventbus.sealing.findings import Checked, Span, found_by_both
from eventbus.sealing.keys import VerificationKey
from eventbus.sealing.sealed import Sealed, read_sealed
from eventbus.sealing.whole import check_seals
from eventbus.segment import Segment, segments_by_writer, segments_in

__all__ = ["Finding", "Gap", "Verified", "verify_journal"]

LOOKS_AGAIN = 3
"""How often seals are looked at again while somebody writes: files come and go under them."""
FINDINGS_MOST = 1_000
"""Findings that are listed; a ruined segment would give one a line."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that is not as it was written."""

    segment: str
    line: int | None
    """Counted from 1; None: the segment as a whole."""
    what: str
    is_missing: bool = False
    """True when something is gone, rather than changed."""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A hole that the bus itself declared."""

    reason: str
    count: int
    lane: str | None = None
    """None when nobody has the events."""


class Verified(msgspec.Struct, kw_only=True):
    """What was read, and what was found."""

    segments: int = 0
    writers: int = 0
    records: int = 0
    bytes: int = 0
    being_written: int = 0
    """Segments whose writer lives; their last line may be on its way."""
    written: set[str] = set()
    """Their names."""
    findings: list[Finding] = []
    findings_left_out: int = 0
    torn: list[Finding] = []
    """Ends that a dead writer left half-written; the next one to open the journal cuts them."""
    cut: list[str] = []
    """Torn ends that were cut before, kept beside the journal."""
    gaps: list[Gap] = []
    seals: Checked = msgspec.field(default_factory=Checked)
    """What the seals say, of the journal and of sealed log files."""
    rolled_back: list[Span] = []
    """What an anchor knows, and is not there any more."""

    @property
    def is_whole(self) -> bool:
        seals = self.seals
        return not (self.findings or seals.altered or seals.incomplete or self.rolled_back)

    @property
    def is_altered(self) -> bool:
        """True when something is not as it was written."""
        return bool(self.seals.altered) or any(not one.is_missing for one in self.findings)

    def find(
        self, segment: Segment, line: int | None, what: str, *, is_missing: bool = False
    ) -> None:
        if len(self.findings) < FINDINGS_MOST:
            self.findings.append(Finding(segment.name, line, what, is_missing))
        else:
            self.findings_left_out += 1


class _Record(msgspec.Struct, frozen=True):
    """What is asked of any record; bookkeeping says more."""

    kind: str
    writer: str | None = None
    before: int | None = None
    reason: str | None = None
    count: int | None = None
    lane: str | None = None


class _Kind(msgspec.Struct, frozen=True, gc=False):
    """What every record has, and nothing is asked of."""

    kind: str


_read_any = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_read_record = msgspec.json.Decoder(_Record).decode
_read_kinds = msgspec.json.Decoder(_Kind).decode_lines
_BOOKKEEPING = (b'{"kind":"bus:',)


def verify_journal(
    state: Path,
    *,
    key: VerificationKey | None = None,
    anchors: Iterable[Anchor] = (),
    disk: Disk = SYSTEM_DISK,
) -> Verified:
    """Read every segment of a state directory, and every seal; nothing is changed.

    Without `key` seals are held against each other and the lines alone: who
    could write the directory may have made them all anew. What stood in an
    anchor must still be there.
    """
    directory = state / "journal"
    sealed = read_sealed(state, disk)  # first: what is written meanwhile is no finding
    verified = Verified(cut=sorted(n for n in disk.names(directory) if n.endswith(".torn")))
    for segments in segments_by_writer(segments_in(directory, disk)).values():
        verified.writers += 1
        _Writer(verified, disk).check(segments)
    verified.seals = _checked(sealed, key, verified.written, disk)
    for _ in range(LOOKS_AGAIN):
        before, sealed = sealed, read_sealed(state, disk)
        if not verified.seals.is_amiss or sealed.state_of_it == before.state_of_it:
            break
        again = _checked(sealed, key, verified.written, disk)
        verified.seals = found_by_both(verified.seals, again)
    verified.rolled_back = [span for anchor in anchors for span in compare(sealed, anchor)]
    return verified


def _checked(sealed: Sealed, key: VerificationKey | None, written: set[str], disk: Disk) -> Checked:
    if not sealed.has_any:
        return Checked()
    by_writer = segments_by_writer(segments_in(sealed.state / "journal", disk))
    stops = {
        one.name: valid_end(one, after, disk)
        for segments in by_writer.values()
        for one, after in pairwise(segments)
    }
    return check_seals(sealed, key=key, stops=stops, written=written, disk=disk)


class _Writer:
    """One writer's segments in order, and how many records it has by now."""

    def __init__(self, verified: Verified, disk: Disk) -> None:
        self._verified = verified
        self._disk = disk
        self._records: int | None = None
        """None until a record has said how many stand before it."""

    def check(self, segments: list[Segment]) -> None:
        for segment, after in [*pairwise(segments), (segments[-1], None)]:
            self._verified.segments += 1
            try:
                self._check_segment(segment, after)
            except FileNotFoundError:  # pruned meanwhile; if it was not, its seals say so
                self._verified.segments -= 1
                self._records = None
            except OSError as error:
                self._verified.find(segment, None, f"cannot be read: {error.strerror}")

    def _check_segment(self, segment: Segment, after: Segment | None) -> None:
        number = 0
        for blob in self._blobs(segment, after):
            count = _plain_records(blob) if number else 0
            if count:
                self._records = None if self._records is None else self._records + count
                number += count
                continue
            for line in blob.split(b"\n")[:-1]:
                number += 1
                self._check_line(segment, number, line)
        self._verified.records += number
        if number == 0 and not self._is_live(segment):
            self._verified.find(segment, None, "holds no record")

    def _blobs(self, segment: Segment, after: Segment | None) -> Iterator[bytes]:
        """The whole lines that count, many at a time; an end without a newline is judged."""
        stop = valid_end(segment, after, self._disk)
        fd = self._disk.open(segment.path, os.O_RDONLY)
        rest, offset = b"", 0
        try:
            while True:
                size = READ_BYTES if stop is None else min(READ_BYTES, stop - offset)
                part = self._disk.pread(fd, size, offset) if size > 0 else b""
                if not part:
                    break
                offset += len(part)
                blob = rest + part
                end = blob.rfind(b"\n") + 1
                rest = blob[end:]
                if end:
                    yield blob[:end]
        finally:
            self._disk.close(fd)
        self._verified.bytes += offset
        if stop is not None and offset < stop:
            self._verified.find(segment, None, f"is {stop - offset} bytes shorter than it was")
        if (after is None or rest) and self._is_live(segment):
            self._verified.being_written += 1
            self._verified.written.add(segment.name)
        elif rest:
            what = f"ends in {len(rest)} bytes of a line that was not finished"
            self._verified.torn.append(Finding(segment.name, None, what))

    def _check_line(self, segment: Segment, number: int, line: bytes) -> None:
        try:
            if not line.startswith(_BOOKKEEPING):
                _read_any(line)
                record = None
            else:
                record = _read_record(line)
        except UNREADABLE:
            self._verified.find(segment, number, f"is no record: {line[:40]!r}")
            record = None
        if number == 1 and (record is None or record.kind != "bus:open"):
            self._verified.find(segment, number, "is no bus:open, which begins every segment")
        if record is not None:
            self._check_record(segment, number, record)
        if self._records is not None:
            self._records += 1

    def _check_record(self, segment: Segment, number: int, record: _Record) -> None:
        if record.kind == "bus:gap":
            gap = Gap(reason=record.reason or "", count=record.count or 0, lane=record.lane)
            self._verified.gaps.append(gap)
        if record.kind not in ("bus:open", "bus:close"):
            return
        if record.writer != segment.writer:
            self._verified.find(segment, number, f"is of another writer: {record.writer!r}")
        if record.before is None or record.before < 0:  # closed by somebody who had not counted
            return
        if self._records is not None and record.before != self._records:
            is_missing = record.before > self._records and number == 1
            what = _miscount(self._records, record.before)
            self._verified.find(segment, number, what, is_missing=is_missing)
        self._records = record.before

    def _is_live(self, segment: Segment) -> bool:
        """True while its writer holds the segment's lock."""
        fd = self._disk.open(segment.path, os.O_RDONLY)
        try:
            return not self._disk.lock(fd)
        finally:
            self._disk.close(fd)


def _plain_records(blob: bytes) -> int:
    """How many lines these are, if all are records of the app's; else each is looked at."""
    if b'{"kind":"bus:' in blob:
        return 0
    try:
        found = _read_kinds(blob)
    except UNREADABLE:
        return 0
    return len(found) if len(found) == blob.count(b"\n") else 0


def _miscount(found: int, said: int) -> str:
    if said > found:
        return f"says {said} records stand before it, where {found} do: {said - found} are missing"
    return f"says {said} records stand before it, where {found} do: {found - said} were added"
