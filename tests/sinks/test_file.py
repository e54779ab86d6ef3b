"""The file sink: what goes into which file, and when a file is set aside."""

import os
import stat
from pathlib import Path

import pytest

from eventbus.errors import SettingsError
from eventbus.event import decode
from eventbus.events import DispatchFinished, ErrorRaised, LogRotated
from eventbus.segments import Series, read_lines
from eventbus.sink import Batch, Home, Sink, find_sink, installed_sinks
from eventbus.testing import SinkContract
from sinks.file import (
    Audit,
    Errors,
    FileSettings,
    FileSink,
    Flat,
    Interactions,
    Jsonl,
    Sessions,
)
from tests.sinks.files import Desk, at, line, lines_in, messages, place, run


def ids_in(path: Path) -> list[str]:
    return [decode(one).id for one in read_lines(Series.of(path))]


class TestFileSinkContract(SinkContract):
    def make(self, state: Path) -> Sink:
        return FileSink(path="events.jsonl")

    def read(self, state: Path) -> list[str]:
        return ids_in(state / "logs" / "events.jsonl")


class TestDatedFilesContract(SinkContract):
    def make(self, state: Path) -> Sink:
        return FileSink(path="events-{date}.jsonl", rotate_bytes=50_000)

    def read(self, state: Path) -> list[str]:
        return ids_in(state / "logs" / "events-{date}.jsonl")


@pytest.mark.parametrize("make", [Flat, Audit, Interactions, Errors, Sessions])
class TestShapesContract(SinkContract):
    @pytest.fixture(autouse=True)
    def choose(self, make: type[FileSink]) -> None:
        self.chosen = make

    def make(self, state: Path) -> Sink:
        return self.chosen()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "state")


# --- lines --------------------------------------------------------------------


def test_full_records_are_written_byte_for_byte(desk: Desk) -> None:
    stranger = b'{"kind":"a:b","id":"1","ts":"2026-03-10T01:00:00Z","later":{"field":1}}'

    async def go() -> None:
        await desk.open(Jsonl())
        await desk.sink.write(Batch(lines=[stranger], cursor=place(1)))
        await desk.close()

    run(go())

    assert (desk.logs / "events.jsonl").read_bytes() == stranger + b"\n"


def test_each_shape_takes_only_its_own_kinds(desk: Desk) -> None:
    async def go() -> None:
        await desk.open(Errors())
        await desk.write(line("no error"), ErrorRaised(type="ValueError", message="bad"))
        await desk.close()

    run(go())

    assert lines_in(desk.logs / "errors.jsonl") == ["bad"]


def test_kinds_are_those_of_the_shape_unless_the_settings_say_otherwise() -> None:
    assert Audit().kinds == ("file:write", "file:delete", "file:mkdir")
    assert FileSink(kinds=("tool:*",)).kinds == ("tool:*",)


def test_a_batch_with_nothing_for_the_shape_still_moves_the_cursor(desk: Desk) -> None:
    async def go() -> object:
        await desk.open(Errors())
        await desk.write(line("no error"))
        await desk.close()
        return await desk.open(Errors())

    assert run(go()) == place(1)


# --- days ---------------------------------------------------------------------


@pytest.mark.parametrize("write", ["write", "write_lines"])
def test_a_late_line_goes_to_its_own_days_file(desk: Desk, write: str) -> None:
    async def go() -> None:
        await desk.open(Jsonl())
        await getattr(desk, write)(line("today"), line("late", at(8)), line("today too"))
        await desk.close()

    run(go())

    assert lines_in(desk.logs / "events.jsonl") == ["today", "today too"]
    assert lines_in(desk.logs / "events-2026-03-08.jsonl") == ["late"]


def test_the_day_of_a_line_is_its_day_in_utc(desk: Desk) -> None:
    """A moment may be written in any time zone."""
    stranger = b'{"kind":"a:b","id":"1","ts":"2026-03-10T01:00:00+02:00","message":"m"}'

    async def go() -> None:
        await desk.open(Jsonl())
        await desk.sink.write(Batch(lines=[stranger], cursor=place(1)))
        await desk.close()

    run(go())

    assert desk.names() == ["events-2026-03-09.jsonl"]


