"""Cost limits: what may be spent in a UTC day and month, and whether it has been.

Pure: it is told what was spent, and answers. Money is whole billionths of a
dollar, as the store keeps it.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from eventbus.errors import CostLimitReached, SettingsError
from eventbus.event import UNREADABLE

__all__ = [
    "NANOS",
    "CostLimits",
    "Limit",
    "Spending",
    "check_limits",
    "in_nanos",
    "read_limits_file",
    "refusal",
    "resets_at",
]

NANOS = 10**9
"""Billionths in a dollar."""
Window = Literal["daily", "monthly"]


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """The most that may be spent; 0 is no limit."""

    daily: float = 0
    """Dollars in a UTC day."""
    monthly: float = 0
    daily_tokens: int = 0
    """Tokens of input and output in a UTC day, for models that have no price."""
    monthly_tokens: int = 0


class CostLimits(Limit, frozen=True, kw_only=True):
    """The limit of each user, that of those who have one of their own, and one for all together."""

    users: dict[str, Limit] = {}
    all: Limit = Limit()
    """For everybody together."""
    slack: float = 0.10
    """Dollars that a running dispatch is taken to cost until it says."""
    unpriced: Literal["allow", "refuse"] = "allow"
    """Whether a user who has used a model without a known price in the window may go on."""

    def of(self, user: str) -> Limit:
        """The limit of a user: their own where they have one, else everybody's."""
        return self.users.get(user, self)

    @property
    def is_none(self) -> bool:
        """True when nothing is limited."""
        return not any(map(_says_something, (self, self.all, *self.users.values())))


def _says_something(limit: Limit) -> bool:
    return bool(limit.daily or limit.monthly or limit.daily_tokens or limit.monthly_tokens)


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """What was spent so far within a day, or a month."""

    nanos: int = 0
    tokens: int = 0
    unpriced: int = 0
    """Calls that cost something nobody knows."""


def in_nanos(dollars: float) -> int:
    """Dollars as whole billionths: what the number shows, not what its bits come to."""
    return int((Decimal(repr(dollars)) * NANOS).to_integral_value())


def check_limits(limits: CostLimits) -> None:
    """Raise `SettingsError` for a limit that cannot be."""
    for name, limit in {"": limits, "all.": limits.all, **_named(limits.users)}.items():
        for field in msgspec.structs.fields(Limit):
            value = getattr(limit, field.name)
            if not 0 <= value < float("inf"):
                raise SettingsError(
                    f"cost_limits.{name}{field.name} cannot be {value!r};"
                    " 0 is no limit, anything above is one"
                )
    if not 0 <= limits.slack < float("inf"):
        raise SettingsError(
            f"cost_limits.slack cannot be {limits.slack!r}; give dollars, 0 or more"
        )


def _named(users: Mapping[str, Limit]) -> dict[str, Limit]:
    return {f"users.{name}.": limit for name, limit in users.items()}


def refusal(
    limit: Limit, day: Spending, month: Spending, *, on: date, whose: str = "user", strict: bool
) -> CostLimitReached | None:
    """Why no further dispatch may begin, or None; the day is looked at before the month.

    `strict` also refuses where something in the window has no known price.
    """
    for window, spent, most, most_tokens in (
        ("daily", day, limit.daily, limit.daily_tokens),
        ("monthly", month, limit.monthly, limit.monthly_tokens),
    ):
        reset = resets_at(window, on)  # type: ignore[arg-type]
        said: dict[str, Any] = {"window": window, "scope": whose, "resets_at": reset}
        if most and (spent.nanos >= in_nanos(most) or (strict and spent.unpriced)):
            return CostLimitReached(limit=most, spent=spent.nanos / NANOS, **said)
        if most_tokens and spent.tokens >= most_tokens:
            return CostLimitReached(limit=most_tokens, spent=spent.tokens, unit="token", **said)
    return None


def resets_at(window: Window, on: date) -> datetime:
    """The moment a window ends: midnight UTC, or that of the first of the next month."""
    if window == "daily":
        after = on + timedelta(days=1)
    else:
        after = (on.replace(day=1) + timedelta(days=32)).replace(day=1)
    return datetime(after.year, after.month, after.day, tzinfo=UTC)


class _File(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """`{"costLimits": {"daily": 10.00, "monthly": 100.00}}`"""

    cost_limits: "_FileLimits"


class _FileLimits(Limit, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    users: dict[str, Limit] = {}


def read_limits_file(path: Path) -> CostLimits:
    """The limits a JSON file sets; raises `SettingsError` for what is not allowed."""
    try:
        said = msgspec.json.decode(path.read_bytes(), type=_File).cost_limits
    except OSError as error:
        raise SettingsError(f"cannot read the limits in {path}: {error.strerror}") from error
    except UNREADABLE as error:
        raise SettingsError(
            f"cannot read the limits in {path}: {error};"
            ' allowed is {"costLimits": {"daily": 10.0, "monthly": 100.0}}'
        ) from error
    limits = CostLimits(**msgspec.structs.asdict(said))
    check_limits(limits)
    return limits
