"""Anchors: where every chain stood at a moment, as a text to be kept somewhere else.

Whoever rewrites the state directory, seals and keys and all, cannot rewrite a
text that is elsewhere. The last record of each file is enough: each record
holds the digest of the one before it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import msgspec

from eventbus.errors import SettingsError
from eventbus.sealing.findings import Span
from eventbus.sealing.records import DECLARED, SEALS, Pruned, Written, digest_of
from eventbus.sealing.sealed import Sealed

__all__ = ["TITLE", "Anchor", "Head", "anchor_of", "anchors_in", "compare"]

TITLE = "eventbus anchor"
_HEAD = re.compile(r"head (\d+) (\d+) ([0-9a-f]{64}) (.+)")


class Head(msgspec.Struct, frozen=True):
    """The last record over a file."""

    chain: int
    epoch: int
    digest: str
    file: str


class Anchor(msgspec.Struct, frozen=True):
    """Where a state directory's chains stood."""

    at: datetime
    next_chain: int
    heads: tuple[Head, ...]
    signature: str | None = None
    """An armored SSH signature over `text`."""

    @property
    def text(self) -> str:
        """What is kept, and signed."""
        heads = (f"head {one.chain} {one.epoch} {one.digest} {one.file}" for one in self.heads)
        at = self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return "\n".join([TITLE, f"at {at}", f"next {self.next_chain}", *heads, "end", ""])

    @property
    def whole_text(self) -> str:
        """The text, and the signature if there is one."""
        return self.text + (f"{self.signature}\n" if self.signature else "")


def anchor_of(sealed: Sealed, *, at: datetime) -> Anchor:
    """The anchor of what is sealed now."""
    places = [*sealed.files.items(), (sealed.state / DECLARED, sealed.declared)]
    safe = {chain: live.epoch for chain, live in sealed.live.items()}
    heads = [_head_of(path, records, safe) for path, records in places]
    return Anchor(
        at=at.replace(microsecond=0),
        next_chain=sealed.key.chain if sealed.key is not None else 0,
        heads=tuple(one for one in heads if one is not None),
    )


def _head_of(path: Path, records: list[Written], safe: Mapping[int, int]) -> Head | None:
    """The last record that a power cut cannot take away."""
    for written in reversed(records):
        record = written.record
        if record is not None and record.epoch < safe.get(record.chain, record.epoch + 1):
            name = path.name.removesuffix(SEALS)
            return Head(record.chain, record.epoch, digest_of(written.line), name)
    return None


def anchors_in(text: str) -> list[Anchor]:
    """Every anchor in a text, with its signature; raises where there is none."""
    found = list(_anchors_in(text.split("\n")))
    if not found:
        raise SettingsError(f"no anchor: it begins with {TITLE!r}, as 'eventbus anchor' prints it")
    return found


def _anchors_in(lines: list[str]) -> Iterator[Anchor]:
    starts = [number for number, line in enumerate(lines) if line.strip() == TITLE]
    for start, stop in pairwise([*starts, len(lines)]):
        yield _read([line.strip() for line in lines[start:stop]])


def _read(lines: list[str]) -> Anchor:
    try:
        end = lines.index("end")
        at, chain = lines[1].removeprefix("at "), lines[2].removeprefix("next ")
        moment, next_chain = datetime.fromisoformat(at), int(chain)
    except (ValueError, IndexError) as error:
        raise SettingsError("the anchor is not whole: its lines go up to 'end'") from error
    return Anchor(
        at=moment,
        next_chain=next_chain,
        heads=tuple(map(_read_head, lines[3:end])),
        signature=_signature_in(lines[end + 1 :]),
    )


def _read_head(line: str) -> Head:
    found = _HEAD.fullmatch(line)
    if found is None:
        raise SettingsError(f"not a line of an anchor: {line!r}")
    return Head(int(found[1]), int(found[2]), found[3], found[4])


def _signature_in(lines: list[str]) -> str | None:
    first, last = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
    if first not in lines or last not in lines:
        return None
    return "\n".join(lines[lines.index(first) : lines.index(last) + 1])


def compare(sealed: Sealed, anchor: Anchor) -> list[Span]:
    """What the anchor knows, and the state directory no longer has, or has otherwise."""
    there = {
        (one.record.chain, one.record.epoch): digest_of(one.line)
        for one in sealed.records()
        if one.record is not None
    }
    pruned = set(_pruned_chains(sealed))
    when = f"{anchor.at:%Y-%m-%d %H:%M:%S}Z"
    spans = [
        Span(head.file, 0, 0, _what(head, there.get((head.chain, head.epoch)), when))
        for head in anchor.heads
        if there.get((head.chain, head.epoch)) != head.digest and head.chain not in pruned
    ]
    now = sealed.key_after.chain if sealed.key_after is not None else 0
    if now < anchor.next_chain:
        what = f"says chain {now} is the next; at {when} it was chain {anchor.next_chain}"
        spans.append(Span("seal.key", 0, 0, what))
    return spans


def _what(head: Head, digest: str | None, when: str) -> str:
    if digest is None:
        return f"has no seal {head.epoch} of chain {head.chain}, which it had at {when}"
    return f"has another seal {head.epoch} of chain {head.chain} than at {when}"


def _pruned_chains(sealed: Sealed) -> Iterable[int]:
    for written in sealed.declared:
        if isinstance(written.record, Pruned):
            for file in written.record.files:
                yield from file.chains
