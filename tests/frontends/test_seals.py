"""The commands around seals: the key handed out, and what verifying says."""

import stat
from pathlib import Path

import pytest

from eventbus.bus import EventBus
from eventbus.events.file import FileWritten
from eventbus.frontends.cli import exits
from eventbus.journal import JournalSettings
from tests.frontends.console import Here


def fill(state: Path, *, events: int = 10, segment_bytes: int = 64 * 2**20) -> None:
    with EventBus(state, journal=JournalSettings(segment_bytes=segment_bytes)) as bus:
        for number in range(events):
            bus.emit_nowait(FileWritten(path=f"src/{number}.py"))
            bus.flush_now(until="synced")


def segments(state: Path) -> list[Path]:
    return sorted((state / "journal").glob("*.jsonl"))


@pytest.fixture
def sealed(here: Here) -> Here:
    """A journal that is sealed, and `seal.txt` with its key beside the state directory."""
    here("seal-key", "--out", str(here.directory / "seal.txt"))
    fill(here.state, events=40, segment_bytes=3_000)
    return here


def key_of(here: Here) -> tuple[str, str]:
    return "--key", str(here.directory / "seal.txt")


def test_the_key_is_shown_or_written_for_oneself_alone(here: Here) -> None:
    shown = here("seal-key").out
    told = here("seal-key", "--out", str(here.directory / "seal.txt"))

    file = here.directory / "seal.txt"
    assert shown.startswith("eventbus-seal-key:0:")
    assert file.read_text() == shown
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (told.code, told.err) == (exits.OK, "")


def test_a_file_that_is_there_is_not_written_over(sealed: Here) -> None:
    told = sealed("seal-key", *("--out", str(sealed.directory / "seal.txt")))

    assert told.code == exits.WRONG_USE
    assert "it is there; name a file that is not" in told.err


def test_a_key_asked_for_later_says_from_when_on_it_proves(sealed: Here) -> None:
    told = sealed("seal-key")

    assert not told.out.startswith("eventbus-seal-key:0:")
    assert "not those before" in told.err


def test_what_is_sealed_is_proven_by_the_key(sealed: Here) -> None:
    told = sealed("verify", *key_of(sealed))

    assert told.code == exits.OK
    assert told.lines[-1].startswith("sealed: ")
    assert "the key proves" in told.lines[-1]


def test_without_the_key_it_says_what_that_is_worth(sealed: Here) -> None:
    assert "without the verification key they prove nothing" in sealed("verify").out


def test_an_altered_line_is_named(sealed: Here) -> None:
    path = segments(sealed.state)[1]
    path.write_bytes(path.read_bytes().replace(b"src/", b"lib/", 1))

    told = sealed("verify", *key_of(sealed))

    assert told.code == exits.FINDING
    assert f"altered  {path.name}:1-" in told.out
    assert "is not as it was sealed" in told.out


def test_a_segment_that_is_gone_is_missing(sealed: Here) -> None:
    first = segments(sealed.state)[0]
    first.unlink()
    first.with_name(f"{first.name}.seals").unlink()

    told = sealed("verify", *key_of(sealed))

    assert told.code == exits.INCOMPLETE
    assert "missing  seals chain 0 is gone, with what was sealed" in told.out
    assert told.out.splitlines()[-2].startswith("incomplete: ")


def test_a_segment_in_the_middle_is_missing_too(sealed: Here) -> None:
    middle = segments(sealed.state)[1]
    middle.unlink()

    assert sealed("verify", *key_of(sealed)).code == exits.INCOMPLETE


def test_what_is_no_key_is_refused(sealed: Here) -> None:
    (sealed.directory / "seal.txt").write_text("12345\n")

    told = sealed("verify", *key_of(sealed))

    assert told.code == exits.WRONG_USE
    assert "as 'eventbus seal-key' shows it" in told.err


def test_what_verifying_found_is_there_as_json(sealed: Here) -> None:
    found = sealed("verify", "--json", *key_of(sealed)).json

    assert found["seals"]["authentic"] == found["seals"]["blocks"] > 0
    assert found["seals"]["altered"] == []