def test_when_the_day_ends_the_file_gets_the_name_of_its_lines_day(desk: Desk) -> None:
    async def go() -> None:
        await desk.open(Flat())
        await desk.write(line("first"))
        await desk.tick(days=1)
        await desk.write(line("second", at(11)))
        await desk.close()

    run(go())

    assert lines_in(desk.logs / "activity-2026-03-10.log") == ["first"]
    assert lines_in(desk.logs / "activity.log") == ["second"]


def test_a_write_past_midnight_rotates_without_waiting_for_a_tick(desk: Desk) -> None:
    async def go() -> None:
        await desk.open(Flat())
        await desk.write(line("first"))
        desk.clock.advance(days=1)
        await desk.write(line("late", at(10, 23)), line("second", at(11)))
        await desk.close()

    run(go())

    assert lines_in(desk.logs / "activity-2026-03-10.log") == ["first", "late"]
    assert lines_in(desk.logs / "activity.log") == ["second"]


def test_a_file_left_days_ago_is_named_after_its_lines(desk: Desk) -> None:
    """The recorder slept; the day of the rename is not the day of the lines."""

    async def go() -> None:
        await desk.open(Flat())
        await desk.write(line("old"))
        await desk.close()
        desk.clock.advance(days=5)
        await desk.open(Flat())
        await desk.tick()
        await desk.close()

    run(go())

    assert desk.names() == ["activity-2026-03-10.log"]


def test_a_days_file_that_exists_is_never_overwritten(desk: Desk) -> None:
    async def go() -> None:
        await desk.open(Flat())
        await desk.write(line("first"))
        (desk.logs / "activity-2026-03-10.log").write_bytes(
            b"2026-03-10T01:00:00.000Z|a:b|c|theirs\n"
        )
        await desk.tick(days=1)
        await desk.close()

    run(go())

    assert lines_in(desk.logs / "activity-2026-03-10.log") == ["theirs"]
    assert lines_in(desk.logs / "activity-2026-03-10.1.log") == ["first"]


def test_dispatches_go_to_the_file_of_their_day(desk: Desk) -> None:
    async def go() -> None:
        await desk.open(Interactions())
        await desk.write(*(DispatchFinished(sender_id="u", ts=at(day)) for day in (10, 9)))
        await desk.tick(days=1)
        await desk.write(DispatchFinished(sender_id="u", ts=at(11)))
        await desk.close()

    run(go())

    assert desk.names() == [f"interactions-2026-03-{day}.jsonl" for day in ("09", "10", "11")]


def test_a_clock_set_back_takes_nothing_along(desk: Desk) -> None:
    """A wrong clock made a file of 2100; today's lines do not go into it."""

    async def go() -> None:
        await desk.open(Flat())
        desk.clock.jump(at(1).replace(year=2100))
        await desk.write(line("future", at(1).replace(year=2100)))
        desk.clock.jump(at(10))
        await desk.write(line("now"))
        await desk.close()

    run(go())

    assert lines_in(desk.logs / "activity-2100-03-01.log") == ["future"]
    assert lines_in(desk.logs / "activity.log") == ["now"]


# --- sizes --------------------------------------------------------------------


def test_a_full_file_becomes_a_numbered_segment_of_its_day(desk: Desk) -> None:
    async def go() -> None:
        await desk.open(Flat(rotate_bytes=200))
        for n in range(9):
            await desk.write(line(f"n={n}"))
        await desk.close()

    run(go())

    assert desk.names() == [
        "activity-2026-03-10.1.log",
        "activity-2026-03-10.2.log",
        "activity.log",
    ]
    assert all((desk.logs / name).stat().st_size <= 200 for name in desk.names())


