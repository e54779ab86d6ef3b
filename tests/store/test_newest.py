"""However few events fit, an answer comes soon, and page by page all of them do."""

from random import Random
from typing import Any

import pytest

from eventbus import Scope
from eventbus.events import LogLine
from eventbus.kinds import KindFilter
from eventbus.sink import Batch
from eventbus.store import newest as newest_module
from eventbus.store import search as search_module
from eventbus.store.engine import Reader, Writer
from eventbus.store.landing import land
from eventbus.store.search import Found, fill_index, search
from tests.store.given import at

KINDS = ("a:start", "a:stop", "b:start", "b:stop", "c:rare")
FILTERS: tuple[dict[str, Any], ...] = (
    {},
    {"component": "worker"},
    {"kinds": "a:start"},
    {"kinds": ("a:*", "c:rare")},
    {"kinds": "*:start", "component": "worker"},
    {"kinds": "no:such"},
    {"session": "s1"},
    {"session": "s2", "kinds": "*:stop"},
    {"session": "s1", "component": "worker", "kinds": "b:*"},
    {"text": "tea"},
    {"text": "tea", "component": "worker"},
    {"text": "tea", "kinds": "c:*"},
    {"text": "tea", "session": "s1"},
)


@pytest.fixture
def many(emptied: Writer) -> Writer:
    """Events of which several happened at the same time, half of them in the words' index."""
    random = Random(3)
    events = [_event(random) for _ in range(160)]
    land(emptied, Batch(events=events[:80]), lane="test")
    fill_index(emptied)
    land(emptied, Batch(events=events[80:]), lane="test")
    return emptied


def _event(random: Random) -> LogLine:
    return LogLine(
        event_type=random.choices(KINDS, (8, 8, 8, 8, 1))[0],
        source="shop",
        message=random.choice(("red tea", "green tea", "milk")),
        ts=at(random.randrange(40)),
        scope=Scope(
            session=random.choice((None, "s1", "s2")),
            component=random.choices((None, "brain", "worker"), (4, 4, 1))[0],
        ),
    )


def all_pages(store: Reader, **wish: Any) -> tuple[list[Found], int]:
    """Every item, and how many pages it took."""
    page, pages = search(store, limit=5, **wish), 1
    items = list(page.items)
    while page.next is not None:
        page, pages = search(store, limit=5, cursor=page.next, **wish), pages + 1
        assert len(page.items) <= 5
        items += page.items
    return items, pages


def those_that_fit(store: Reader, text: str = "", **wish: Any) -> list[str]:
    """The same by looking at every event."""
    rows = store.rows(
        "SELECT event_id, event_type, message, session_id, component FROM events"
        " ORDER BY ts DESC, id DESC"
    )
    wants_kind = KindFilter(wish.get("kinds"))
    return [
        id
        for id, kind, message, session, component in rows
        if wants_kind(kind)
        and text in message
        and wish.get("session") in (None, session)
        and wish.get("component") in (None, component)
    ]


@pytest.mark.parametrize("wish", FILTERS, ids=str)
@pytest.mark.parametrize("merged", [100, 1], ids=["kinds followed", "kinds tried"])
def test_every_event_that_fits_is_on_one_page_in_order(
    many: Writer, monkeypatch: pytest.MonkeyPatch, wish: dict[str, Any], merged: int
) -> None:
    """With so few tries that most pages end before they are full."""
    monkeypatch.setattr(newest_module, "TRIED_FIRST", 3)
    monkeypatch.setattr(newest_module, "KINDS_MERGED", merged)
    monkeypatch.setattr(search_module, "TRIED_MOST", 11)
    monkeypatch.setattr(search_module, "TRIED_FOR_WORDS", 11)
    monkeypatch.setattr(search_module, "FEW", 0)
    monkeypatch.setattr(search_module, "MANY", 0)

    items, _ = all_pages(many, **wish)

    assert [each.id for each in items] == those_that_fit(many, **wish)


def test_a_page_tries_no_more_than_so_many(many: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "TRIED_MOST", 40)

    items, pages = all_pages(many, component="nobody")

    assert items == []
    assert pages == 160 // 40 + 1


def test_where_the_newest_have_not_the_words_all_that_have_are_put_in_order(
    emptied: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [
        LogLine(event_type="a:b", message="tea" if number < 3 else "milk", ts=at(number))
        for number in range(30)
    ]
    land(emptied, Batch(events=events), lane="test")
    fill_index(emptied)
    monkeypatch.setattr(search_module, "FEW", 2)
    monkeypatch.setattr(search_module, "TRIED_FOR_WORDS", 5)

    page = search(emptied, "tea")

    assert [found.message for found in page.items] == ["tea", "tea", "tea"]
    assert page.next is None
