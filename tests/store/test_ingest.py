"""Each line of a foreign log once, whatever happens, and the file byte for byte again."""

import asyncio
import gzip
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from eventbus.errors import ExportRefused, IngestRefused
from eventbus.segments import load_zstd
from eventbus.store import pieces as pieces_module
from eventbus.store.engine import Reader, Writer
from eventbus.store.export import export_ingested
from eventbus.store.ingest import Ingested, Progress, ingest_file
from eventbus.store.ingested import ingested_files
from tests.reliability.counts import runs
from tests.store.landing_at_once import Killed, Landing

LINES = (
    b"2024-12-19T14:30:00.001Z|app:start|main|version=0.1.0\n",
    b"2024-12-19T14:32:01.015Z|websocket:connect|websockets|session_id=abc123\n",
    b"2024-12-19T14:32:03.533Z|llm:response|agent|done tokens_out=128 latency_ms=2333\n",
)
LOG = b"".join(LINES)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "agent.log"


async def ingest(
    path: Path, writer: Writer, *, killed_after: int | None = None, knows: bool = True
) -> Ingested:
    return await ingest_file(
        path,
        emit=Landing(writer, killed_after=killed_after),
        store=writer if knows else None,
        rest_seconds=0,
    )


async def ingest_bytes(path: Path, content: bytes, writer: Writer) -> Ingested:
    path.write_bytes(content)
    return await ingest(path, writer)


def exported(store: Reader, file: object) -> bytes:
    return b"".join(export_ingested(store, str(file)))


def messages(store: Reader) -> list[str]:
    return [row[0] for row in store.rows("SELECT message FROM events ORDER BY event_id")][:-1]


def lines_landed(store: Reader) -> int:
    rows = store.rows("SELECT count(*) FROM events WHERE event_type <> 'log:ingest'")
    return int(rows[0][0])


# --- what becomes of a line ------------------------------------------------------------


async def test_a_line_is_an_event_with_its_own_time(log: Path, store_writer: Writer) -> None:
    result = await ingest_bytes(log, LOG, store_writer)

    assert (result.lines, result.unparsed, result.emitted, result.bytes) == (3, 0, 3, len(LOG))
    rows = store_writer.rows(
        "SELECT ts, event_type, source, message, session_id, kv_json, raw_line, raw_bytes"
        " FROM events WHERE event_type <> 'log:ingest' ORDER BY id"
    )
    assert [row[6].encode() + b"\n" for row in rows] == list(LINES)
    assert rows[1][:6] == (
        "2024-12-19T14:32:01.015Z",
        "websocket:connect",
        "websockets",
        "session_id=abc123",
        "abc123",
        '{"session_id":"abc123"}',
    )
    assert rows[2][3:6] == (
        "done tokens_out=128 latency_ms=2333",
        None,
        '{"tokens_out":"128","latency_ms":"2333"}',
    )
    assert {row[7] for row in rows} == {None}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"no line\n", "1 field instead of 4"),
        (b"\n", "1 field instead of 4"),
        (b"2024-12-19T14:30:00.001Z|a:b|x\n", "3 fields instead of 4"),
        (b"yesterday|a:b|x|m\n", "timestamp 'yesterday'; ISO 8601 with a time zone is allowed"),
        (b"2024-12-19T14:30:00.001Z|a|x|m\n", "event type 'a'; category:action is allowed"),
        (b"\xff\xfe\x00", "1 field instead of 4"),
    ],
)
async def test_what_is_no_line_is_kept_as_it_is_and_counted(
    log: Path, store_writer: Writer, line: bytes, reason: str
) -> None:
    result = await ingest_bytes(log, LINES[0] + line, store_writer)

    assert (result.lines, result.unparsed) == (2, 1)
    rows = store_writer.rows("SELECT reason, raw, place, file, part FROM unparsed_lines")
    assert [(row[0], bytes(row[1]), *row[2:]) for row in rows] == [
        (reason, line, len(LINES[0]), result.file, 0)
    ]
    rows = store_writer.rows("SELECT ts FROM events WHERE event_type = 'log:unparsed'")
    assert rows == [("2024-12-19T14:30:00.001Z",)]


