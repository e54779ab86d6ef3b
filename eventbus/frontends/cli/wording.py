"""How moments, money, ids and durations of the store are written for people."""

import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from eventbus.formats.visible import visible
from eventbus.units import duration_text

__all__ = [
    "clock",
    "compact",
    "hour",
    "is_short_for",
    "json_text",
    "minute",
    "moment",
    "money",
    "money_columns",
    "short",
    "span",
    "took",
]

SHORT_FROM = 20
"""Ids longer than this are shortened for people."""
SHORT_HEAD, SHORT_TAIL = 6, 6
DIGITS_LEAST, DIGITS_MOST = 2, 6
"""Digits of a dollar behind the point."""
_LEFT_OUT = re.compile(r"…|\.\.\.?")


def json_text(value: object) -> str:
    """A JSON document on one line, nothing hidden in it."""
    return visible(msgspec.json.encode(value, enc_hook=str).decode())


def moment(written: str | datetime | None) -> str | None:
    """`2026-11-20 10:00:00`, in UTC, of a moment as the store has it."""
    if written is None:
        return None
    if isinstance(written, datetime):
        return f"{written:%Y-%m-%d %H:%M:%S}"
    return written[:19].replace("T", " ")


def minute(written: str) -> str:
    """`2026-11-20 10:00`, in UTC."""
    return written[:16].replace("T", " ")


def hour(written: str) -> str:
    """`2026-11-20 10:00` of an hour as the store has it."""
    return f"{written[:10]} {written[11:]}:00"


def clock(written: Sequence[str]) -> tuple[str, list[str]]:
    """The head of a column of moments, and its cells: of one day the times are enough."""
    days = {each[:10] for each in written}
    if len(days) == 1:
        return f"{days.pop()} UTC", [each[11:23] for each in written]
    return "time (UTC)", [moment(each) or "" for each in written]


def compact(number: int) -> str:
    """`950`, `12.3k`, `4.6M`, for where there is little room."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)


def took(ms: float | None) -> str | None:
    """`1.2s`, `15ms`."""
    return None if ms is None else duration_text(ms / 1000)


def span(start: str, end: str) -> str:
    """How long it is from one moment of the store's to another."""
    between = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    return duration_text(max(0.0, between.total_seconds()))


def short(id: str | None) -> str | None:
    """An id people can tell from others: a long one without its middle."""
    if id is None or len(id) <= SHORT_FROM:
        return id
    return f"{id[:SHORT_HEAD]}…{id[-SHORT_TAIL:]}"


def is_short_for(written: str) -> "re.Pattern[str] | None":
    """What an id written without its middle stands for; None for one that is whole."""
    parts = _LEFT_OUT.split(written)
    if len(parts) != 2 or not any(parts):
        return None
    return re.compile(".+".join(map(re.escape, parts)), re.DOTALL)


def money(dollars: Iterable[float | None]) -> list[str | None]:
    """Amounts that stand under each other, with digits enough for the smallest."""
    amounts: Sequence[float | None] = list(dollars)
    digits = max(map(_digits_of, amounts), default=DIGITS_LEAST)
    return [_amount(amount, digits) for amount in amounts]


def money_columns(*columns: Sequence[float | None]) -> list[list[str | None]]:
    """Amounts of several columns, with the same digits in each."""
    shown = iter(money(amount for column in columns for amount in column))
    return [[next(shown) for _ in column] for column in columns]


def _digits_of(amount: float | None) -> int:
    if not amount:
        return DIGITS_LEAST
    first = -math.floor(math.log10(abs(amount)))
    return max(DIGITS_LEAST, min(first + 2, DIGITS_MOST))


def _amount(amount: float | None, digits: int) -> str | None:
    if amount is None:
        return None
    sign = "-" if amount < 0 else ""
    if 0 < abs(amount) < 0.5 * 10**-digits:
        return f"{sign}<${10**-digits:.{digits}f}"
    return f"{sign}${abs(amount):,.{digits}f}"
