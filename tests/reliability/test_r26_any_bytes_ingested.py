"""R26: any bytes in a foreign log land without a crash, and come out again as they were."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventbus.store import foreign_lines, pieces
from eventbus.store.export import export_ingested
from eventbus.store.ingest import Ingested, ingest_file
from eventbus.store.migrations import migrate
from eventbus.store.sqlite import FILE_NAME, SqliteWriter
from tests.reliability.counts import Tell, runs, timeout_for
from tests.store.landing_at_once import Killed, Landing

FILES = runs(ci=300, long=50_000)
SHORT = 48
"""Bytes of a piece, so that long lines are short enough to be many."""

MOMENTS = (b"2024-12-19T14:30:00.001Z", b"2024-12-19T14:30:00+02:00", b"9999-12-31T23:59:59.999Z")
FIELDS = (b"a:b", b"error:io", b"bus:gap", b"log:unparsed", b"", b"x", b"k=v k=v", b'k="a', b"|")
ENDS = (b"\n", b"\r\n", b"\r", b"", b"\x00\n", b"\n\n", "\u2028\n".encode(), b"\xff\n")

nearly_lines = st.builds(
    lambda moment, fields, end: b"|".join([moment, *fields]) + end,
    st.sampled_from(MOMENTS),
    st.lists(st.sampled_from(FIELDS) | st.binary(max_size=8), max_size=5),
    st.sampled_from(ENDS),
)
HEADS = (b"", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xef\xbb\xbf")
"""What files begin with that are packed, or say that they are text."""
contents = st.lists(nearly_lines | st.binary(max_size=120), max_size=25).map(b"".join)


@pytest.fixture
def in_short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", SHORT)
    monkeypatch.setattr(foreign_lines, "PIECE_BYTES", SHORT)
    monkeypatch.setattr(pieces, "READ_BYTES", 37)


def lines_in(content: bytes) -> int:
    return content.count(b"\n") + (not content.endswith(b"\n") and content != b"")


@pytest.mark.usefixtures("in_short_pieces")
@pytest.mark.timeout(timeout_for(FILES, each=0.1))
def test_any_bytes_are_ingested_without_a_crash_and_without_loss(
    ram: Path, record_property: Tell
) -> None:
    """R26: whatever a foreign log holds, every line of it lands, and the file comes out again."""
    writer = SqliteWriter(ram / FILE_NAME)
    migrate(writer)
    path = ram / "foreign.log"
    seen = {"files": 0, "bytes": 0}

    def ingest(killed_after: int | None = None) -> Ingested:
        emit = Landing(writer, killed_after=killed_after)
        return asyncio.run(ingest_file(path, emit=emit, store=writer, rest_seconds=0))

    @settings(max_examples=FILES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        content=contents, head=st.sampled_from(HEADS), killed_after=st.none() | st.integers(0, 40)
    )
    def check(content: bytes, head: bytes, killed_after: int | None) -> None:
        content = head + content if len(content) < 5 else content
        path.write_bytes(content)
        with suppress(Killed):
            ingest(killed_after)
        result = ingest()

        assert (result.lines, result.bytes) == (lines_in(content), len(content))
        assert b"".join(export_ingested(writer, path)) == content
        assert ingest().emitted == 0
        seen["files"] += 1
        seen["bytes"] += len(content)

    check()
    writer.close()

    told = f"{seen['files']:,} files of any bytes, {seen['bytes']:,} bytes"
    record_property("figure", f"{told}: all came out as they were")
