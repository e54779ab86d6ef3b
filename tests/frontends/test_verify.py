from pathlib import Path

import pytest

from eventbus.bus import EventBus
from eventbus.events import LogLine
from eventbus.events.bus import GapLeft
from eventbus.frontends.cli import exits
from eventbus.journal import JournalSettings
from eventbus.verify import verify_journal
from tests.frontends.console import Here


def fill(state: Path, *, events: int = 10, segment_bytes: int = 64 * 2**20) -> None:
    with EventBus(state, journal=JournalSettings(segment_bytes=segment_bytes)) as bus:
        for number in range(events):
            bus.emit_nowait(LogLine(event_type="a:b", message=str(number)))
            bus.flush_now(until="synced")


def segments(state: Path) -> list[Path]:
    return sorted((state / "journal").glob("*.jsonl"))


@pytest.fixture
def kept(here: Here) -> Here:
    fill(here.state)
    return here


def test_a_journal_as_it_was_written_is_whole(kept: Here) -> None:
    told = kept("verify")

    assert told.code == exits.OK
    assert told.out.startswith("whole: 12 records in 1 segment of 1 writer, ")


def test_runs_one_after_the_other_are_whole(here: Here) -> None:
    for _ in range(3):
        fill(here.state)

    assert here("verify").code == exits.OK


def test_several_segments_are_whole(here: Here) -> None:
    fill(here.state, events=40, segment_bytes=1_000)

    verified = verify_journal(here.state)

    assert verified.segments > 3
    assert verified.is_whole


def test_pruned_segments_are_no_finding(here: Here) -> None:
    fill(here.state, events=40, segment_bytes=1_000)
    for old in segments(here.state)[:2]:
        old.unlink()

    assert here("verify").code == exits.OK


def test_a_journal_that_is_being_written_is_whole(here: Here) -> None:
    with EventBus(here.state) as bus:
        bus.emit_nowait(LogLine(event_type="a:b"))
        bus.flush_now()

        verified = verify_journal(here.state)

    assert (verified.is_whole, verified.being_written) == (True, 1)


def test_a_line_that_was_taken_out_is_found(kept: Here) -> None:
    [segment] = segments(kept.state)
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(lines[:4] + lines[6:]))

    told = kept("verify")

    assert told.code == exits.FINDING
    assert f"altered  {segment.name}:10 says 11 records stand before it, where 9 do" in told.out
    assert "2 are missing" in told.out


def test_a_line_that_was_put_in_is_found(kept: Here) -> None:
    [segment] = segments(kept.state)
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join([*lines[:4], lines[3], *lines[4:]]))

    assert "1 were added" in kept("verify").out


def test_a_line_that_is_no_record_is_found(kept: Here) -> None:
    [segment] = segments(kept.state)
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[5] = b"\x00\x1b[2J" + lines[5][4:]
    segment.write_bytes(b"".join(lines))

    told = kept("verify")

    assert told.code == exits.FINDING
    assert f"{segment.name}:6 is no record" in told.out
    assert "\x1b" not in told.out


def test_a_segment_in_the_middle_that_is_gone_is_found(here: Here) -> None:
    fill(here.state, events=40, segment_bytes=1_000)
    gone = segments(here.state)[1]
    gone.unlink()

    verified = verify_journal(here.state)

    assert [finding.line for finding in verified.findings] == [1]
    assert "are missing" in verified.findings[0].what


def test_a_segment_that_was_cut_is_found(here: Here) -> None:
    fill(here.state, events=40, segment_bytes=1_000)
    first = segments(here.state)[0]
    first.write_bytes(first.read_bytes()[:-300])

    assert here("verify").code == exits.FINDING


def test_a_segment_of_another_writer_is_found(kept: Here) -> None:
    [segment] = segments(kept.state)
    segment.rename(segment.with_name(f"{segment.stem[:-8]}0000aaaa.jsonl"))

    assert "is of another writer" in kept("verify").out


def test_an_empty_segment_is_found(kept: Here) -> None:
    (kept.state / "journal" / "20261120T100000000000-0000aaaa.jsonl").touch()

    assert "holds no record" in kept("verify").out


@pytest.mark.parametrize("tail", [b'{"kind":"a:', b"\x00" * 100])
def test_a_torn_end_alone_has_an_exit_code_of_its_own(kept: Here, tail: bytes) -> None:
    [segment] = segments(kept.state)
    with segment.open("ab") as file:
        file.write(tail)

    told = kept("verify")

    assert told.code == exits.TORN
    assert f"torn     {segment.name} ends in {len(tail)} bytes" in told.out


def test_a_torn_end_that_was_cut_is_told_and_no_finding(kept: Here) -> None:
    [segment] = segments(kept.state)
    with segment.open("ab") as file:
        file.write(b'{"kind":"a:')
    fill(kept.state)

    told = kept("verify")

    assert told.code == exits.OK
    assert "keeps a torn end that was cut off" in told.out


def test_a_hole_that_was_declared_is_told_and_no_finding(here: Here) -> None:
    with EventBus(here.state) as bus:
        bus.emit_own(GapLeft(reason="inbox full", count=7))
        bus.emit_own(GapLeft(reason="pruned", count=1, lane="nats"))

    told = here("verify")

    assert told.code == exits.OK
    assert "gap      7 events, inbox full: missed by everybody" in told.out
    assert "gap      1 event, pruned: missed by lane nats" in told.out


def test_what_was_found_can_be_had_as_json(kept: Here) -> None:
    told = kept("verify", "--json")

    assert (told.json["records"], told.json["findings"]) == (12, [])


def test_verifying_changes_nothing(kept: Here) -> None:
    [segment] = segments(kept.state)
    with segment.open("ab") as file:
        file.write(b"torn")
    before = {path: path.read_bytes() for path in kept.state.rglob("*") if path.is_file()}

    kept("verify")

    assert {path: path.read_bytes() for path in before} == before


def test_a_ruined_segment_does_not_flood_the_list(kept: Here) -> None:
    [segment] = segments(kept.state)
    segment.write_bytes(b"ruin\n" * 5_000)

    verified = verify_journal(kept.state)

    assert len(verified.findings) == 1_000
    assert verified.findings_left_out == 4_001
