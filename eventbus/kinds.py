"""Which kinds a lane, a handler or a reader wants."""

from collections.abc import Iterable

from eventbus.errors import DefinitionError
from eventbus.event import Event, UnknownEvent

__all__ = [
    "BOOKKEEPING",
    "KindFilter",
    "Kinds",
    "critical_lines",
    "is_critical",
    "is_critical_line",
]

Kinds = str | type[Event] | Iterable[str | type[Event]] | None
"""How a wish is written: `"*"`, `"topic:*"`, `"*:verb"`, `"topic:verb"`, a class, or several."""

BOOKKEEPING = frozenset({"bus:open", "bus:close", "bus:stats", "bus:erased"})
"""The bus's own records that `*` leaves out; ask for `bus:*` to see them."""

CRITICAL_TOPICS = frozenset({"error", "file"})
CRITICAL_KINDS = frozenset(
    {"llm:response", "llm:error", "dispatch:finish", "dispatch:refuse", "command:start"}
)


class KindFilter:
    """A wish for kinds; asked once a kind, remembered after."""

    __slots__ = ("_answers", "patterns", "wants_all")

    def __init__(self, kinds: Kinds = None) -> None:
        if kinds is None:
            kinds = ("*",)
        elif isinstance(kinds, (str, type)):
            kinds = (kinds,)
        self.patterns = tuple(_pattern(wish) for wish in kinds)
        self.wants_all = "*" in self.patterns
        """True when only bookkeeping is left out, if that."""
        self._answers: dict[str, bool] = {}

    def __call__(self, kind: str) -> bool:
        answer = self._answers.get(kind)
        if answer is None:
            answer = any(_fits(pattern, kind) for pattern in self.patterns)
            if len(self._answers) < 4096:  # kinds may come from hostile input
                self._answers[kind] = answer
        return answer

    def takes(self, event: Event) -> bool:
        """True when its kind is wanted: the one it shows, or the one it is kept under."""
        return self(event.kind) or str(event.__struct_config__.tag) in self.patterns

    def __repr__(self) -> str:
        return f"KindFilter({', '.join(self.patterns)})"


def _pattern(wish: str | type[Event]) -> str:
    if isinstance(wish, type):
        if not issubclass(wish, Event):
            raise DefinitionError(f"cannot filter by {wish!r}; give an Event class or a pattern")
        return str(wish.__struct_config__.tag)
    topic, colon, verb = wish.partition(":")
    ok = wish == "*" or (colon and topic and verb and "*" not in topic[1:] and "*" not in verb[1:])
    if not ok or (len(topic) > 1 and "*" in topic) or (len(verb) > 1 and "*" in verb):
        raise DefinitionError(
            f"cannot filter by {wish!r}; allowed are '*', 'topic:*', '*:verb' and 'topic:verb'"
        )
    return wish


def _fits(pattern: str, kind: str) -> bool:
    if pattern in ("*", "*:*"):
        return kind not in BOOKKEEPING
    topic, _, verb = pattern.partition(":")
    has_topic, _, has_verb = kind.partition(":")
    if topic == "*" and kind in BOOKKEEPING:
        return False
    return topic in ("*", has_topic) and verb in ("*", has_verb)


_critical: dict[type, bool] = {UnknownEvent: False}


def is_critical(event_class: type) -> bool:
    """True for what is synced at once: errors, file changes, costs, commands begun.

    Lines that were made ready at emit have no class to tell by, and are not.
    """
    answer = _critical.get(event_class)
    if answer is None:
        answer = issubclass(event_class, Event) and _is_critical_kind(
            str(event_class.__struct_config__.tag)
        )
        _critical[event_class] = answer
    return answer


_HEAD = b'{"kind":"'
_CRITICAL_HEADS = (
    *(b"%s%s:" % (_HEAD, topic.encode()) for topic in sorted(CRITICAL_TOPICS)),
    *(b'%s%s"' % (_HEAD, kind.encode()) for kind in sorted(CRITICAL_KINDS)),
)
_CRITICAL_LETTERS = frozenset(head[len(_HEAD) : len(_HEAD) + 4] for head in _CRITICAL_HEADS)
"""How those kinds begin; nearly every other line is told apart by that alone."""


def critical_lines(lines: Iterable[bytes]) -> list[bytes]:
    """Those of them that are; asked of every line that is written, so it calls nothing."""
    return [
        line
        for line in lines
        if line[9:13] in _CRITICAL_LETTERS and line.startswith(_CRITICAL_HEADS)
    ]


def is_critical_line(line: bytes) -> bool:
    """The same of an event's line."""
    return line[9:13] in _CRITICAL_LETTERS and line.startswith(_CRITICAL_HEADS)


def _is_critical_kind(kind: str) -> bool:
    return kind in CRITICAL_KINDS or kind.partition(":")[0] in CRITICAL_TOPICS
