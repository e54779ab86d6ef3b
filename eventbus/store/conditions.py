"""The conditions of a question, and the values in them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from eventbus.kinds import KindFilter, Kinds
from eventbus.store.topic import stamp

__all__ = ["Conditions"]


class Conditions:
    """What rows must fulfil; grows as wishes are given."""

    def __init__(self) -> None:
        self._conditions: list[str] = []
        self.values: list[Any] = []

    def add(self, condition: str, value: object) -> None:
        """A condition with one value; none where the value is None."""
        if value is not None:
            self.all(condition, (value,))

    def all(self, condition: str, values: Sequence[object]) -> None:
        """A condition with all its values."""
        self._conditions.append(condition)
        self.values += values

    def between(self, since: datetime | None, until: datetime | None) -> None:
        """From a moment on, and before another; naive ones are local."""
        self.add("ts >= ?", stamp(since.astimezone()) if since is not None else None)
        self.add("ts < ?", stamp(until.astimezone()) if until is not None else None)

    def kinds(self, kinds: Kinds) -> None:
        """Of one of these kinds."""
        self._of_kinds(KindFilter(kinds).patterns, "event_type")

    def kinds_as_they_happened(self, kinds: Kinds) -> None:
        """The same where rows are walked in order of time: several kinds have no index for that."""
        patterns = KindFilter(kinds).patterns
        is_one = len(patterns) == 1 and "*" not in patterns[0]
        self._of_kinds(patterns, "event_type" if is_one else "(event_type || '')")

    def _of_kinds(self, patterns: Sequence[str], kind: str) -> None:
        if "*" in patterns or "*:*" in patterns:
            return
        parts: list[str] = []
        for pattern in patterns:
            topic, _, verb = pattern.partition(":")
            if verb == "*":
                parts.append(f"({kind} >= ? AND {kind} < ?)")
                self.values += [f"{topic}:", f"{topic};"]
            elif topic == "*":
                parts.append(f"substr({kind}, length({kind}) - ? + 1) = ?")
                self.values += [len(verb) + 1, f":{verb}"]
            else:
                parts.append(f"{kind} = ?")
                self.values.append(pattern)
        self._conditions.append(f"({' OR '.join(parts) or '1 = 0'})")

    def copy(self) -> "Conditions":
        """The same, to be narrowed further."""
        return self.joined(Conditions())

    def joined(self, others: "Conditions") -> "Conditions":
        """These and the others."""
        joined = Conditions()
        joined._conditions = [*self._conditions, *others._conditions]
        joined.values = [*self.values, *others.values]
        return joined

    @property
    def condition(self) -> str:
        """All of them as one; empty when there are none."""
        return " AND ".join(self._conditions)

    @property
    def where(self) -> str:
        """The same, with `WHERE`."""
        return f" WHERE {self.condition}" if self._conditions else ""
