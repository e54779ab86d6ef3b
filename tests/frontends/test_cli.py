"""What all commands have in common."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eventbus.bus import EventBus
from eventbus.events import LogLine
from eventbus.frontends.cli import COMMANDS, exits
from tests.frontends.console import ROOT, Here, start


def test_help_tells_every_command_with_those_used_most_first(here: Here) -> None:
    told = here("--help")

    places = [told.out.index(f"\n  {name} ") for name in COMMANDS]
    assert told.code == exits.OK
    assert places == sorted(places)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(here: Here, name: str) -> None:
    told = here(name, "--help")

    assert told.code == exits.OK
    assert f"Usage: eventbus {name}" in told.out


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "version"])
def test_every_command_has_examples(here: Here, name: str) -> None:
    assert f"  eventbus {name}" in here(name, "--help").out.partition("Examples:")[2]


def test_no_command_at_all_gets_help(here: Here) -> None:
    assert "Usage: eventbus" in here().out + here().err


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("dance",), "eventbus: no such command 'dance'"),
        (("tail", "--loud"), "eventbus: no such option"),
        (("read", "--kind", "to*"), "eventbus: invalid value for '--kind': cannot filter by 'to*'"),
        (
            ("read", "--since", "soon"),
            "eventbus: invalid value for '--since': not a moment: 'soon'",
        ),
        (("read", "--limit", "-1"), "eventbus: invalid value for '-n' / '--limit'"),
        (("read", "--state", "nowhere"), "eventbus: no state directory"),
        (("sinks", "jsnl"), "eventbus: no sink named 'jsnl'; installed: audit,"),
        (("up", "--sinks", "jsnl"), "eventbus: no sink named 'jsnl' (--sinks); installed: audit,"),
    ],
)
def test_wrong_use_is_told_in_one_sentence(
    here: Here, args: tuple[str, ...], sentence: str
) -> None:
    told = here(*args)

    assert told.code == exits.WRONG_USE
    assert told.err.startswith(sentence)
    assert told.err.count("\n") == 1
    assert told.out == ""


def test_a_wrong_setting_is_told_in_one_sentence(here: Here) -> None:
    (here.directory / "eventbus.toml").write_text("stat = 1")

    told = here("config")

    assert told.code == exits.WRONG_USE
    assert told.err.startswith("eventbus: no setting 'stat' (eventbus.toml:1); allowed:")


def test_a_settings_file_is_named_by_a_flag(here: Here) -> None:
    (here.directory / "mine.toml").write_text('state = "kept"')

    told = here("config", "--config", "mine.toml", "--json")

    assert told.json["file"] == str(here.directory / "mine.toml")


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told_in_one_sentence(here: Here) -> None:
    (here.state / "journal").mkdir(parents=True, mode=0)

    told = here("verify")

    assert (told.code, told.err.count("\n")) == (exits.STATE_UNUSABLE, 1)


def test_a_state_directory_that_cannot_be_made_is_told_in_one_sentence(here: Here) -> None:
    (here.directory / "file").write_text("")

    told = here("up", "--state", "file/inside")

    assert told.code == exits.STATE_UNUSABLE
    assert told.err.startswith("eventbus: cannot open the journal in ")
    assert told.err.count("\n") == 1


def test_an_output_that_is_closed_early_is_no_trouble(tmp_path: Path) -> None:
    with EventBus(tmp_path / ".state") as bus:
        for number in range(5_000):
            bus.emit_nowait(LogLine(event_type="a:b", message=f"{number} {'x' * 50}"))

    reading = start("read", cwd=tmp_path)
    assert reading.stdout is not None
    first = reading.stdout.readline()
    reading.stdout.close()
    assert reading.stderr is not None
    said = reading.stderr.read()
    reading.stderr.close()

    assert "0 xxx" in first
    assert reading.wait(10) == exits.PIPE_CLOSED
    assert said == ""


def test_an_output_that_knows_no_unicode_gets_escapes(tmp_path: Path) -> None:
    with EventBus(tmp_path / ".state") as bus:
        bus.emit_nowait(LogLine(event_type="a:b", message="grüße"))

    reading = start("read", cwd=tmp_path, PYTHONIOENCODING="ascii")

    assert "gr\\xfc\\xdfe" in reading.communicate(timeout=10)[0]


def test_exit_codes_are_documented() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()

    assert all(f"| {code} | {says} |" in page for code, says in exits.CODES.items())


def test_the_page_of_the_commands_is_current() -> None:
    """`python scripts/generate_cli_page.py` writes it."""
    made = subprocess.run(
        [sys.executable, ROOT / "scripts" / "generate_cli_page.py", "--print"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )

    assert made.stdout == (ROOT / "docs" / "cli.md").read_text()


def test_the_version_is_told(here: Here) -> None:
    assert here("version").out.startswith("eventbus ")
    assert here("version", "--json").json.keys() == {"eventbus", "python", "platform"}
