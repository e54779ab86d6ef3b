"""Events at moments of one's choosing, landed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from eventbus import Event, Scope
from eventbus.sink import Batch
from eventbus.store.engine import Reader, Writer
from eventbus.store.landing import land
from eventbus.store.pages import Page

FIRST = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
S1 = Scope(session="s1", chat="c1", turn=2, component="brain", user="ann")


def at(seconds: float) -> datetime:
    """That long after the first moment."""
    return FIRST + timedelta(seconds=seconds)


def land_each(writer: Writer, *events: Event) -> None:
    """Land the events, each as a batch of its own."""
    for event in events:
        land(writer, Batch(events=[event]), lane="test")


def walk_through(
    ask: Callable[..., Page[Any]], store: Reader, *, limit: int = 2, **asked: Any
) -> list[Any]:
    """Every item of an answer, page by page; and back again, which must bring the same."""
    page = ask(store, limit=limit, **asked)
    items, last = list(page.items), page
    while page.next is not None:
        page = last = ask(store, limit=limit, cursor=page.next, **asked)
        assert page.items, "a page that was announced is empty"
        items += page.items
    back = list(last.items)
    page = last
    while page.previous is not None:
        page = ask(store, limit=limit, cursor=page.previous, **asked)
        assert page.items, "a page that was announced is empty"
        back = [*page.items, *back]
    assert back == items
    return items
