"""Seals written today are read, and proven, for ever.

Lines may be added to `golden.seals`, never edited or taken away: each is of a
chain whose state key is `KEY`, and was written with the key of its epoch.
"""

from datetime import UTC, datetime
from pathlib import Path

from eventbus.sealing.anchors import anchors_in
from eventbus.sealing.keys import VerificationKey, evolved, first_key
from eventbus.sealing.records import (
    Begun,
    Block,
    Ended,
    Erased,
    ErasedBlock,
    ErasedLine,
    Pruned,
    PrunedFile,
    Record,
    Renamed,
    is_authentic,
    leaf_of,
    read_records,
    write_record,
)
from eventbus.sealing.tombstones import tombstone

KEY = bytes(range(32))
HERE = Path(__file__).parent
AT = datetime(2026, 3, 10, 12, 0, 1, 234567, tzinfo=UTC)
NAME = "20260310T120000000000-0000000a.jsonl"
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
GOLDEN_KEY_2 = "f38d9bbb4990009a3f049566d08df56bc1ba33de40dd441fe16935198f4248e1"
GOLDEN_FIRST_2 = "888eccb96bf6d305005a3931d8587ba954c766e68aa544787703b1ee7c4bcad0"
GOLDEN_EVOLVED_3 = "27be1c374619fd7b7304e5bb95d312917560cfa2124fbbd2f6ae55340c6c7167"
GOLDEN_TOMBSTONE = (
    b'{"kind":"bus:erased","leaf":"3VbeQTeVHZySaBsDQW7BX4hrRIKifjpRfTLwhSRMvl0"'
    b',"id":"0198","ts":"2026-03-10T12:00:00Z","was":"file:write"'
).ljust(150) + b"}"

RECORDS: tuple[Record, ...] = (
    Begun(chain=3, of=NAME, start=120, lines=1, at=AT, lost=(1, 2), before=""),
    Block(
        chain=3,
        epoch=1,
        first=2,
        last=9,
        start=120,
        end=2_120,
        digest=DIGEST,
        leaves=DIGEST,
        critical=4,
        at=AT,
        before=DIGEST,
    ),
    Renamed(chain=3, epoch=2, named="audit-2026-03-10.jsonl", at=AT, before=DIGEST),
    Ended(chain=3, epoch=3, why="closed", at=AT, before=DIGEST),
    Pruned(
        chain=3,
        files=(PrunedFile(name=NAME, chains=(0, 4), last=DIGEST),),
        at=AT,
        before=DIGEST,
    ),
    Erased(
        chain=3,
        of=NAME,
        lines=(ErasedLine(line=4, leaf=DIGEST, critical=True, kind="file:write", id="1"),),
        blocks=(ErasedBlock(chain=0, start=0, end=2_000, digest=DIGEST),),
        where="user",
        by="root",
        why="asked for",
        at=AT,
        before=DIGEST,
    ),
)


def test_records_are_written_as_they_are_kept() -> None:
    lines = (HERE / "golden.seals").read_bytes().splitlines(keepends=True)

    written = [write_record(one, evolved(first_key(KEY), one.epoch)) for one in RECORDS]

    assert written == lines


def test_records_that_are_kept_are_read_and_proven() -> None:
    found = list(read_records((HERE / "golden.seals").read_bytes()))

    assert tuple(one.record for one in found) == RECORDS
    for one in found:
        assert one.record is not None
        assert is_authentic(one.line, evolved(first_key(KEY), one.record.epoch))
        assert not is_authentic(one.line, evolved(first_key(KEY), one.record.epoch + 1))


def test_keys_come_one_of_the_other_as_they_always_did() -> None:
    key = VerificationKey(0, KEY)

    assert key.of(2).hex() == GOLDEN_KEY_2
    assert dict(key.first_keys(3))[2].hex() == GOLDEN_FIRST_2
    assert evolved(KEY, 3).hex() == GOLDEN_EVOLVED_3
    assert VerificationKey.read(f"# ours\n{key}\n") == key


def test_a_tombstone_is_as_it_always_was() -> None:
    front = b'{"kind":"file:write","id":"0198","ts":"2026-03-10T12:00:00Z"'
    line = front + b',"path":"%s"}' % (b"x" * 80)

    assert tombstone(line, leaf=leaf_of(b"golden")) == GOLDEN_TOMBSTONE


def test_an_anchor_is_read_as_it_was_written() -> None:
    [anchor] = anchors_in((HERE / "golden.anchor").read_text())

    assert anchor.whole_text == (HERE / "golden.anchor").read_text()
    assert (anchor.next_chain, len(anchor.heads)) == (7, 2)
