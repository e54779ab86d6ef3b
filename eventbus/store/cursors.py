"""Where each lane stands: kept in the transaction that lands what is before it."""

from eventbus.sink import Cursor, Place
from eventbus.store.engine import Reader, Writer
from eventbus.store.topic import Topic

__all__ = ["TOPIC", "keep_cursor", "main_cursor", "read_cursor"]

TOPIC = Topic(
    name="cursors",
    tables=(
        """CREATE TABLE lane_cursors (
            lane TEXT NOT NULL, writer TEXT NOT NULL,
            segment TEXT NOT NULL, place {integer} NOT NULL,
            PRIMARY KEY (lane, writer)){strict}""",
        # What the store knows of itself.
        "CREATE TABLE store_facts (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL){strict}",
    ),
)


def keep_cursor(writer: Writer, lane: str, cursor: Cursor) -> None:
    """Say where a lane stands now; writers that are not named stay where they are."""
    if not cursor:
        return
    writer.insert(
        "lane_cursors (lane, writer, segment, place)",
        [(lane, name, place.segment, place.offset) for name, place in sorted(cursor.items())],
        then="ON CONFLICT (lane, writer)"
        " DO UPDATE SET segment = excluded.segment, place = excluded.place",
    )


def read_cursor(reader: Reader, lane: str) -> Cursor:
    """Where a lane stands; empty when nothing of it has landed."""
    rows = reader.rows("SELECT writer, segment, place FROM lane_cursors WHERE lane = ?", (lane,))
    return {writer: Place(segment, place) for writer, segment, place in rows}


def main_cursor(reader: Reader) -> Cursor:
    """Where the lane stands that lands everything: the one named after the engine, or the first."""
    lanes = [row[0] for row in reader.rows("SELECT DISTINCT lane FROM lane_cursors ORDER BY lane")]
    name = reader.dialect.name
    return read_cursor(reader, name if name in lanes or not lanes else lanes[0])