def test_a_batch_larger_than_a_file_is_spread_over_several(desk: Desk) -> None:
    async def go() -> None:
        await desk.open(Flat(rotate_bytes=200))
        await desk.write(*(line(f"n={n}") for n in range(20)))
        await desk.close()

    run(go())

    assert all((desk.logs / name).stat().st_size <= 200 for name in desk.names())
    assert told_in_order(desk) == [f"n={n}" for n in range(20)]


def told_in_order(desk: Desk, pattern: str = "activity.log") -> list[str]:
    return messages(read_lines(Series.of(desk.logs / pattern)))


def test_a_line_longer_than_a_file_may_be_has_one_of_its_own(desk: Desk) -> None:
    async def go() -> None:
        await desk.open(Flat(rotate_bytes=100))
        await desk.write(line("a"), line("b" * 300), line("c"))
        await desk.close()

    run(go())

    assert told_in_order(desk) == ["a", "b" * 300, "c"]
    assert len(desk.names()) == 3


def test_the_last_part_of_a_day_bears_the_day_alone(desk: Desk) -> None:
    async def go() -> None:
        await desk.open(Flat(rotate_bytes=60))
        await desk.write(line("a"), line("b"))
        await desk.tick(days=1)
        await desk.close()

    run(go())

    assert desk.names() == ["activity-2026-03-10.1.log", "activity-2026-03-10.log"]


def test_a_rotation_is_told_on_the_bus(desk: Desk) -> None:
    async def go() -> None:
        await desk.open(Flat())
        await desk.write(line("x" * 52_400))
        await desk.tick(days=1)
        await desk.close()

    run(go())

    assert [type(event) for event in desk.told] == [LogRotated]
    rotated = desk.told[0]
    assert isinstance(rotated, LogRotated)
    assert (rotated.archive, rotated.old_size_mb) == ("activity-2026-03-10.log", 0.05)
    assert rotated.scope.source == "rotation"


# --- sessions -----------------------------------------------------------------


def test_each_session_has_a_file_of_its_own_numbered_by_the_day(desk: Desk) -> None:
    async def go() -> None:
        await desk.open(Sessions())
        await desk.write(line("a", session="s1"), line("b", session="s2"), line("nobody's"))
        await desk.write(line("c", at(11), session="s1"), line("d", at(11), session="s3"))
        await desk.close()

    run(go())

    files = desk.logs / "sessions"
    assert lines_in(files / "2026-03-10_001.log") == ["a", "c"]
    assert lines_in(files / "2026-03-10_002.log") == ["b"]
    assert lines_in(files / "2026-03-11_001.log") == ["d"]
    assert len(desk.names("sessions")) == 3


def test_a_session_goes_on_in_its_file_after_a_restart(desk: Desk) -> None:
    async def go() -> None:
        for message in ("a", "b"):
            await desk.open(Sessions())
            await desk.write(line(message, session="s1"))
            await desk.close()
            desk.clock.advance(days=1)

    run(go())

    assert lines_in(desk.logs / "sessions" / "2026-03-10_001.log") == ["a", "b"]


def test_a_session_whose_file_is_gone_begins_a_new_one(desk: Desk) -> None:
    async def go() -> None:
        await desk.open(Sessions())
        await desk.write(line("a", session="s1"))
        await desk.close()
        (desk.logs / "sessions" / "2026-03-10_001.log").unlink()
        await desk.open(Sessions())
        await desk.write(line("b", at(11), session="s1"))
        await desk.close()

    run(go())

    assert desk.names("sessions") == ["2026-03-11_001.log"]


def test_no_session_id_leads_out_of_the_directory(desk: Desk) -> None:
    async def go() -> None:
        await desk.open(Sessions())
        for session in ("../../out", "/etc/passwd", "a/b", "\0", "x" * 5_000, "{date}"):
            await desk.write(line("m", session=session))
        await desk.close()

    run(go())

    assert desk.names("sessions") == [f"2026-03-10_{n:03}.log" for n in range(1, 7)]
    assert [path.name for path in desk.state.parent.iterdir()] == ["state"]


# --- files and their neighbours -----------------------------------------------


