"""Programs that anchors are signed and kept with: ssh-keygen and git."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from eventbus.errors import SettingsError

__all__ = ["add_git_note", "git_notes", "is_signed_by", "sign"]

NAMESPACE = "eventbus"
"""What a signature says it is for, and what git notes are kept under."""
SECONDS_MOST = 30.0


def sign(text: str, key: Path) -> str:
    """An armored signature over the text, by the key of that file, or the agent's of a `.pub`."""
    with tempfile.TemporaryDirectory() as aside:
        file = Path(aside) / "anchor"
        file.write_text(text)
        _run(["ssh-keygen", "-Y", "sign", "-q", "-f", str(key), "-n", NAMESPACE, str(file)])
        return file.with_suffix(".sig").read_text().strip()


def is_signed_by(text: str, signature: str, signers: Path) -> str | None:
    """Who of the allowed signers signed the text; None when nobody of them did."""
    with tempfile.TemporaryDirectory() as aside:
        file = Path(aside) / "signature"
        file.write_text(signature + "\n")
        allowed = ["-f", str(signers), "-s", str(file)]
        found = _ask(["ssh-keygen", "-Y", "find-principals", *allowed])
        for who in found.split():
            words = ["ssh-keygen", "-Y", "verify", *allowed, "-I", who, "-n", NAMESPACE]
            if _try(words, text).returncode == 0:
                return who
    return None


def add_git_note(text: str, repository: Path) -> str:
    """Append the text to the note of the commit that is checked out; its name."""
    _run([*_git(repository), "notes", "--ref", NAMESPACE, "append", "-F", "-", "HEAD"], text)
    return _run([*_git(repository), "rev-parse", "--short", "HEAD"]).strip()


def git_notes(repository: Path) -> str:
    """All that was ever kept there in notes of ours."""
    listed = _run([*_git(repository), "notes", "--ref", NAMESPACE, "list"])
    notes = [line.split()[0] for line in listed.split("\n") if line]
    return "\n".join(_run([*_git(repository), "cat-file", "-p", note]) for note in notes)


def _git(repository: Path) -> list[str]:
    return ["git", "-C", str(repository)]


def _run(words: Sequence[str], text: str = "") -> str:
    """What it printed; raises where it failed."""
    ran = _try(words, text)
    if ran.returncode:
        said = ran.stderr.strip().rpartition("\n")[2] or f"exit code {ran.returncode}"
        raise SettingsError(f"{words[0]} failed: {said}")
    return ran.stdout


def _ask(words: Sequence[str]) -> str:
    """What it printed; nothing where it found nothing."""
    ran = _try(words, "")
    return ran.stdout if ran.returncode == 0 else ""


def _try(words: Sequence[str], text: str) -> "subprocess.CompletedProcess[str]":
    program = shutil.which(words[0])
    if program is None:
        raise SettingsError(f"no program {words[0]!r}; it is needed for this")
    try:
        return subprocess.run(
            [program, *words[1:]],
            input=text,
            capture_output=True,
            text=True,
            timeout=SECONDS_MOST,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SettingsError(f"{words[0]} took longer than {SECONDS_MOST:.0f} s") from error
