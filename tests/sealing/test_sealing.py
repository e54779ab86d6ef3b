"""Lines are sealed as they are written, and whoever died is ended by the next."""

import stat
from pathlib import Path

import pytest

from eventbus import EventBus, JournalSettings
from eventbus.disk import SYSTEM_DISK
from eventbus.event import encode
from eventbus.events.error import IoFailed
from eventbus.events.file import FileWritten
from eventbus.kinds import CRITICAL_KINDS, CRITICAL_TOPICS, is_critical_line
from eventbus.sealing.keys import VerificationKey, take_key, verification_key
from eventbus.testing import FaultyDisk
from tests.letters import LetterSent, letters
from tests.sealing.journals import (
    BLOCK_LINES,
    NoSync,
    Pens,
    SealsFail,
    flaws,
    seal_lines,
    segments_of,
    verified,
)


@pytest.fixture
def pens(tmp_path: Path) -> Pens:
    (tmp_path / "state").mkdir()
    return Pens(tmp_path / "state")


def test_a_second_of_lines_becomes_a_block(pens: Pens) -> None:
    journal = pens.open()
    pens.block(journal, 3)
    pens.block(journal, 5)
    journal.end({})

    [segment] = segments_of(pens.state)
    begun, one, two, last, ended = seal_lines(segment)
    assert (begun["seal"], begun["start"], begun["of"]) == ("begin", 0, segment.name)
    assert (one["first"], one["last"], two["first"], two["last"]) == (1, 4, 5, 9)
    assert (last["first"], last["last"], last["end"]) == (10, 10, segment.stat().st_size)
    assert (ended["seal"], ended["why"]) == ("end", "closed")
    assert [record["epoch"] for record in (begun, one, two, last, ended)] == [0, 1, 2, 3, 4]


def test_a_block_is_sealed_at_once_when_it_holds_a_thousand_critical_lines(pens: Pens) -> None:
    journal = Pens(pens.state, segment_bytes=1 << 20).open()
    lines = [encode(FileWritten(path=str(n))) + b"\n" for n in range(1_000)]

    journal.append(lines, len(lines))
    journal.sync()

    [segment] = segments_of(pens.state)
    assert [record["seal"] for record in seal_lines(segment)] == ["begin", "block"]
    journal.end({})


def test_what_is_not_critical_begins_no_chain(tmp_path: Path) -> None:
    with EventBus(tmp_path) as bus:
        for letter in letters(50):
            bus.emit_nowait(letter)

    assert not list(tmp_path.rglob("*.seals"))
    assert not (tmp_path / "seal.key").exists()
    assert flaws(tmp_path) == []


def test_what_stood_before_the_first_critical_line_is_sealed_with_it(tmp_path: Path) -> None:
    with EventBus(tmp_path) as bus:
        for letter in letters(50):
            bus.emit_nowait(letter)
        bus.emit_nowait(FileWritten(path="a"))

    assert verified(tmp_path).seals.lines == 53


def test_sealing_can_be_turned_off(tmp_path: Path) -> None:
    with EventBus(tmp_path, journal=JournalSettings(seal=False)) as bus:
        bus.emit_nowait(FileWritten(path="a"))

    assert not list(tmp_path.rglob("*seal*"))


def test_every_run_is_proven_by_the_key_from_before_the_first(pens: Pens) -> None:
    for _ in range(4):
        pens.run(blocks=12)

    found = verified(pens.state, pens.key)

    assert flaws(pens.state, pens.key) == []
    assert found.seals.authentic == found.seals.blocks > 40
    lines = [line for path in segments_of(pens.state) for line in path.read_bytes().splitlines()]
    sealed = [one for path in segments_of(pens.state) for one in seal_lines(path)]
    assert sum(map(is_critical_line, lines)) == sum(one.get("critical", 0) for one in sealed)


def test_a_later_key_proves_what_came_later(pens: Pens) -> None:
    pens.run(blocks=2)
    later = verification_key(pens.state, SYSTEM_DISK)
    pens.run(blocks=3)

    found = verified(pens.state, later)

    assert flaws(pens.state, later) == []
    assert 0 < found.seals.authentic < found.seals.blocks


def test_another_key_proves_nothing(pens: Pens) -> None:
    pens.run(blocks=2)

    found = verified(pens.state, VerificationKey(0, bytes(32)))

    assert {what for *_, what in flaws(pens.state, VerificationKey(0, bytes(32)))} >= {
        "is not of the verification key"
    }
    assert found.seals.authentic == 0


def test_no_key_of_the_past_is_left(pens: Pens) -> None:
    """All that is kept cannot make the seal of a line that is sealed already."""
    pens.run(blocks=3)

    first = pens.key.key.hex()
    for path in pens.state.rglob("*"):
        if path.is_file():
            assert first not in path.read_text()
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list((pens.state / "run").glob("seal-*.key"))


def test_lines_behind_the_last_seal_of_one_who_died_are_told(pens: Pens) -> None:
    pens.die(blocks=2, unsealed=4)

    found = verified(pens.state, pens.key)

    [segment] = segments_of(pens.state)
    assert flaws(pens.state, pens.key) == []
    assert [(one.place, one.what) for one in found.seals.unsealed] == [
        (f"{segment.name}:14-17", "was left unsealed")
    ]


def test_the_next_run_seals_them_late_and_says_so(pens: Pens) -> None:
    pens.die(blocks=2, unsealed=4)
    died = segments_of(pens.state)[0]
    pens.run(blocks=1)

    found = verified(pens.state, pens.key)

    assert flaws(pens.state, pens.key) == []
    [late] = found.seals.unsealed
    assert (late.file, late.first, late.last) == (died.name, 14, 18)
    assert late.what.startswith("was sealed late, as it was found at 2026-01-01")
    assert seal_lines(died)[-1]["why"] == "mended"


