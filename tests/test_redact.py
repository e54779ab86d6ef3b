"""Where secrets are taken out, and what happens when that fails."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventbus import EventBus, UnknownEvent, read_journal
from eventbus.redact import redacted
from sinks.memory import MemorySink
from tests.letters import PATIENCE, LetterSent, letters, numbers

LINES = [b'{"kind":"a:b","id":"1","n":1,"key":"s3cret"}', b'{"kind":"a:b","id":"2","n":2}']


def without_secrets(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b"s3cret", b"***") for line in lines]


def test_lines_come_out_as_the_redactor_gives_them() -> None:
    assert redacted(LINES, without_secrets) == [LINES[0].replace(b"s3cret", b"***"), LINES[1]]


def trips_over_secrets(lines: list[bytes]) -> list[bytes]:
    if any(b"s3cret" in line for line in lines):
        raise ValueError("s3cret")
    return lines


def loses_one(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if b"s3cret" not in line]


def breaks_the_line(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b"s3cret", b"s3\ncret") for line in lines]


@pytest.mark.parametrize("redactor", [trips_over_secrets, loses_one, breaks_the_line])
def test_a_line_it_fails_on_keeps_its_header_and_nothing_else(redactor: Any) -> None:
    first, second = redacted(LINES, redactor)

    assert second == LINES[1]
    kept = msgspec.json.decode(first)
    assert set(kept) == {"kind", "id", "withheld"}
    assert kept["kind"] == "a:b"
    assert b"cret" not in first


@pytest.mark.parametrize("line", [b"s3cret", b'["kind","s3cret"]', b'"id s3cret"'])
def test_a_line_that_is_no_record_keeps_nothing_then(line: bytes) -> None:
    (kept,) = redacted([line], trips_over_secrets)

    assert b"s3cret" not in kept
    assert b"withheld" in kept


def test_neither_the_journal_nor_a_sink_sees_what_was_taken_out(tmp_path: Path) -> None:
    class Lines(MemorySink):
        lines: list[bytes] = []

        async def write(self, batch: Any) -> None:
            self.lines = self.lines + batch.lines
            await super().write(batch)

    sink = Lines()
    with EventBus(tmp_path, sinks=[sink], redact=without_secrets) as bus:
        for event in letters(100):
            bus.emit_nowait(LetterSent(n=event.n, text="my s3cret"))
        bus.flush_now(timeout=PATIENCE)

    assert {event.text for event in sink.events} == {"my ***"}  # type: ignore[attr-defined]
    assert numbers(list(read_journal(tmp_path))) == list(range(100))
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"s3cret" not in everything + b"".join(sink.lines)


def test_nor_does_a_bus_in_memory_hand_it_on() -> None:
    sink = MemorySink()

    with EventBus(None, sinks=[sink], redact=without_secrets) as bus:
        bus.emit_nowait(LetterSent(n=1, text="my s3cret"))

    assert [event.text for event in sink.events] == ["my ***"]  # type: ignore[attr-defined]


def test_a_redactor_that_always_fails_loses_no_event(tmp_path: Path) -> None:
    def fails(lines: list[bytes]) -> list[bytes]:
        raise RuntimeError

    with EventBus(tmp_path, redact=fails) as bus:
        sent = letters(20)
        for event in sent:
            bus.emit_nowait(event)
        assert bus.flush_now(timeout=PATIENCE).reached

    kept = list(read_journal(tmp_path, kinds="letter:*"))
    assert [event.id for event in kept] == [event.id for event in sent]
    assert all(isinstance(event, UnknownEvent) for event in kept)  # the payload is gone
    assert b'"n":' not in b"".join(path.read_bytes() for path in tmp_path.glob("journal/*.jsonl"))
