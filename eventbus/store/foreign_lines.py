"""Lines of a foreign log as events: taken apart where that goes, kept as they are where not."""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from eventbus.event import encode
from eventbus.events.log import LogLine, Scalar
from eventbus.formats import flat
from eventbus.formats.flat_lines import Unparsed, parse
from eventbus.formats.moment import stamp
from eventbus.poison import EVENT_BYTES_MOST
from eventbus.scope import Scope
from eventbus.store.engine import Reader
from eventbus.store.events import moment_of_row
from eventbus.store.ingested import UNPARSED, unparsed_between
from eventbus.store.pieces import PIECE_BYTES

__all__ = ["LineMaker", "split_tokens"]

NO_MOMENT = datetime.fromtimestamp(0, UTC)
"""The time of lines that stand before any that says one."""
NOBODY = Scope()
NEWLINE = 0x0A
KINDS_MOST = 1_000
SURELY_FIT = EVENT_BYTES_MOST // 16
"""Bytes of a line whose event the journal takes whole, whatever is in it."""


class LineMaker:
    """Makes events of the pieces of one file, in order, and counts its lines.

    What an event says depends on the file alone. A line that says no time has
    that of the one before it.
    """

    def __init__(self, store: Reader | None) -> None:
        self.lines = 0
        self.unparsed = 0
        self._store = store
        self._kinds: set[str] = set()
        """Kinds that stand in a line of ours as they are."""
        self._part = 0
        """Parts of a line that have been, where it goes on; else 0."""
        self._moment: datetime | None = None
        """The time last said; None where that has to be looked up."""

    def pass_over(self, ids: list[str], pieces: list[bytes]) -> None:
        """Count pieces that have landed."""
        self.lines += self._parts(pieces).count(0)
        self._moment = None
        if self._store is not None:
            self.unparsed += len(unparsed_between(self._store, ids[0], ids[-1]) & set(ids))

    def events(self, ids: list[str], pieces: list[bytes], *, after: str) -> list[LogLine]:
        """The events of these pieces; `after` is the id of the piece before them."""
        if self._moment is None:
            self._moment = self._said_by(after)
        parts = self._parts(pieces)
        self.lines += parts.count(0)
        return [
            self._event(id, piece, part) for id, piece, part in zip(ids, pieces, parts, strict=True)
        ]

    def _said_by(self, id: str) -> datetime:
        moment = moment_of_row(self._store, id) if self._store is not None and id else None
        return NO_MOMENT if moment is None else moment

    def _parts(self, pieces: list[bytes]) -> list[int]:
        """Which part of its line each piece is; 0 is the first, mostly the only one."""
        if not self._part and max(map(len, pieces)) < PIECE_BYTES:
            return [0] * len(pieces)
        parts = []
        for piece in pieces:
            parts.append(self._part)
            self._part = 0 if piece.endswith(b"\n") else self._part + 1
        return parts

    def _event(self, id: str, piece: bytes, part: int) -> LogLine:
        if part or (len(piece) >= PIECE_BYTES and not piece.endswith(b"\n")):
            return self._as_it_is(id, piece, f"longer than {PIECE_BYTES - 1} bytes", part=part)
        return self._as_we_write_it(id, piece) or self._as_it_may_be(id, piece)

    def _as_we_write_it(self, id: str, piece: bytes) -> LogLine | None:
        """The quick way of most lines: one that is just as we would write it, of a known kind."""
        try:
            line = piece.decode()[:-1]
            moment, kind, source, message = line.split("|", 3)
            ts = datetime.fromisoformat(moment)
        except ValueError:
            return None
        if (
            kind not in self._kinds
            or piece[-1] != NEWLINE
            or not line.isprintable()
            or ts.tzinfo is not UTC
            or stamp(ts) != moment
            or len(piece) > SURELY_FIT
        ):
            return None
        self._moment = ts
        text, kv = split_tokens(message)
        return LogLine(
            id=id,
            ts=ts,
            scope=NOBODY,
            cause=None,
            event_type=kind,
            source=source,
            message=text,
            kv=kv,
        )

    def _as_it_may_be(self, id: str, piece: bytes) -> LogLine:
        try:
            text, is_text = piece.decode(), True
        except UnicodeDecodeError:
            text, is_text = piece.decode(errors="backslashreplace"), False
        fields = parse(text)
        if isinstance(fields, Unparsed):
            return self._as_it_is(id, piece, fields.reason)
        self._moment = fields.timestamp
        message, kv = split_tokens(fields.message)
        is_same = is_text and _is_same(fields, text)
        if is_same and not fields.event_type.startswith("error:") and len(self._kinds) < KINDS_MOST:
            self._kinds.add(fields.event_type)
        event = LogLine(
            id=id,
            ts=fields.timestamp,
            scope=NOBODY,
            cause=None,
            event_type=fields.event_type,
            source=fields.source,
            message=message,
            kv=kv,
            raw=msgspec.UNSET if is_same else piece,
        )
        if len(piece) > SURELY_FIT and len(encode(event)) > EVENT_BYTES_MOST:
            return self._as_it_is(id, piece, "too much of it would have to be written out")
        return event

    def _as_it_is(self, id: str, piece: bytes, reason: str, *, part: int = 0) -> LogLine:
        self.unparsed += not part
        kv: dict[str, Scalar] = {"part": part} if part else {}
        assert self._moment is not None
        return LogLine(
            id=id,
            ts=self._moment,
            scope=NOBODY,
            cause=None,
            event_type=UNPARSED,
            source="ingest",
            message=reason,
            kv=kv,
            raw=piece,
        )


def _is_same(fields: flat.FlatLine, text: str) -> bool:
    """Whether the line that is made of the fields is this very one."""
    kind = fields.event_type
    if kind.startswith("bus:") or (kind.startswith("error:") and "|" in fields.message):
        return False
    return f"{flat.line(fields.timestamp, kind, fields.source, fields.message)}\n" == text


_NOT_PLAIN = re.compile(r"[\"|\[{]")


def split_tokens(message: str) -> tuple[str, dict[str, Scalar]]:
    """The text of a message and the plain tokens behind it, if that joins to the same message."""
    if "=" not in message or _NOT_PLAIN.search(message):
        return message, {}
    words = message.split(" ")
    first = next(index for index, word in enumerate(words) if "=" in word)
    try:
        pairs: list[Any] = [word.split("=", 1) for word in words[first:]]
        kv: dict[str, Scalar] = dict(pairs)
    except ValueError:  # a word that is no token stands behind one
        return message, {}
    text = " ".join(words[:first])
    is_same = len(kv) == len(words) - first and "" not in kv and (first == 0 or text != "")
    return (text, kv) if is_same else (message, {})