def test_a_seal_that_a_crash_left_half_is_cut(pens: Pens) -> None:
    pens.die(blocks=2)
    seals = next((pens.state / "journal").glob("*.seals"))
    with seals.open("ab") as file:
        file.write(b'{"seal":"block","chain":0,"epo')
    assert flaws(pens.state, pens.key) == []

    pens.run(blocks=1)

    assert flaws(pens.state, pens.key) == []


def test_a_seal_that_the_disk_refuses_is_tried_again(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    pens = Pens(state)
    pens.disk = disk = FaultyDisk()  # type: ignore[assignment]
    journal = pens.open()
    pens.block(journal)

    disk.fail("write")
    pens.block(journal)
    pens.block(journal)
    journal.end({})

    assert flaws(state, pens.key) == []
    assert verified(state, pens.key).seals.unsealed == []


def test_a_disk_that_refuses_seals_is_told_of_once(tmp_path: Path) -> None:
    (tmp_path / "seal.key").mkdir()
    pens = Pens(tmp_path / "other")
    pens.state = tmp_path

    journal = pens.open()
    for _ in range(3):
        pens.block(journal)
        journal.look()

    [told] = journal.mended
    assert isinstance(told, IoFailed)
    assert told.type == "SealFailed"
    assert told.message.startswith("cannot seal 2026")
    journal.end({})
    assert verified(tmp_path).is_whole


@pytest.mark.parametrize("nth", range(1, 70, 2))
def test_a_call_on_seals_that_fails_costs_no_line_and_no_proof(tmp_path: Path, nth: int) -> None:
    pens = Pens(tmp_path, segment_bytes=2_000)
    pens.disk = SealsFail(nth)

    pens.run(blocks=4)
    pens.run(blocks=4)
    pens.disk = NoSync()
    pens.run(blocks=4)

    found = verified(tmp_path, pens.key)
    assert flaws(tmp_path, pens.key) == []
    assert found.records >= 12 * BLOCK_LINES


def test_chains_of_two_who_write_at_once_have_numbers_of_their_own(pens: Pens) -> None:
    one, two = pens.open(), pens.open()
    for _ in range(3):
        pens.block(one)
        pens.block(two)
    one.end({})
    two.end({})

    assert flaws(pens.state, pens.key) == []
    assert verified(pens.state, pens.key).seals.chains >= 2


def test_a_number_that_came_to_nothing_is_declared_by_the_next(pens: Pens) -> None:
    """The process died between taking the number and its first record."""
    pens.run(blocks=1)
    taken = take_key(
        pens.state, Path("journal/never.jsonl.seals"), disk=pens.disk, is_begun=lambda _: False
    )
    assert flaws(pens.state, pens.key) == []

    pens.run(blocks=1)

    assert flaws(pens.state, pens.key) == []
    begun = [one for one in seal_lines(segments_of(pens.state)[0]) if one["seal"] == "begin"]
    assert begun[-1]["lost"] == [taken.chain]


def test_critical_lines_are_told_by_their_heads() -> None:
    for kind in [*CRITICAL_KINDS, *(f"{topic}:x" for topic in CRITICAL_TOPICS)]:
        assert is_critical_line(b'{"kind":"%s","id":"1"}' % kind.encode())
    assert is_critical_line(encode(FileWritten(path="a")))
    assert not is_critical_line(encode(LetterSent(n=1)))
    assert not is_critical_line(b'{"kind":"files:write","id":"1"}')
    assert not is_critical_line(b'{"kind":"llm:responses","id":"1"}')


def test_a_segment_taken_up_again_is_sealed_on(pens: Pens) -> None:
    pens.run(blocks=1)
    pens.run(blocks=1)

    [segment] = segments_of(pens.state)
    records = seal_lines(segment)
    assert [record["chain"] for record in records if record["seal"] == "begin"] == [0, 1]
    begun = [record for record in records if record["seal"] == "begin"][1]
    assert begun["lines"] == segment.read_bytes()[: begun["start"]].count(b"\n")
    assert flaws(pens.state, pens.key) == []


def prune(pens: Pens, keep_bytes: int) -> None:
    journal = pens.open()
    journal.settings = JournalSettings(keep_bytes=keep_bytes)
    journal.prune()
    journal.end({})


def test_pruned_segments_are_declared(pens: Pens) -> None:
    pens.run(blocks=20)
    before = {path.name for path in segments_of(pens.state)}

    prune(pens, keep_bytes=9_000)

    gone = before - {path.name for path in segments_of(pens.state)}
    found = verified(pens.state, pens.key)
    assert len(gone) >= 2
    assert flaws(pens.state, pens.key) == []
    assert {one.file for one in found.seals.declared} == gone
    assert not [one for one in gone if (pens.state / "journal" / f"{one}.seals").exists()]


def test_a_segment_deleted_by_hand_is_missing(pens: Pens) -> None:
    pens.run(blocks=20)
    for path in segments_of(pens.state)[:1]:
        path.unlink()
        path.with_name(path.name + ".seals").unlink()

    found = verified(pens.state, pens.key)

    assert (found.is_whole, found.is_altered) == (False, False)
    assert "chain 0 is gone, with what was sealed" in [what for *_, what in flaws(pens.state)]


def test_what_cannot_be_declared_is_not_pruned(pens: Pens) -> None:
    pens.run(blocks=20)
    before = segments_of(pens.state)
    (pens.state / "declared.seals").mkdir()

    prune(pens, keep_bytes=9_000)

    assert set(before) <= set(segments_of(pens.state))
