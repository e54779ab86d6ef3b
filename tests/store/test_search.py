"""Words and filters, newest first; any text is a question."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventbus import Event, Scope
from eventbus.errors import CursorRefused
from eventbus.event import encode
from eventbus.events.log import LogLine
from eventbus.sink import Batch
from eventbus.store import search as search_module
from eventbus.store.engine import Reader, Writer
from eventbus.store.landing import land
from eventbus.store.search import fill_index, search

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
Say = Callable[..., None]


def line(message: str, number: int = 0, kind: str = "app:say", **scope: str) -> LogLine:
    return LogLine(
        event_type=kind,
        source="shop",
        message=message,
        ts=NOON + timedelta(seconds=number),
        scope=Scope(**scope),  # type: ignore[arg-type]
    )


def landed(writer: Writer, *events: Event) -> None:
    land(writer, Batch(events=list(events), lines=[encode(each) for each in events]), lane="x")


def messages(store: Reader, text: str = "", **wishes: object) -> list[str]:
    return [found.message for found in search(store, text, **wishes).items]  # type: ignore[arg-type]


@pytest.fixture
def five(store_writer: Writer) -> None:
    """Some in the index already, some not yet."""
    landed(store_writer, line("the red tea", 1), line("green tea with milk", 2))
    landed(store_writer, line("a redder cup", 3, kind="app:ask"))
    fill_index(store_writer)
    landed(store_writer, line("red wine", 4, session="s1"), line("Café au lait", 5, component="w"))


@pytest.mark.usefixtures("five")
class TestWords:
    def test_every_word_has_to_be_there_and_the_newest_comes_first(self, store: Reader) -> None:
        assert messages(store, "red") == ["red wine", "the red tea"]
        assert messages(store, "tea red") == ["the red tea"]
        assert messages(store, "Tea MILK") == ["green tea with milk"]

    def test_words_in_quotes_stand_together(self, store: Reader) -> None:
        assert messages(store, '"tea with"') == ["green tea with milk"]
        assert messages(store, '"with tea"') == []

    def test_a_star_ends_a_beginning(self, store: Reader) -> None:
        assert messages(store, "red*") == ["red wine", "a redder cup", "the red tea"]

    def test_kind_and_source_have_words_too(self, store: Reader) -> None:
        assert messages(store, "app:ask") == ["a redder cup"]
        assert len(messages(store, "shop")) == 5

    def test_nothing_asked_is_everything(self, store: Reader) -> None:
        assert len(messages(store)) == 5
        assert messages(store, "-- !! ()") == []

    def test_filters_narrow_it(self, store: Reader) -> None:
        assert messages(store, "red", session="s1") == ["red wine"]
        assert messages(store, component="w") == ["Café au lait"]
        assert messages(store, "red*", kinds="*:ask") == ["a redder cup"]
        assert messages(store, kinds=["app:ask", "shop:*"]) == ["a redder cup"]
        assert len(messages(store, kinds="app:*")) == 5
        assert messages(store, since=NOON + timedelta(seconds=5)) == ["Café au lait"]
        assert messages(store, until=NOON + timedelta(seconds=2)) == ["the red tea"]

    def test_a_snippet_shows_where_it_stands(self, store: Reader) -> None:
        assert search(store, "wine").items[0].snippet == "red «wine»"

    def test_pages_follow_each_other(self, store: Reader) -> None:
        first = search(store, "", limit=2)
        second = search(store, "", limit=2, cursor=first.next)
        third = search(store, "", limit=2, cursor=second.next)

        pages = [[found.message for found in page.items] for page in (first, second, third)]
        assert pages == [
            ["Café au lait", "red wine"],
            ["a redder cup", "green tea with milk"],
            ["the red tea"],
        ]
        assert third.next is None

    def test_among_many_matches_it_finds_the_same(
        self, store: Reader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(search_module, "FEW", 0)

        assert messages(store, "red") == ["red wine", "the red tea"]


@pytest.mark.parametrize("cursor", ["x", "", "e30", "WyJhIl0", "é", "A" * 5_000])
def test_a_cursor_that_is_none_of_ours_is_refused(store: Reader, cursor: str) -> None:
    with pytest.raises(CursorRefused, match="no page begins at"):
        search(store, cursor=cursor)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60) | st.text("\"*()^:-+{}ANDORNEAR \x00'%_", max_size=30))
def test_any_text_is_a_question(store: Reader, text: str) -> None:
    assert search(store, text).items == []


def test_what_the_index_lacks_is_found_all_the_same(store_writer: Writer, store: Reader) -> None:
    landed(store_writer, *[line(f"word{n} all", n) for n in range(30)])

    assert messages(store, "word7") == ["word7 all"]
    assert len(messages(store, "all")) == 30
    while fill_index(store_writer, most=7):
        pass
    assert messages(store, "word7") == ["word7 all"]


def test_a_huge_message_is_found_by_its_beginning(store_writer: Writer, store: Reader) -> None:
    landed(store_writer, line("needle " + "hay stack " * 200_000))

    (found,) = search(store, "needle").items

    assert found.snippet.startswith("«needle» hay")
