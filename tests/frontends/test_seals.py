"""The commands around seals: the key handed out, and what verifying says."""

import shutil
import sqlite3
import stat
import subprocess
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


def test_a_key_that_cannot_be_read_is_never_replaced(sealed: Here) -> None:
    (sealed.state / "seal.key").write_text("{}")
    fill(sealed.state)

    told = sealed("seal-key")

    assert (sealed.state / "seal.key").read_text() == "{}"
    assert told.code == exits.STATE_UNUSABLE
    assert "it holds no key of seals" in told.err
    assert "seal.key is gone, or cannot be read" in sealed("verify").out


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


# --- anchors ---------------------------------------------------------------------------


def git(*words: str, cwd: Path) -> str:
    ran = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout


def test_an_anchor_says_where_every_file_stands(sealed: Here) -> None:
    told = sealed("anchor")

    assert told.lines[0] == "eventbus anchor"
    assert told.lines[-1] == "end"
    heads = [line for line in told.lines if line.startswith("head ")]
    assert {line.split()[-1] for line in heads} == {path.name for path in segments(sealed.state)}


def test_what_was_anchored_and_is_there_is_whole(sealed: Here) -> None:
    anchors = sealed.directory / "anchors"
    sealed("anchor", "--to", str(anchors))
    fill(sealed.state)
    sealed("anchor", "--to", str(anchors))
    fill(sealed.state)

    told = sealed("verify", "--anchor", str(anchors))

    assert told.code == exits.OK
    assert told.out.count("\nanchor: of ") == 2


def test_the_text_itself_is_an_anchor_too(sealed: Here) -> None:
    text = sealed("anchor").out

    assert sealed("verify", "--anchor", text).code == exits.OK


def test_a_state_directory_put_back_is_found_by_the_anchor_alone(sealed: Here) -> None:
    earlier = sealed.directory / "earlier"
    shutil.copytree(sealed.state, earlier)
    fill(sealed.state)
    sealed("anchor", "--to", str(sealed.directory / "anchors"))
    shutil.rmtree(sealed.state)
    earlier.rename(sealed.state)

    told = sealed("verify", *key_of(sealed), "--anchor", str(sealed.directory / "anchors"))

    assert sealed("verify", *key_of(sealed)).code == exits.OK
    assert told.code == exits.ROLLED_BACK
    assert "rolled back  seal.key says chain" in told.out
    assert "rolled back: " in told.out


def test_another_history_is_found_by_the_anchor(sealed: Here) -> None:
    """All seals, keys and lines made anew: nothing but the anchor can tell."""
    anchor = sealed("anchor").out
    shutil.rmtree(sealed.state)
    fill(sealed.state, events=40, segment_bytes=3_000)

    assert sealed("verify").code == exits.OK
    told = sealed("verify", "--anchor", anchor)
    assert told.code == exits.ROLLED_BACK
    assert "has another seal" in told.out


def test_pruned_segments_are_not_rolled_back(sealed: Here) -> None:
    anchor = sealed("anchor").out
    with EventBus(sealed.state, journal=JournalSettings(keep_bytes=6_000)):
        pass

    told = sealed("verify", *key_of(sealed), "--anchor", anchor)

    assert "was pruned at" in told.out
    assert told.code == exits.OK


def test_an_anchor_is_kept_in_a_git_note(sealed: Here) -> None:
    project = sealed.directory / "project"
    project.mkdir()
    git("init", "-q", cwd=project)
    git("commit", "-q", "--allow-empty", "-m", "one", cwd=project)
    for name in ("user.name", "user.email"):
        git("config", name, "a@b", cwd=project)
    told = sealed("anchor", "--git-note", str(project))
    git("commit", "-q", "--allow-empty", "-m", "two", cwd=project)

    assert told.out.startswith("added to the note of ")
    assert "eventbus anchor" in git("notes", "--ref", "eventbus", "show", "HEAD~1", cwd=project)
    assert sealed("verify", "--anchor", f"git-note:{project}").code == exits.OK


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen")
def test_an_anchor_is_signed_and_taken_from_those_allowed_only(sealed: Here) -> None:
    for name in ("mine", "other"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(sealed.directory / name)]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    public = (sealed.directory / "mine.pub").read_text()
    signers = sealed.directory / "signers"
    signers.write_text(f"me@here {public}")
    config = sealed.directory / "eventbus.toml"
    config.write_text('[seal]\nsign_with = "mine"\n')
    mine = sealed("anchor").out
    others = sealed("anchor", "--sign-with", str(sealed.directory / "other")).out
    forged = mine.replace("next ", "next 1", 1)

    told = sealed("verify", "--anchor", mine, "--signers", str(signers))

    assert told.code == exits.OK
    assert told.lines[-1].endswith("signed by me@here")
    for text in (others, forged, mine.partition("-----BEGIN")[0]):
        refused = sealed("verify", "--anchor", text, "--signers", str(signers))
        assert refused.code == exits.WRONG_USE
        assert "signed" in refused.err


@pytest.mark.parametrize("text", ["", "eventbus anchor\n", "eventbus anchor\nat x\nnext 1\nend\n"])
def test_what_is_no_anchor_is_refused(sealed: Here, text: str) -> None:
    (sealed.directory / "anchors").write_text(text)

    assert sealed("verify", "--anchor", str(sealed.directory / "anchors")).code == exits.WRONG_USE


def test_where_nothing_is_sealed_there_is_no_anchor(here: Here) -> None:
    here.state.mkdir()

    assert here("anchor").code == exits.WRONG_USE


# --- erasing ---------------------------------------------------------------------------


def test_erasing_asks_says_what_it_did_and_records_it(sealed: Here) -> None:
    planned = sealed("erase", "--where", "path=src/3.py", "--dry-run")
    asked = sealed("erase", "--where", "path=src/3.py")
    told = sealed("erase", "--where", "path=src/3.py", "--why", "a request", "--yes")

    assert planned.out.startswith("1 event would be erased")
    assert asked.code == exits.WRONG_USE
    assert told.out.startswith("erased 1 event: 1 line in 1 file, 0 rows")
    verified = sealed("verify", *key_of(sealed))
    assert verified.code == exits.OK
    assert ": a request" in verified.out
    assert "seal:erase" in sealed("read", "--kind", "seal:erase").out
    assert "src/3.py" not in sealed("read").out


def test_what_is_nowhere_is_not_erased(sealed: Here) -> None:
    told = sealed("erase", "--where", "user=nobody", "--yes")

    assert (told.code, told.out) == (exits.OK, "nothing is chosen by that\n")


def test_the_store_is_held_against_the_lines(here: Here) -> None:
    with EventBus(here.state, sinks=["sqlite"]) as bus:
        for n in range(9):
            bus.emit_nowait(FileWritten(path=f"src/{n}.py"))
    whole = here("verify", "--store")
    database = sqlite3.connect(here.state / "store.db")
    with database:
        database.execute("UPDATE events SET message = 'mine' WHERE id = 3")
    database.close()

    altered = here("verify", "--store")

    assert (whole.code, whole.lines[-1][:32]) == (exits.OK, "store: 9 rows held against the l")
    assert altered.code == exits.FINDING
    assert "(file:write): message" in altered.out
    assert here("verify").code == exits.OK
    assert here("verify", "--store", "--json").json["stores"][0]["altered"][0]["kind"]
