"""`eventbus ingest` takes foreign logs in, and `export` gives them back."""

import csv
import os
import sys
from collections.abc import Callable
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import msgspec
import pytest

from eventbus.bus import EventBus
from eventbus.frontends.cli import exits
from tests.frontends.console import Here, Ran, running

LOG = (
    b"2024-12-19T14:30:00.001Z|app:start|main|version=0.1.0\n"
    b"2024-12-19T14:32:01.015Z|websocket:connect|websockets|session_id=abc123\r\n"
    b"\xffruin \x1b[2J\n"
    b"2024-12-19T14:32:03.533Z|llm:response|agent|=1+1"
)

Ask = Callable[..., Ran]


@pytest.fixture
def log(here: Here) -> Path:
    path = here.directory / "old.log"
    path.write_bytes(LOG)
    at_rest(path)
    return path


def at_rest(path: Path) -> None:
    """Let it be long that anybody wrote: a line without an end is not waited for."""
    os.utime(path, (0, 0))


def written(here: Here, monkeypatch: pytest.MonkeyPatch, *args: str) -> bytes:
    """What a command writes, byte for byte."""
    out = TextIOWrapper(BytesIO())
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", out)
        here(*args)
    out.flush()
    return out.buffer.getvalue()  # type: ignore[attr-defined,no-any-return]  # a BytesIO


def test_a_log_is_taken_in_and_counted(here: Here, log: Path) -> None:
    told = here("ingest", "old.log", "--json")

    assert told.code == exits.OK
    assert {name: told.json[name] for name in ("path", "lines", "unparsed", "emitted")} == {
        "path": str(log),
        "lines": 4,
        "unparsed": 1,
        "emitted": 4,
    }


def test_each_line_is_taken_once(here: Here, log: Path) -> None:
    here("ingest", "old.log")
    log.write_bytes(LOG + b"\n2024-12-19T14:33:00.000Z|app:shutdown|main|\n")
    at_rest(log)

    told = here("ingest", "old.log", "--json").json

    # The line that had no end has one now, and is another.
    assert (told["lines"], told["emitted"]) == (5, 2)


def test_it_waits_until_all_has_landed(
    here: Here, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing a bus drains it for some seconds only; a log may take longer."""
    close = EventBus.close
    monkeypatch.setattr(EventBus, "close", lambda bus, grace=None: close(bus, 0.0))

    here("ingest", "old.log")

    assert here("search", "--all", "--json").json["items"][-1]["message"] == "version=0.1.0"


def test_what_was_ingested_is_shown_and_listed(here: Here, log: Path) -> None:
    first = here("ingest", "old.log")

    path = str(log)
    assert first.lines == [
        f"{'file'.ljust(len(path))}  lines  new  unparsed   size",
        f"{path}      4    4         1  {len(LOG)} B",
    ]
    assert here("ingest", "--list").lines[1].startswith(f"{path}      4         1  {len(LOG)} B  ")
    assert here("ingest", "--list", "--json").json["lines"] == 4


def test_a_refused_file_keeps_no_other_from_being_taken(here: Here, log: Path) -> None:
    told = here("ingest", "none.log", "old.log", ".state/journal", "--json")

    assert told.code == exits.FINDING
    assert told.json["lines"] == 4
    assert [line.split(":")[0] for line in told.err.splitlines()] == ["eventbus"] * 2
    assert "cannot read none.log" in told.err


@pytest.mark.parametrize("args", [(), ("old.log", "--list")])
def test_it_is_either_files_or_their_list(here: Here, args: tuple[str, ...]) -> None:
    assert here("ingest", *args).code == exits.WRONG_USE


def test_nothing_ingested_is_said(ask: Ask) -> None:
    assert ask("ingest", "--list").out == "nothing was ingested\n"
    assert ask("ingest", "--list", "--json").out == ""


@pytest.mark.slow
def test_while_another_process_lands_events_it_is_told_who_does(here: Here, log: Path) -> None:
    with running("up", cwd=here.directory, until="Ctrl-C ends it"):
        told = here("ingest", "old.log")

    assert "eventbus: the lines are in the journal; process " in told.err


def test_an_ingested_file_is_given_back_byte_for_byte(
    here: Here, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here("ingest", "old.log")
    fingerprint = here("ingest", "--list", "--json").json["file"]
    log.rename("gone.log")

    assert written(here, monkeypatch, "export", "--ingested", "old.log") == LOG
    assert written(here, monkeypatch, "export", "--ingested", fingerprint) == LOG


def test_events_are_exported_as_flat_lines(ask: Ask) -> None:
    told = ask("export", "--kind", "session:*", "--session", "s-bob")

    assert told.lines == [
        "2026-11-19T12:00:00.000Z|session:create|worker|cli_tool=claude-code persona=coder",
        "2026-11-19T12:01:00.000Z|session:end|worker|reason=done",
    ]


@pytest.mark.parametrize("form", [("--json",), ("--format", "jsonl")])
def test_events_are_exported_as_json_lines(ask: Ask, form: tuple[str, ...]) -> None:
    lines = ask("export", "--since", "2026-11-20T12:01:40Z", *form).lines

    assert [msgspec.json.decode(line)["event_type"] for line in lines] == [
        "llm:response",
        "error:tool",
        "tool:start",
        "disk:watch",
    ]


def test_events_are_exported_as_csv_no_spreadsheet_runs(here: Here, log: Path) -> None:
    here("ingest", "old.log")
    until = ("--until", "2025-01-01")

    def last_message(*args: str) -> str:
        return list(csv.DictReader(StringIO(here("export", *args, *until).out)))[-1]["message"]

    assert last_message("--format", "csv") == "'=1+1"
    assert last_message("--format", "csv", "--formulas") == "=1+1"


def test_what_is_exported_is_as_it_was_recorded_and_shown_inert_on_a_terminal(
    ask: Ask, terminal: Callable[[int], None]
) -> None:
    piped = ask("export", "--since", "2026-11-20T12:01:40Z", "--json").out
    terminal(80)
    shown = ask("export", "--since", "2026-11-20T12:01:40Z", "--json").out

    assert "\u202e" in piped
    assert not set(shown) & set("\x1b\x9b\u202e")
    assert list(map(msgspec.json.decode, shown.splitlines())) == list(
        map(msgspec.json.decode, piped.splitlines())
    )


def test_an_ingested_file_is_shown_inert_on_a_terminal(
    here: Here, log: Path, terminal: Callable[[int], None]
) -> None:
    here("ingest", "old.log")
    terminal(80)

    lines = here("export", "--ingested", "old.log").lines

    assert lines[2] == "\\xffruin \\u001b[2J"


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("--ingested", "none.log"), "eventbus: no file 'none.log' was ingested;"),
        (("--ingested", "x", "--json"), "eventbus: --ingested gives a whole file;"),
        (("--json", "--format", "csv"), "eventbus: --json is --format jsonl, and not 'csv'"),
        (("--format", "xml"), "eventbus: invalid value for '--format'"),
    ],
)
def test_what_cannot_be_exported_is_refused(ask: Ask, args: tuple[str, ...], sentence: str) -> None:
    told = ask("export", *args)

    assert told.code == exits.WRONG_USE
    assert told.err.startswith(sentence)
