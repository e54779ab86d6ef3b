"""The tables: those promised to people who ask them in SQL, and those the page shows."""

import re
from pathlib import Path

import pytest

from eventbus.store.engine import Writer
from eventbus.store.schema import TOPICS

PAGE = Path(__file__).parents[2] / "docs" / "store.md"
TABLES = re.findall(r"CREATE TABLE (\w+)", " ".join(each for t in TOPICS for each in t.tables))

PROMISED = {
    "events": "id INTEGER PK, ts TEXT NOT NULL, event_type TEXT NOT NULL, source TEXT NOT NULL,"
    " message TEXT NOT NULL, session_id TEXT, kv_json TEXT, raw_line TEXT NOT NULL",
    "sessions": "id TEXT PK, start_time TEXT NOT NULL, end_time TEXT, cli_tool TEXT, persona TEXT,"
    " nexus_mode TEXT",
    "tasks": "id TEXT PK, session_id TEXT NOT NULL, timestamp TEXT NOT NULL, source TEXT NOT NULL,"
    " model TEXT NOT NULL, routing TEXT NOT NULL, routing_reason TEXT, tokens_in INTEGER,"
    " tokens_out INTEGER, latency_ms INTEGER, cost_usd REAL, cloud_cost_equivalent REAL,"
    " quality_rating INTEGER, prompt_length INTEGER, response_length INTEGER",
    "routing_decisions": "id TEXT PK, task_id TEXT NOT NULL, reason TEXT NOT NULL,"
    " alternatives_considered TEXT, classifier_version TEXT",
    "tool_traces": "id TEXT PK, session_id TEXT NOT NULL, chat_id TEXT NOT NULL, message_id TEXT,"
    " turn_number INTEGER NOT NULL, tool_name TEXT NOT NULL, tool_input TEXT NOT NULL,"
    " tool_output TEXT, started_at TEXT NOT NULL, finished_at TEXT, latency_ms REAL,"
    " tokens_used INTEGER, cache_tokens INTEGER, reasoning_tokens INTEGER, error TEXT,"
    " outcome TEXT, created_at TEXT NOT NULL",
    "agent_snapshots": "chat_id TEXT PK, session_id TEXT NOT NULL, turn_number INTEGER NOT NULL,"
    " state TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL",
}
"""Frozen: columns may be added to a table, none may change or go."""

REFERS = {("tasks", "session_id", "sessions"), ("routing_decisions", "task_id", "tasks")}
INDEXED = {
    "idx_events_ts": ["ts"],
    "idx_events_type_ts": ["event_type", "ts"],
    "idx_events_session_ts": ["session_id", "ts"],
}

ON_POSTGRES = {"bigint": "INTEGER", "text": "TEXT", "double precision": "REAL", "bytea": "BLOB"}


def columns_of(writer: Writer, table: str) -> list[str]:
    """Each as `name TYPE`, with what it must be."""
    if writer.dialect.name == "sqlite":
        return [
            f"{name} {kind}{' PK' if is_key else ' NOT NULL' if is_needed else ''}"
            for _, name, kind, is_needed, _, is_key in writer.rows(f"PRAGMA table_info({table})")
        ]
    rows = writer.rows(
        "SELECT column_name, data_type, is_nullable,"
        " (SELECT count(*) FROM information_schema.key_column_usage AS used"
        "  JOIN information_schema.table_constraints AS kept USING (constraint_schema,"
        "  constraint_name) WHERE kept.constraint_type = 'PRIMARY KEY'"
        "  AND used.table_schema = told.table_schema AND used.table_name = told.table_name"
        "  AND used.column_name = told.column_name)"
        " FROM information_schema.columns AS told"
        " WHERE table_schema = current_schema() AND table_name = ? ORDER BY ordinal_position",
        (table,),
    )
    return [
        f"{name} {ON_POSTGRES[kind]}{' PK' if is_key else ' NOT NULL' if may == 'NO' else ''}"
        for name, kind, may, is_key in rows
    ]


@pytest.mark.parametrize("table", PROMISED)
def test_a_promised_table_has_its_columns(emptied: Writer, table: str) -> None:
    there = columns_of(emptied, table)

    assert [each for each in PROMISED[table].split(", ") if each not in there] == []


def test_what_refers_to_others_is_held_to_it(emptied: Writer) -> None:
    if emptied.dialect.name != "sqlite":
        pytest.skip("asked of SQLite, which knows what refers to what")
    refers = {
        (table, row[3], row[2])
        for table in TABLES
        for row in emptied.rows(f"PRAGMA foreign_key_list({table})")
    }

    assert refers == REFERS
    assert emptied.row("PRAGMA foreign_keys") == (1,)


@pytest.mark.parametrize("index", INDEXED)
def test_a_promised_index_is_there(emptied: Writer, index: str) -> None:
    if emptied.dialect.name == "sqlite":
        columns = [row[2] for row in emptied.rows(f"PRAGMA index_info({index})")]
    else:
        row = emptied.row(
            "SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() AND indexname = ?",
            (index,),
        )
        assert row is not None
        columns = row[0].partition("(")[2].rstrip(")").split(", ")

    assert columns == INDEXED[index]


def test_the_page_shows_every_table_with_its_columns(emptied: Writer) -> None:
    shown = {
        row[1]: re.findall(r"`(\w+)`", row[2])
        for row in re.finditer(r"^\| `(\w+)` \|[^|]+\| (`.+) \|$", PAGE.read_text(), re.MULTILINE)
    }

    there = {table: columns_of(emptied, table) for table in TABLES}
    assert shown == {
        table: [column.partition(" ")[0] for column in columns] for table, columns in there.items()
    }, "docs/store.md has a row for every table, with its columns in order"
