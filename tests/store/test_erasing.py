"""Events erased from the store leave it as if they had never landed."""

from typing import Any

from eventbus.event import Event
from eventbus.events import DispatchFinished, TaskFinished, TaskRated
from eventbus.scope import scope
from eventbus.sealing.choosing import read_choice
from eventbus.store.engine import Reader, Writer
from eventbus.store.erasing import chosen_ids, erase_events
from eventbus.store.schema import TOPICS
from tests.store.conftest import TABLE, empty
from tests.store.given import land_each
from tests.test_erasure import events_of

SERIAL = {"events", "unparsed_lines", "ingested_files"}
"""Tables whose first column counts up by itself."""


def of_user(user: str, word: str) -> list[Event]:
    with scope(user=user, session=f"s-{user}"):
        return [
            *events_of(user, f"s-{user}", word),
            DispatchFinished(sender_id=user, model="m-1", tokens_in=4, tokens_out=5, cost=0.25),
            TaskFinished(task=f"k-{word}", source="cli", model="m-1", routing="local"),
            TaskRated(task=f"k-{word}", quality_rating=4),
        ]


def tables(store: Reader) -> dict[str, list[Any]]:
    """Every row, without the numbers that depend on what was there before."""
    kept = {}
    for topic in TOPICS:
        for table in TABLE.findall(" ".join(topic.tables)):
            if table not in ("lane_cursors", "store_facts"):
                rows = store.rows(f"SELECT * FROM {table}")
                kept[table] = sorted(repr(row[table in SERIAL :]) for row in rows)
    return kept


def test_the_store_is_as_if_they_had_never_been(emptied: Writer) -> None:
    anns, bobs = of_user("ann", "marzipan"), of_user("bob", "nougat")
    land_each(emptied, *bobs)
    wanted = tables(emptied)
    empty(emptied)
    land_each(emptied, *anns, *bobs)

    gone = erase_events(emptied, [event.id for event in anns])

    assert gone == len(anns)
    assert tables(emptied) == wanted


def test_erasing_what_is_not_there_changes_nothing(emptied: Writer) -> None:
    land_each(emptied, *of_user("bob", "nougat"))
    before = tables(emptied)

    assert erase_events(emptied, ["nobody's"]) == 0
    assert tables(emptied) == before


def test_events_are_chosen_by_what_their_rows_say(emptied: Writer) -> None:
    anns, bobs = of_user("ann", "marzipan"), of_user("bob", "nougat")
    land_each(emptied, *anns, *bobs)

    def chosen(*said: str) -> int:
        return len(chosen_ids(emptied, read_choice(said)))

    assert chosen("user=ann") == len(anns)
    assert chosen("session=s-bob") == len(bobs)
    assert chosen("path=src/nougat.py") == 1
    assert chosen("path=src/nougat.py", "user=ann") == 0
    assert chosen(f"id={bobs[3].id}") == 1