@pytest.mark.parametrize(
    "line",
    [
        b"2024-12-19T14:30:00.001Z|a:b|x|caf\xe9\n",
        b"2024-12-19T14:30:00.001Z|a:b|x|windows\r\n",
        b"2024-12-19T14:30:00.001Z|a:b|x|lone\rreturn\n",
        b"2024-12-19T14:30:00.001Z|a:b|x|nul\x00\n",
        b"2024-12-19T14:30:00.001Z|a:b|x|\x1b[31mred\n",
        b"2024-12-19T14:30:00.001Z|a:b|x|no end",
        b"2024-12-19T14:30:00.001Z|error:io|x|bars|in|errors\n",
        b"2024-12-19T16:30:00.001+02:00|a:b|x|elsewhere\n",
        b"2024-12-19T14:30:00Z|a:b|x|seconds\n",
        b"2024-12-19T14:30:00.001Z|bus:gap|x|forged\n",
        b"2024-12-19T14:30:00.001Z|a:b|x|k=1 k=2\n",
        b'2024-12-19T14:30:00.001Z|a:b|x|k="a b" l=[1, 2]\n',
        b"2024-12-19T14:30:00.001Z|a:b|x| k=v\n",
        b"2024-12-19T14:30:00.001Z|log:unparsed|ingest|a reason part=7\n",
    ],
)
async def test_a_line_that_is_not_as_we_write_it_is_an_event_all_the_same(
    log: Path, store_writer: Writer, line: bytes
) -> None:
    result = await ingest_bytes(log, line, store_writer)

    assert result.unparsed == 0
    (row,) = store_writer.rows("SELECT ts, raw_line FROM events WHERE event_type <> 'log:ingest'")
    assert row[0].startswith("2024-12-19T14:30:00")
    assert row[1].isprintable()
    assert exported(store_writer, log) == line


async def test_a_line_too_long_for_the_journal_is_kept_in_parts(
    log: Path, store_writer: Writer
) -> None:
    long = b"x" * (3 * pieces_module.PIECE_BYTES) + b"\n"

    result = await ingest_bytes(log, LINES[0] + long + LINES[1], store_writer)

    assert (result.lines, result.unparsed, result.emitted) == (3, 1, 6)
    parts = store_writer.rows("SELECT part, reason FROM unparsed_lines ORDER BY place")
    assert [part for part, _ in parts] == [0, 1, 2, 3]
    assert {reason for _, reason in parts} == {"longer than 262143 bytes"}
    assert exported(store_writer, log) == LINES[0] + long + LINES[1]


async def test_a_line_that_grows_in_the_journal_is_kept_whole(
    log: Path, store_writer: Writer
) -> None:
    """A control character takes six letters there."""
    line = b"2024-12-19T14:30:00.001Z|a:b|x|" + b"\x01" * 250_000 + b"\n"

    result = await ingest_bytes(log, line, store_writer)

    assert result.unparsed == 1
    assert exported(store_writer, log) == line


# --- once ------------------------------------------------------------------------------


async def test_ingesting_again_adds_nothing(log: Path, store_writer: Writer) -> None:
    first = await ingest_bytes(log, LOG + b"?\n", store_writer)

    again = await ingest(log, store_writer)

    assert (again.lines, again.unparsed, again.emitted) == (4, 1, 0)
    assert again.file == first.file
    assert lines_landed(store_writer) == 4
    assert len(ingested_files(store_writer)) == 1


async def test_without_looking_at_the_store_nothing_lands_twice_either(
    log: Path, store_writer: Writer
) -> None:
    await ingest_bytes(log, LOG + b"?\n", store_writer)

    again = await ingest(log, store_writer, knows=False)

    assert again.emitted == 4
    assert lines_landed(store_writer) == 4


async def test_a_file_that_grew_gives_what_is_new(log: Path, store_writer: Writer) -> None:
    first = await ingest_bytes(log, LINES[0], store_writer)
    second = await ingest_bytes(log, LOG, store_writer)

    assert (second.file, second.emitted) == (first.file, 2)
    assert exported(store_writer, log) == LOG


async def test_a_rotated_copy_is_the_same_file(log: Path, store_writer: Writer) -> None:
    await ingest_bytes(log, LOG, store_writer)
    archive = log.with_name("agent.log.1.gz")
    archive.write_bytes(gzip.compress(LOG) + gzip.compress(LINES[0]))

    result = await ingest(archive, store_writer)
    fresh = await ingest_bytes(log, LINES[2], store_writer)

    assert (result.emitted, result.bytes) == (1, len(LOG) + len(LINES[0]))
    assert fresh.emitted == 1
    assert exported(store_writer, archive) == LOG + LINES[0]
    assert exported(store_writer, log) == LINES[2]


async def test_files_that_begin_alike_part_where_they_differ(
    tmp_path: Path, store_writer: Writer
) -> None:
    """A header alone makes no file the same as another."""
    contents = {
        "a": LOG,
        "b": LINES[0] + b"?" * (len(LINES[1]) - 1) + b"\n" + LINES[2],
        "c": LINES[0] + LINES[1] + LINES[1],
        "d": LINES[0] + LINES[1],
        "e": LINES[0] + LINES[1] + LINES[1] + LINES[0],
    }
    for name, content in contents.items():
        await ingest_bytes(tmp_path / name, content, store_writer)

    assert len({file.file for file in ingested_files(store_writer)}) == 1
    assert lines_landed(store_writer) == 3 + 2 + 1 + 0 + 1
    for name, content in contents.items():
        assert exported(store_writer, tmp_path / name) == content
    assert exported(store_writer, ingested_files(store_writer)[0].file) == contents["e"]


