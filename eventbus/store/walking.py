"""Walking through an answer page by page, by the place of its rows and never by their number.

What lands meanwhile moves nothing: a page begins right behind the last item of
the one before it, wherever that stands by now.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from eventbus.formats.moment import stamp
from eventbus.store.engine import Reader, Row, Values
from eventbus.store.pages import Page, clamped, read_page_cursor, write_page_cursor

__all__ = ["BY_KEY", "BY_MOMENT", "BY_NAME", "Walk", "as_struct", "walk"]

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

Place = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
BY_KEY = tuple[Literal["next", "previous"], str]
"""The cursor of rows in order of their order key."""
BY_MOMENT = tuple[Literal["next", "previous"], str, Place]
"""The cursor of rows in order of a time, then of a key that counts up."""
BY_NAME = tuple[Literal["next", "previous"], str, str]
"""The cursor of rows in order of a time, then of an id."""


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """A question whose answer is walked through."""

    columns: str
    source: str
    """The table, with what is joined to it."""
    key: tuple[str, ...] = ("as_of",)
    """The columns it is in order of; together they are unique."""
    form: Any = BY_KEY
    is_newest_first: bool = False
    along: str | None = None
    """The index in this order, where SQLite is not to look for a better one: with conditions
    that no index knows it would take to sorting the whole table for each page."""
    conditions: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()
    """Of the conditions, in their order."""

    def given(self, condition: str, *values: Any) -> "Walk":
        """The same, of only those rows for which this holds as well."""
        return msgspec.structs.replace(
            self,
            conditions=(*self.conditions, condition),
            values=(*self.values, *values),
        )

    def where(self, **wanted: Any) -> "Walk":
        """The same, of only those rows that have these values; None asks for any."""
        walk = self
        for column, value in wanted.items():
            if value is not None:
                walk = walk.given(f"{column} = ?", value)
        return walk

    def within(self, column: str, since: datetime | None, until: datetime | None) -> "Walk":
        """The same, of only those rows from `since` on and before `until`; naive is local."""
        walk = self
        if since is not None:
            walk = walk.given(f"{column} >= ?", _from(column, since))
        if until is not None:
            walk = walk.given(f"{column} < ?", _from(column, until))
        return walk


def _from(column: str, moment: datetime) -> str:
    """What a column holds from that moment on: a time, or an order key."""
    moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}" if column == "as_of" else stamp(moment)


def as_struct(cls: type[S]) -> Callable[[Row], S]:
    """What makes a row of a Struct's own fields that Struct."""
    names = cls.__struct_fields__
    return lambda row: cls(**dict(zip(names, row, strict=True)))


def walk(
    reader: Reader, way: Walk, *, limit: int, cursor: str | None, read: Callable[[Row], T]
) -> Page[T]:
    """A page of the answer: the first one, or the one that the cursor asks for."""
    limit = clamped(limit)
    if cursor is None:
        rows = _rows(reader, way, limit + 1)
        return _page(rows[:limit], way, read, has_next=len(rows) > limit, has_previous=False)
    towards, *place = read_page_cursor(cursor, way.form)
    if towards == "next":
        rows = _rows(reader, way, limit + 1, place)
        return _page(rows[:limit], way, read, has_next=len(rows) > limit, has_previous=True)
    rows = _rows(reader, way, limit + 1, place, is_backwards=True)
    has_previous = len(rows) > limit
    return _page(rows[:limit][::-1], way, read, has_next=True, has_previous=has_previous)


def _rows(
    reader: Reader,
    way: Walk,
    limit: int,
    place: Values = (),
    *,
    is_backwards: bool = False,
) -> list[Row]:
    is_down = way.is_newest_first != is_backwards
    down = " DESC" if is_down else ""
    key = ", ".join(way.key)
    conditions = list(way.conditions)
    if place:
        conditions.append(f"({key}) {'<' if is_down else '>'} ({', '.join('?' * len(place))})")
    along = f" INDEXED BY {way.along}" if way.along and reader.dialect.name == "sqlite" else ""
    return reader.rows(
        f"SELECT {key}, {way.columns} FROM {way.source}{along}"
        + (f" WHERE {' AND '.join(conditions)}" if conditions else "")
        + f" ORDER BY {', '.join(column + down for column in way.key)} LIMIT {limit}",
        (*way.values, *place),
    )


def _page(
    rows: list[Row], way: Walk, read: Callable[[Row], T], *, has_next: bool, has_previous: bool
) -> Page[T]:
    if not rows:
        return Page([])
    key = len(way.key)
    return Page(
        [read(row[key:]) for row in rows],
        next=write_page_cursor("next", *rows[-1][:key]) if has_next else None,
        previous=write_page_cursor("previous", *rows[0][:key]) if has_previous else None,
    )
