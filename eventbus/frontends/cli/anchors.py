"""Anchors as the command line names them, and who signed them."""

import sys
from pathlib import Path

from eventbus.errors import SettingsError
from eventbus.sealing.anchors import TITLE, Anchor, anchors_in
from eventbus.sealing.outside import git_notes, is_signed_by

__all__ = ["check_signature", "read_anchors"]

NOTE = "git-note"


def read_anchors(said: str) -> list[Anchor]:
    """Those in a file, on the standard input, in git notes, or in the text itself."""
    if said.lstrip().startswith(TITLE):
        return anchors_in(said)
    if said == "-":
        return anchors_in(sys.stdin.read())
    if said == NOTE or said.startswith(f"{NOTE}:"):
        return anchors_in(git_notes(Path(said.removeprefix(NOTE).removeprefix(":") or ".")))
    path = Path(said).expanduser()
    if not path.is_file():
        raise SettingsError(
            f"no anchor in {said!r}; give a file, '-', 'git-note:DIR', or the text of an anchor"
        )
    return anchors_in(path.read_text(errors="replace"))


def check_signature(anchor: Anchor, signers: Path) -> str:
    """Who signed it; refused unless one of the signers did."""
    when = f"the anchor of {anchor.at:%Y-%m-%d %H:%M:%S}Z"
    if anchor.signature is None:
        raise SettingsError(f"{when} is not signed; 'eventbus anchor --sign-with' signs one")
    who = is_signed_by(anchor.text, anchor.signature, signers)
    if who is None:
        raise SettingsError(f"{when} is not signed by anybody in {str(signers)!r}")
    return who
