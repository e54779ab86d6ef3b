"""Files and the cursor up to which they are written: they move together or not at all."""

import stat
from collections.abc import Callable, Container
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
COPY = ".again"
"""Added to the name of a file that is written again."""
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

    def resume(self, is_ours: Callable[[str], bool]) -> datetime | None:
        """Cut our files to where the cursor stands; when a record was last made."""
        records = self._book.records
        found = self._find(is_ours)
        resume = resume_from(records, found, boot=self._boot, disk=self._disk)
        if resume is None:
            return None
        self._finish_copies(found, records[-1])
        self.cursor, self.hold_seconds = resume.cursor, records[-1].hold_seconds
        if not records[-1].is_synced or _is_too_long(resume, found):
            self._cut_back(resume, found)
        else:
            self._marks = {mark.inode: mark for mark in records[-1].files if mark.inode in found}
        return records[-1].seen

    def _find(self, is_ours: Callable[[str], bool]) -> dict[int, Found]:
        found = {}
        for name in self._disk.names(self._directory):
            if is_ours(_without_mark(name)):
                with suppress(FileNotFoundError):
                    status = self._disk.stat(self._directory / name)
                    if stat.S_ISREG(status.st_mode):
                        found[status.st_ino] = Found(self._directory / name, status.st_size)
        return found

    def _finish_copies(self, found: dict[int, Found], last: Record) -> None:
        """Put a copy in its place if the last record counts on it; others are left-overs."""
        wanted = {mark.inode for mark in last.files}
        for inode, copy in list(found.items()):
            name = _without_mark(copy.path.name)
            if name == copy.path.name:
                continue
            if inode in wanted:
                self._disk.rename(copy.path, self._directory / name)
                found[inode] = Found(self._directory / name, copy.size)
            else:
                self._disk.unlink(copy.path)
                del found[inode]

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
            if not self._is_committed(file):  # it may have the inode of one that is gone
                self._marks.pop(file.inode, None)
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
        failed = [file for file in self.files.values() if not _is_safe(file)]
        if self.names_changed:
            self._disk.sync_directory(self._directory)
            self.names_changed = False
        if failed:
            self._write_again(failed)
        lets_go = self._let_go(in_use)
        self._save_synced()
        if lets_go or self._clock.monotonic() - self._book_synced >= CURSOR_SYNC_SECONDS:
            self._sync_book()

    def _write_again(self, failed: list[Appender]) -> None:
        """Put copies in the place of files whose sync failed.

        The kernel may drop what it could not write and call the file clean;
        until then what it holds in memory is right.
        """
        copies: dict[Appender, Appender] = {}
        try:
            for file in failed:
                copies[file] = self._copy_of(file)
            self._count_on(copies)
        except BaseException:
            for copy in copies.values():
                self._throw_away(copy)
            with suppress(OSError):
                self._book.append(self._record(is_doubtful=True))
            raise
        for file, copy in copies.items():
            self._put_in_place(file, copy)

    def _copy_of(self, file: Appender) -> Appender:
        beside = file.path.with_name(f".{file.path.name}{COPY}")
        with suppress(FileNotFoundError):
            self._disk.unlink(beside)
        copy = Appender(beside, self._disk)
        try:
            for start in range(0, file.size, COPY_BYTES):
                copy.append(file.read(start, COPY_BYTES))
            copy.sync()
        except BaseException:
            self._throw_away(copy)
            raise
        return copy

    def _throw_away(self, copy: Appender) -> None:
        copy.close()
        with suppress(OSError):  # the next one takes its place
            self._disk.unlink(copy.path)

    def _count_on(self, copies: dict[Appender, Appender]) -> None:
        """Record the copies as the files: from here on a crash leaves them to be renamed."""
        before = self._marks
        self._marks = dict(before)
        for file, copy in copies.items():
            mark = self._marks.pop(file.inode)
            self._marks[copy.inode] = FileMark(file.path.name, copy.inode, mark.size)
        try:
            self._book.append(self._record(is_synced=True))
            self._sync_book()
        except BaseException:
            self._marks = before
            raise

    def _put_in_place(self, file: Appender, copy: Appender) -> None:
        try:
            self._disk.rename(copy.path, file.path)
        except BaseException:
            mark = self._marks.pop(copy.inode)
            self._marks[file.inode] = FileMark(mark.name, file.inode, mark.size)
            copy.close()
            raise
        self.drop(file.path)
        copy.path = file.path
        self.files[file.path] = copy
        self.names_changed = True

    def sync_cursor(self) -> None:
        """Return when the cursor, too, is on the disk: nothing before it is ever cut."""
        self._sync_book()

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


def _without_mark(name: str) -> str:
    """The name of the file that this one is a copy of; else its own."""
    is_copy = name.startswith(".") and name.endswith(COPY)
    return name[1 : -len(COPY)] if is_copy else name


def _is_safe(file: Appender) -> bool:
    """Sync it; False when its bytes have to be written elsewhere."""
    with suppress(OSError):
        file.sync()
    return file.is_synced


def _is_too_long(resume: Resume, found: dict[int, Found]) -> bool:
    return any(inode in found and found[inode].size > size for inode, size in resume.cuts.items())