async def test_a_line_begun_is_waited_for(log: Path, store_writer: Writer) -> None:
    log.write_bytes(LOG[:-10])

    async def finish() -> None:
        await asyncio.sleep(0.1)
        with log.open("ab") as file:
            file.write(LOG[-10:])

    writing = asyncio.ensure_future(finish())
    result = await ingest_file(log, emit=Landing(store_writer), store=store_writer, rest_seconds=20)
    await writing

    assert (result.lines, result.unparsed) == (3, 0)
    assert exported(store_writer, log) == LOG


async def test_a_file_from_the_future_is_not_waited_for_any_longer(
    log: Path, store_writer: Writer
) -> None:
    log.write_bytes(LOG[:-10])
    os.utime(log, (4_000_000_000, 4_000_000_000))

    result = await ingest_file(log, emit=Landing(store_writer), rest_seconds=0.1)

    assert result.bytes == len(LOG) - 10


async def test_two_at_once_land_each_line_once(log: Path, store_writer: Writer) -> None:
    log.write_bytes(LOG * 2_000)

    await asyncio.gather(*[ingest(log, store_writer) for _ in range(2)])

    assert lines_landed(store_writer) == 6_000
    assert exported(store_writer, log) == LOG * 2_000


FRAGMENTS = (
    *LINES,
    LINES[0][:-1] + b"\r\n",
    b"2024-12-19T14:30:00.001Z|a:b|x|caf\xe9\n",
    b"2024-12-19T14:30:00.001Z|a:b|x|\x00|\x1b\n",
    b"\n",
    b"\r",
    b"|",
    b"\xff\n",
    b"x" * 70,
    b"x" * 31 + b"\n",
    b"x" * 32 + b"\n",
)
CONTENTS = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=90), max_size=30).map(b"".join)


