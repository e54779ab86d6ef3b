"""Which records are to be erased: by user, session, path or id."""

from typing import Literal, get_args

import msgspec

from eventbus.errors import SettingsError
from eventbus.event import Event, decode
from eventbus.events.log import LogLine

__all__ = ["Choice", "Word", "read_choice"]

Word = Literal["user", "session", "path", "id"]
WORDS: tuple[Word, ...] = get_args(Word)


class Choice(msgspec.Struct, frozen=True):
    """What a record must have, all of it, to be chosen."""

    values: dict[Word, str]

    @property
    def words(self) -> tuple[str, ...]:
        """By what is chosen, without the values."""
        return tuple(sorted(self.values))

    def may_be_in(self, blob: bytes) -> bool:
        """False when no line of these can be chosen."""
        return all(_in_json(value) in blob for value in self.values.values())

    def takes(self, line: bytes) -> Event | None:
        """The line's event, if it is chosen."""
        if line.startswith(b'{"kind":"bus:') or not self.may_be_in(line):
            return None
        event = decode(line)
        chosen = all(value in _said(event, word) for word, value in self.values.items())
        return event if chosen else None


def _in_json(value: str) -> bytes:
    return msgspec.json.encode(value)[1:-1]


def _said(event: Event, word: Word) -> set[str | None]:
    """What an event says for a word."""
    if word == "id":
        return {event.id}
    if word == "user":
        return {event.scope.user, _field(event, "sender_id")}
    if word == "session":
        return {event.scope.session, _field(event, "session_id")}
    return {_field(event, name) for name in ("path", "moved_from", "moved_to")}


def _field(event: Event, name: str) -> str | None:
    value = getattr(event, name, None)
    if isinstance(event, LogLine):
        value = event.kv.get(name)
    if value is None:
        payload = getattr(event, "payload", None)  # of a kind not known here
        value = payload.get(name) if isinstance(payload, dict) else None
    return value if isinstance(value, str) else None


def read_choice(said: tuple[str, ...]) -> Choice:
    """`user=ann`, `path=src/a.py` and so on; what is no such word is refused."""
    values: dict[Word, str] = {}
    for each in said:
        name, equals, value = each.partition("=")
        word = next((one for one in WORDS if one == name), None)
        if word is None or not equals or not value:
            raise SettingsError(
                f"cannot choose by {each!r}; allowed are {', '.join(f'{one}=…' for one in WORDS)}"
            )
        values[word] = value
    if not values:
        raise SettingsError("nothing is chosen; say which by --where user=…, session=…, path=…")
    return Choice(values)