def test_files_and_directories_are_private(desk: Desk) -> None:
    before = os.umask(0)
    try:

        async def go() -> None:
            await desk.open(Sessions())
            await desk.write(line("m", session="s"))
            await desk.close()

        run(go())
    finally:
        os.umask(before)

    for path in desk.state.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("kind", ["symlink", "fifo", "directory"])
def test_what_is_no_plain_file_is_refused_not_followed(desk: Desk, kind: str) -> None:
    desk.logs.mkdir(parents=True)
    target, path = desk.state / "target", desk.logs / "activity.log"
    target.write_bytes(b"theirs\n")
    if kind == "symlink":
        path.symlink_to(target)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()

    async def go() -> None:
        await desk.open(Flat())
        await desk.write(line("m"))

    with pytest.raises(OSError, match=r"activity\.log"):
        run(go())
    assert target.read_bytes() == b"theirs\n"
    run(desk.close())


def test_a_line_is_never_joined_to_what_somebody_left_unfinished(desk: Desk) -> None:
    desk.logs.mkdir(parents=True)
    (desk.logs / "activity.log").write_bytes(b"2026-03-10T01:00:00.000Z|a:b|c|no newline")

    async def go() -> None:
        await desk.open(Flat())
        await desk.write(line("ours"))
        await desk.close()

    run(go())

    assert lines_in(desk.logs / "activity.log") == ["no newline", "ours"]


def test_two_sinks_never_write_the_same_files(desk: Desk) -> None:
    async def go() -> None:
        await desk.open(Flat())
        await Flat().open(Home(desk.state))

    with pytest.raises(OSError, match="another sink writes these files"):
        run(go())
    run(desk.close())


def test_an_absolute_path_needs_no_state_directory(tmp_path: Path) -> None:
    async def go() -> None:
        sink = FileSink(path=str(tmp_path / "out.log"), shape="flat")
        await sink.open(Home(None))
        await sink.write(Batch(events=[line("m")], cursor={"memory": place(1)["writer"]}))
        await sink.close()

    for _ in range(2):
        run(go())

    assert messages(read_lines(Series.of(tmp_path / "out.log"))) == ["m", "m"]


# --- settings -----------------------------------------------------------------


def test_every_log_file_is_installed_under_its_name() -> None:
    names = {"audit", "backup", "errors", "flat", "interactions", "jsonl", "sessions"}

    assert names | {"storage", "usage"} <= set(installed_sinks())
    sink = find_sink("flat", {"keep_days": 7})
    assert isinstance(sink, Flat)
    assert sink.settings == Flat.Settings(keep_days=7)


@pytest.mark.parametrize(
    ("named", "complaint"),
    [
        ({"pth": "x"}, "no setting 'pth'; allowed: compress, keep_days, kinds, path,"),
        ({"shape": "xml"}, "no shape named 'xml'; allowed: jsonl, flat, audit,"),
        ({"path": "logs/"}, None),
        ({"path": ""}, "not a path for log files"),
        ({"path": "a-{number}.log"}, "not a path for log files"),
        ({"path": "{day}.log"}, "not a path for log files"),
        ({"path": ".hidden"}, "not a path for log files"),
        ({"path": "{date}/x.log"}, "not a path for log files"),
        ({"rotate_bytes": -1}, "rotate_bytes cannot be -1; it is a number from 0 on"),
        ({"keep_days": float("nan")}, "keep_days cannot be nan"),
        ({"compress": "gzip"}, "compress"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(
    named: dict[str, object], complaint: str | None
) -> None:
    if complaint is None:
        FileSink(**named)
        return
    with pytest.raises(SettingsError, match=complaint.replace("{", r"\{")):
        FileSink(**named)


def test_a_relative_path_is_refused_where_nothing_is_kept_on_disk() -> None:
    with pytest.raises(SettingsError, match="give an absolute path"):
        run(FileSink().open(Home(None)))


def test_writing_before_opening_says_so() -> None:
    with pytest.raises(ValueError, match=r"the sink for events\.jsonl is not open"):
        run(FileSink(FileSettings()).write(Batch(events=[line("m")])))
