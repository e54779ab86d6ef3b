"""`audit.jsonl` as it was promised: its fields, a file a day, thirty days of them."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventbus.events import DirectoryMade, FileDeleted, FileWritten
from eventbus.segments import Series, read_lines
from sinks.file import Audit
from tests.sinks.files import NOON, Desk, at, run

TOOL: dict[str, Any] = {"actor": "write_file", "agent_name": "scout", "trace": "t1"}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "state")


def test_a_line_has_exactly_the_promised_fields(desk: Desk) -> None:
    both = {"actor": "ambiguous", "candidates": ("t1", "t2")}
    process: dict[str, Any] = {"pid": 47, "command": "vim"}

    async def go() -> None:
        await desk.open(Audit())
        await desk.write(
            DirectoryMade(path="src", ts=at(10), **TOOL),
            FileWritten(path="src/b.py", size_bytes=9, hash="sha256:0", ts=at(10), **TOOL),
            FileDeleted(path="src/a.py", size_bytes=9, moved_to="src/b.py", ts=at(10)),
            FileWritten(path="c", ts=at(10), **both, **process),
            FileWritten(path="c", ts=at(10), agent_name="scout", **both),
        )
        await desk.close()

    run(go())
    lines = [msgspec.json.decode(line) for line in read_lines(Series.of(desk.logs / "audit.jsonl"))]

    time = "2026-03-10T12:00:00.000Z"
    assert [" ".join(map(str, line.values())) for line in lines] == [
        f"{time} mkdir src 0 write_file scout",
        f"{time} write src/b.py 9 write_file scout",
        f"{time} delete src/a.py 0 unknown unknown",
        f"{time} write c 0 ambiguous unknown",
        f"{time} write c 0 ambiguous scout",
    ]
    assert {" ".join(line) for line in lines} == {"timestamp op path sizeBytes actor agentName"}


def test_there_is_a_file_a_day_and_a_late_line_goes_to_its_own(desk: Desk) -> None:
    async def go() -> None:
        await desk.open(Audit())
        await desk.write(FileWritten(path="today", ts=NOON))
        await desk.tick(days=1)
        await desk.write(FileWritten(path="tomorrow", ts=at(11)), FileWritten(path="late", ts=NOON))
        await desk.close()

    run(go())

    assert desk.names() == ["audit-2026-03-10.jsonl", "audit.jsonl"]
    assert b'"tomorrow"' in (desk.logs / "audit.jsonl").read_bytes()
    assert [
        msgspec.json.decode(line)["path"]
        for line in (desk.logs / "audit-2026-03-10.jsonl").read_bytes().splitlines()
    ] == ["today", "late"]


def test_it_is_kept_for_thirty_days(desk: Desk) -> None:
    async def go() -> None:
        desk.logs.mkdir(parents=True)
        for days in range(1, 41):
            day = (NOON - timedelta(days=days)).date()
            (desk.logs / f"audit-{day}.jsonl").write_text('{"path":"old"}\n')
        (desk.logs / "audit-of-mine.jsonl").write_text("not ours\n")
        await desk.open(Audit())
        await desk.write(FileWritten(path="a", ts=NOON))
        await desk.tick(seconds=1)
        await desk.close()

    run(go())

    names = desk.names()
    assert "audit-2026-02-08.jsonl" in names
    assert "audit-2026-02-07.jsonl" not in names
    assert len(names) == 30 + len(("audit.jsonl", "audit-of-mine.jsonl"))
