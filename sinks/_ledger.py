"""Files and the cursor up to which they are written: they move together or not at all."""

import stat
from collections.abc import Container, Iterable
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

from eventbus.clock import Clock
from eventbus.disk import Disk
from eventbus.sink import Cursor
from sinks._append import Appender, make_directories
from sinks._resume import CursorLog, FileMark, Found, Record, Resume, boot_id, resume_from

__all__ = ["Ledger"]

OPEN_MOST = 16
"""Descriptors kept; late lines of many days may want many files."""
CURSOR_SYNC_SECONDS = 30.0
"""Between syncs of the cursor; after a power cut, lines behind it are handed over again."""
CURSOR_LOG_BYTES = 64 * 1024
"""Past this size the records are begun anew."""
COPY_BYTES = 4 * 1024 * 1024
"""Bytes of a file copied at a time."""


class Ledger:
    """Takes lines in whole steps: all files and the cursor, or nothing."""

    def __init__(self, path: Path, *, clock: Clock, disk: Disk) -> None:
        make_directories(path.parent, disk)
        self.files: dict[Path, Appender] = {}
        self.cursor: Cursor | None = None
        """None until a record says one."""
        self.goes_by_cursor = False
        """True when the lane asked for it: what is cut will be handed over again."""
        self.names_changed = True
        """True while a power cut could take a name away."""
        self.hold_seconds = 0.0
        """For the next run: how long nothing is to be pruned yet."""
        self._directory = path.parent
        self._clock = clock
        self._disk = disk
        self._book = CursorLog(path, disk)
        self._boot = boot_id()
        self._marks: dict[int, FileMark] = {}
        """How long each file is up to the cursor, by inode."""
        self._before: dict[int, tuple[Appender, int]] = {}
        """Sizes before the step under way."""
        self._book_synced = float("-inf")

    # --- opening -------------------------------------------------------------

    def resume(self, names: Iterable[str]) -> datetime | None:
        """Cut the named files to where the cursor stands; when a record was last made."""
        records = self._book.records
        found = self._find(names)
        resume = resume_from(records, found, boot=self._boot, disk=self._disk)
        if resume is None:
            return None
        self.cursor, self.hold_seconds = resume.cursor, records[-1].hold_seconds
        if not records[-1].is_synced or _is_too_long(resume, found):
            self._cut_back(resume, found)
        else:
            self._marks = {mark.inode: mark for mark in records[-1].files if mark.inode in found}
        return records[-1].seen

    def _find(self, names: Iterable[str]) -> dict[int, Found]:
        found = {}
        for name in names:
            with suppress(FileNotFoundError):
                status = self._disk.stat(self._directory / name)
                if stat.S_ISREG(status.st_mode):
                    found[status.st_ino] = Found(self._directory / name, status.st_size)
        return found

    def _cut_back(self, resume: Resume, found: dict[int, Found]) -> None:
        """Cut what stands behind the cursor; only the torn line if it is not handed over again."""
        self._marks.clear()
        for inode, size in resume.cuts.items():
            if inode in found:
                with closing(Appender(found[inode].path, self._disk, make=False)) as file:
                    whole = max(size, file.line_end_before(file.size))
                    file.cut(min(file.size, size if self.goes_by_cursor else whole))
                    file.synced_size = 0  # who wrote it may have died before the sync
                    file.sync()
                    self.mark(file)
        self._book.restart(self._record(is_synced=True))

    # --- a step --------------------------------------------------------------

    def ready(self, path: Path) -> Appender:
        """The file of that path, named in a record before a line goes into it."""
        file = self.files.get(path)
        if file is None:
            file = self.files[path] = Appender(path, self._disk)
            self.names_changed = True
        if file.inode not in self._marks:
            self.mark(file)
            self._book.append(self._record())
            self._sync_book()  # once a file: a power cut must not keep lines of an unknown one
        return file

    def append(self, file: Appender, piece: bytes) -> None:
        """Write whole lines, as part of the step under way."""
        self._before.setdefault(file.inode, (file, file.size))
        file.append(piece)
        if len(self.files) > OPEN_MOST:
            self._let_descriptors_go()

    def _let_descriptors_go(self) -> None:
        for file in self.files.values():
            file.close()

    def commit(self, cursor: Cursor) -> None:
        """End the step: all of it stands before `cursor`; an empty one says nothing new."""
        if cursor or not self.goes_by_cursor:
            self._save(cursor or self.cursor)
        self._before.clear()

    def _save(self, cursor: Cursor | None) -> None:
        before = self._marks, self.cursor
        self._marks, self.cursor = {}, cursor
        for file in self.files.values():
            self.mark(file)
        try:
            self._book.append(self._record())
        except BaseException:
            self._marks, self.cursor = before
            raise

    def roll_back(self) -> None:
        """Undo the step under way; what cannot be undone now is before the next one."""
        with suppress(OSError):
            self.settle()

    def settle(self) -> None:
        """Finish the undoing of an earlier step, or raise."""
        for inode, (file, size) in list(self._before.items()):
            file.cut(size)
            del self._before[inode]

    def mark(self, file: Appender) -> None:
        """Take the file as it is for written up to the cursor."""
        self._marks[file.inode] = FileMark(file.path.name, file.inode, file.size)

    def _record(self, *, is_synced: bool = False, is_doubtful: bool = False) -> Record:
        return Record(
            cursor=self.cursor or {},
            files=list(self._marks.values()),
            is_synced=is_synced,
            is_doubtful=is_doubtful,
            boot=self._boot,
            seen=self._clock.now(),
            hold_seconds=self.hold_seconds,
        )

    # --- names ---------------------------------------------------------------

    def rename(self, file: Appender, target: Path) -> None:
        """Give a file another name in the directory."""
        self._disk.rename(file.path, target)
        self.follow(file, target)

    def follow(self, file: Appender, target: Path) -> None:
        """Know a file by the name that it was given."""
        del self.files[file.path]
        file.path = target
        self.files[target] = file
        self.names_changed = True

    def drop(self, path: Path) -> None:
        """Have no more to do with the file that had this name."""
        file = self.files.pop(path)
        self._marks.pop(file.inode, None)
        self._before.pop(file.inode, None)
        file.close()

    def take_away(self, path: Path) -> None:
        """Undo the making of a file."""
        if path in self.files:
            self.drop(path)
            with suppress(OSError):  # an empty file stays
                self._disk.unlink(path)

    def restore_book(self) -> None:
        """Write the cursor again if somebody took its file away."""
        if self._book.is_gone:
            make_directories(self._directory, self._disk)
            self._book.restart(self._record())

    # --- safety --------------------------------------------------------------

    def sync(self, in_use: Container[Path]) -> None:
        """Return when all that was written is on the disk; files not in use are let go."""
        self.settle()
        try:
            for file in list(self.files.values()):
                self._sync_file(file)
        except OSError:
            with suppress(OSError):
                self._book.append(self._record(is_doubtful=True))
            raise
        if self.names_changed:
            self._disk.sync_directory(self._directory)
            self.names_changed = False
        lets_go = self._let_go(in_use)
        self._save_synced()
        if lets_go or self._clock.monotonic() - self._book_synced >= CURSOR_SYNC_SECONDS:
            self._sync_book()

    def _sync_file(self, file: Appender) -> None:
        if not file.sync_failed:
            with suppress(OSError):
                file.sync()
        if file.sync_failed:
            self._write_again(file)

    def _write_again(self, file: Appender) -> None:
        """Put a copy in the place of a file whose sync failed.

        The kernel may drop what it could not write and call the file clean;
        until then what it holds in memory is right.
        """
        beside = file.path.with_name(f".{file.path.name}.again")
        with suppress(FileNotFoundError):
            self._disk.unlink(beside)
        copy = Appender(beside, self._disk)
        try:
            for start in range(0, file.size, COPY_BYTES):
                copy.append(file.read(start, COPY_BYTES))
            copy.sync()
            self._replace(file, copy)
        except BaseException:
            copy.close()
            raise

    def _replace(self, file: Appender, copy: Appender) -> None:
        mark = self._marks[file.inode]
        self._marks[copy.inode] = FileMark(mark.name, copy.inode, mark.size)
        self._book.append(self._record())  # before it has the name: it may have to be cut
        self._disk.rename(copy.path, file.path)
        self.drop(file.path)
        copy.path = file.path
        self.files[file.path] = copy
        self.names_changed = True

    def _let_go(self, in_use: Container[Path]) -> bool:
        """Have no more to do with files that are done; they may be packed from now on."""
        done = [
            path
            for path, file in self.files.items()
            if path not in in_use and self._is_committed(file)
        ]
        for path in done:
            self.drop(path)
        return bool(done)

    def _is_committed(self, file: Appender) -> bool:
        mark = self._marks.get(file.inode)
        return mark is not None and mark.size == file.size

    def _save_synced(self) -> None:
        last = self._book.last
        if last is None or not last.is_synced:
            record = self._record(is_synced=True)
            save = self._book.restart if self._book.size > CURSOR_LOG_BYTES else self._book.append
            save(record)

    def _sync_book(self) -> None:
        try:
            self._book.sync()
        except OSError:
            self._book.restart(self._book.last or self._record())
        self._book_synced = self._clock.monotonic()

    def close(self) -> None:
        """Sync what is open, and let every file go."""
        try:
            if self.files:
                self.sync(in_use=self.files)
            self._sync_book()
        finally:
            for file in self.files.values():
                file.close()
            self._book.close()


def _is_too_long(resume: Resume, found: dict[int, Found]) -> bool:
    return any(inode in found and found[inode].size > size for inode, size in resume.cuts.items())