PACKED = (b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd")
"""How gzip and zstd begin."""


@pytest.mark.parametrize("head", PACKED, ids=["gzip", "zstd"])
def test_a_file_that_only_looks_packed_is_read_as_it_is(
    log: Path, store_writer: Writer, head: bytes
) -> None:
    content = head + b"2024-12-19T14:30:00.001Z|app:start|main|version=0.1.0\n"
    log.write_bytes(content)

    asyncio.run(ingest(log, store_writer))

    assert exported(store_writer, log) == content


@pytest.mark.usefixtures("short_pieces")
class TestAnyBytes:
    @settings(
        max_examples=runs(ci=25, long=5_000),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(content=CONTENTS, kills=st.lists(st.integers(0, 30), max_size=4), grown=st.binary())
    def test_any_bytes_come_out_again(
        self, log: Path, store_writer: Writer, content: bytes, kills: list[int], grown: bytes
    ) -> None:
        """Killed at any event, twice over, and grown; lines of 32 bytes are long here."""
        assume(not (content + grown).startswith(PACKED))  # half of an archive is refused
        log.write_bytes(content)
        for kill in kills:
            try:
                asyncio.run(ingest(log, store_writer, killed_after=kill))
            except Killed:
                pass
        result = asyncio.run(ingest(log, store_writer))
        assert exported(store_writer, log) == content
        ids = store_writer.rows(
            "SELECT event_id FROM events WHERE event_id LIKE ?", (f"in-{result.file or '!'}%",)
        )
        assert len(ids) >= result.lines

        content += grown
        log.write_bytes(content)
        asyncio.run(ingest(log, store_writer))

        assert asyncio.run(ingest(log, store_writer)).emitted == 0
        assert exported(store_writer, log) == content


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are long, and reads short, where a test can afford them."""
    monkeypatch.setattr(pieces_module, "PIECE_BYTES", 32)
    monkeypatch.setattr("eventbus.store.foreign_lines.PIECE_BYTES", 32)
    monkeypatch.setattr(pieces_module, "READ_BYTES", 24)


async def test_a_name_may_be_no_text(tmp_path: Path, store_writer: Writer) -> None:
    log = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.log"))
    result = await ingest_bytes(log, LOG, store_writer)

    assert result.path.endswith("/caf\\xe9.log")
    assert exported(store_writer, log) == LOG


async def test_an_empty_file_is_one_too(log: Path, store_writer: Writer) -> None:
    result = await ingest_bytes(log, b"", store_writer)

    assert (result.file, result.lines) == ("", 0)
    assert exported(store_writer, log) == b""


async def test_a_hole_is_told_before_anything_is_given(log: Path, store_writer: Writer) -> None:
    await ingest_bytes(log, LOG, store_writer)
    store_writer.run("DELETE FROM events WHERE event_type = 'websocket:connect'")

    with pytest.raises(ExportRefused, match="not all in the store"):
        export_ingested(store_writer, log)


async def test_a_file_that_was_not_ingested_is_told(log: Path, store_writer: Writer) -> None:
    with pytest.raises(ExportRefused, match=r"no file 'nowhere.log' was ingested"):
        export_ingested(store_writer, "nowhere.log")
    log.write_bytes(LOG)
    with pytest.raises(ExportRefused, match="not all in the store"):
        export_ingested(store_writer, log)


async def test_a_file_is_known_by_its_content_too(log: Path, store_writer: Writer) -> None:
    await ingest_bytes(log, LOG, store_writer)
    moved = log.rename(log.with_name("moved.log"))

    assert exported(store_writer, moved) == LOG


# --- packed ----------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [gzip.compress, load_zstd().compress])
async def test_a_packed_file_is_read_as_what_it_holds(
    log: Path, store_writer: Writer, pack: object
) -> None:
    content = LOG * 3_000
    packed = pack(content)  # type: ignore[operator]
    steps: list[Progress] = []
    log.write_bytes(packed)

    result = await ingest_file(
        log, emit=Landing(store_writer, most=1_000), store=store_writer, progress=steps.append
    )

    assert (result.lines, result.bytes) == (9_000, len(content))
    assert exported(store_writer, log) == content
    assert (steps[-1].done_bytes, steps[-1].size_bytes) == (len(packed), len(packed))
    assert steps[-1].lines == 9_000


@pytest.mark.parametrize("pack", [gzip.compress, load_zstd().compress])
@pytest.mark.parametrize("spoil", [lambda packed: packed[:-9], lambda packed: packed + b"more"])
async def test_a_packed_file_that_is_broken_is_told_and_what_was_read_is_kept(
    log: Path, store_writer: Writer, pack: object, spoil: object
) -> None:
    log.write_bytes(spoil(pack(os.urandom(300_000).hex().encode() + b"\n" + LOG)))  # type: ignore[operator]

    with pytest.raises(IngestRefused, match=r"cannot unpack .*agent.log beyond byte"):
        await ingest(log, store_writer)

    assert lines_landed(store_writer) > 0


async def test_what_unpacks_beyond_measure_is_refused(
    log: Path, store_writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces_module, "EXPANSION_FREE", 300_000)
    log.write_bytes(load_zstd().compress((b"x" * 99_999 + b"\n") * 20))

    with pytest.raises(IngestRefused, match="unpacks to more than 250 times its size"):
        await ingest(log, store_writer)


# --- what is not read --------------------------------------------------------------------


async def test_only_plain_files_are_read(tmp_path: Path, store_writer: Writer) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(LOG)
    (tmp_path / "link").symlink_to(plain)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket"))
    listening.close()
    names = {
        "link": "a symbolic link",
        "pipe": "a pipe",
        "folder": "a directory",
        "socket": "a socket",
    }

    for name, what in {**names, "/dev/null": "a device"}.items():
        with pytest.raises(IngestRefused, match=f"it is {what}; only plain files are read"):
            await ingest(tmp_path / name, store_writer)
    with pytest.raises(IngestRefused, match=r"cannot read .*nothing: No such file"):
        await ingest(tmp_path / "nothing", store_writer)


async def test_a_recorders_own_files_are_refused(tmp_path: Path, store_writer: Writer) -> None:
    from eventbus import EventBus

    state = tmp_path / "agent"
    with EventBus(state, sinks=["flat"]):
        pass
    (tmp_path / "other").symlink_to(state / "logs")
    for path in (state / "logs" / "activity.log", tmp_path / "other" / "activity.log"):
        with pytest.raises(IngestRefused, match=r"belongs to the recorder of .*agent, and its"):
            await ingest(path, store_writer)


async def test_a_folder_that_is_only_called_like_ours_is_read(
    tmp_path: Path, store_writer: Writer
) -> None:
    for name in ("journal", "run", "logs"):
        (tmp_path / name).mkdir()

    assert (await ingest_bytes(tmp_path / "logs" / "activity.log", LOG, store_writer)).lines == 3


async def test_unparsed_lines_before_any_time_have_none(log: Path, store_writer: Writer) -> None:
    await ingest_bytes(log, b"?\n" + LINES[0], store_writer)
    await ingest_bytes(log, b"?\n" + LINES[0] + b"!\n", store_writer)

    rows = store_writer.rows("SELECT ts FROM events WHERE event_type = 'log:unparsed' ORDER BY id")
    assert rows == [("1970-01-01T00:00:00.000Z",), ("2024-12-19T14:30:00.001Z",)]
    assert datetime.fromisoformat(rows[0][0]) == datetime(1970, 1, 1, tzinfo=UTC)
