"""A state machine over one store: it lands, dies, is damaged, and must equal the journal."""

import os
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from eventbus import EventBus, Lost, read_journal
from eventbus.errors import StoreUnusable
from eventbus.sink import Home
from eventbus.store.backup import BACKUPS, back_up, list_backups, restore
from eventbus.store.cursors import read_cursor
from eventbus.store.landing import land
from eventbus.store.merging import journal_batches
from eventbus.store.opening import open_to_land
from eventbus.store.rebuild import land_journal, rebuild
from eventbus.store.sqlite import FILE_NAME, SqliteWriter, is_out_of_time
from sinks import SqliteSink
from tests.reliability.conftest import MEMORY
from tests.reliability.landed import differences_from_the_journal
from tests.store.mixture import mixture

__all__ = ["StoreMachine"]


class StoreMachine(RuleBasedStateMachine):
    """Lands, dies, backs up, is damaged, is rebuilt; in the end nothing is missing."""

    interrupted = 0
    """Batches that were stopped half-way, in all machines."""
    compared = 0
    """Machines whose store was compared with the journal at the end."""

    def __init__(self) -> None:
        super().__init__()
        memory = MEMORY if os.access(MEMORY, os.W_OK) else None
        self.state = Path(mkdtemp(prefix="eventbus-proof-", dir=memory))
        self.path = self.state / FILE_NAME
        self.now = datetime(2026, 11, 25, tzinfo=UTC)
        self.writer: SqliteWriter | None = None
        self.seed = 0
        self.is_sound = True
        """False from when the file was damaged until it has been replaced."""
        self.asides: set[str] = set()

    def open(self) -> SqliteWriter:
        if self.writer is None:
            self.now += timedelta(hours=1)
            opened = open_to_land(self.path, backups=self.state / BACKUPS, now=self.now)
            self.writer = opened.writer
            self.is_sound = self.is_sound or opened.damage is not None
        return self.writer

    def let_go(self) -> None:
        writer, self.writer = self.writer, None
        if writer is not None:
            writer.abandon()

    @initialize()
    def begin(self) -> None:
        self.emit(20)

    @rule(number=st.integers(1, 60))
    def emit(self, number: int) -> None:
        """A process comes, emits and goes."""
        self.seed += 1
        with EventBus(self.state, serve="never") as bus:
            for event in mixture(self.seed, number):
                bus.emit_nowait(event)

    @rule(batches=st.integers(1, 3), size=st.sampled_from([1, 7, 1_000]))
    def land_some(self, batches: int, size: int) -> None:
        """What the lane does; on damage it does what its sink does."""
        writer = self.open()
        try:
            after = read_cursor(writer, "sqlite")
            for batch in islice(journal_batches(self.state, after, most=size), batches):
                land(writer, batch, lane="sqlite")
        except Exception as error:
            self.judge(writer, error)

    def judge(self, writer: SqliteWriter, error: Exception) -> None:
        sink = SqliteSink()
        sink._home = Home(self.state)
        judged = sink.judge(writer, error)
        assert isinstance(judged, Lost), judged
        self.writer, self.is_sound = None, True

    @rule(instructions=st.integers(1, 3_000))
    def die_in_the_middle(self, instructions: int) -> None:
        """SQLite is stopped somewhere in landing a batch, and the process goes."""
        writer = self.open()
        writer._connection.set_progress_handler(lambda: 1, instructions)
        try:
            land_journal(writer, self.state, most=1)
        except Exception as error:
            if not is_out_of_time(error):
                self.judge(writer, error)
            else:
                StoreMachine.interrupted += 1
        self.let_go()

    @rule()
    def close(self) -> None:
        self.let_go()

    @precondition(lambda self: self.path.is_file())
    @rule()
    def back_up(self) -> None:
        self.now += timedelta(days=1)
        told = back_up(self.state, keep=2, now=self.now)
        assert told.status == "success" or not self.is_sound

    @precondition(lambda self: list_backups(self.state / BACKUPS))
    @rule()
    def restore(self) -> None:
        self.let_go()
        self.now += timedelta(hours=1)
        with suppress(StoreUnusable):  # its backups were damaged as well
            restore(self.state, now=self.now)
            self.is_sound = True

    @precondition(lambda self: self.path.is_file() and self.path.stat().st_size > 0)
    @rule(seed=st.integers(0, 10_000), is_whole=st.booleans())
    def damage(self, seed: int, is_whole: bool) -> None:
        """All of the file, or half of it, is gone."""
        self.let_go()
        size = self.path.stat().st_size
        with self.path.open("r+b") as file:
            if is_whole:
                file.write(random.Random(seed).randbytes(size))
            else:
                file.truncate(size // 2)
        self.is_sound = False

    @precondition(lambda self: list_backups(self.state / BACKUPS))
    @rule()
    def damage_the_latest_backup(self) -> None:
        latest = list_backups(self.state / BACKUPS)[0].path
        os.truncate(latest, latest.stat().st_size // 2)

    @rule()
    def lose_the_file(self) -> None:
        self.let_go()
        with suppress(FileNotFoundError):
            self.path.unlink()
        self.is_sound = True

    @rule(from_backup=st.booleans())
    def rebuild(self, from_backup: bool) -> None:
        self.let_go()
        self.now += timedelta(hours=1)
        rebuild(self.state, from_backup=from_backup, now=self.now)
        self.is_sound = True

    @invariant()
    def nothing_was_deleted(self) -> None:
        """A damaged file is set aside, and what is aside stays."""
        asides = {path.name for path in self.state.glob("store.db.*")}
        assert self.asides <= asides
        self.asides = {name for name in asides if "-shm" not in name and "-wal" not in name}

    def teardown(self) -> None:
        """Land what is left, and compare with the journal landed anew."""
        try:
            for _ in range(3):  # damage may be come across more than once
                writer = self.open()
                try:
                    land_journal(writer, self.state)
                    break
                except Exception as error:
                    self.judge(writer, error)
            self.let_go()
            assert len(list(read_journal(self.state))) > 0
            if self.is_sound:
                StoreMachine.compared += 1
                assert differences_from_the_journal(self.state) == []
        finally:
            self.let_go()
            rmtree(self.state)
