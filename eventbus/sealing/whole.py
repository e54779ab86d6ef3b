"""Every seal of a state directory, held against each other and the files they cover."""

from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path

from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import SettingsError
from eventbus.sealing.checking import FileCheck
from eventbus.sealing.erased import Erasures
from eventbus.sealing.findings import Checked, Span
from eventbus.sealing.keys import VerificationKey
from eventbus.sealing.lines import open_lines
from eventbus.sealing.numbers import ChainsCheck, runs
from eventbus.sealing.records import Block, Erased, Pruned, Record, Written
from eventbus.sealing.sealed import Sealed

__all__ = ["check_seals"]


def check_seals(
    sealed: Sealed,
    *,
    key: VerificationKey | None = None,
    stops: Mapping[str, int | None] = {},
    written: Collection[str] = (),
    disk: Disk = SYSTEM_DISK,
) -> Checked:
    """Hold every chain and every line against each other; nothing is changed.

    `stops` says of files how many of their bytes count, `written` which are
    being written.
    """
    checked = Checked()
    believed = ChainsCheck(sealed, checked, key).check()
    erasures = Erasures(one for one in believed if isinstance(one, Erased))
    pruned = [one for one in believed if isinstance(one, Pruned)]
    for path, records in sealed.files.items():
        checked.files += 1
        check = FileCheck(path.name, checked, erasures, is_live=path.name in written)
        _check_file(path, records, pruned, check, stops.get(path.name), disk)
    _tell_declared(believed, checked)
    return checked


def _check_file(
    path: Path,
    records: list[Written],
    pruned: list[Pruned],
    check: FileCheck,
    stop: int | None,
    disk: Disk,
) -> None:
    try:
        with open_lines(path, disk, stop=stop) as lines:
            check.run(records, lines)
    except FileNotFoundError:
        names = {one.name for record in pruned for one in record.files}
        last = max((r.record.last for r in records if isinstance(r.record, Block)), default=0)
        if path.name not in names:
            check.say("incomplete", min(1, last), last, "is gone")
    except (OSError, SettingsError) as error:
        check.say("altered", 0, 0, f"cannot be read: {error}")


def _tell_declared(believed: list[Record], checked: Checked) -> None:
    for one in believed:
        if isinstance(one, Pruned):
            for file in one.files:
                what = f"was pruned at {_moment(one.at)}"
                checked.add(checked.declared, Span(file.name, 0, 0, what))
        if isinstance(one, Erased):
            what = f"was erased by {one.by} at {_moment(one.at)}: {one.why}"
            for first, last in runs(sorted(line.line for line in one.lines)):
                checked.add(checked.declared, Span(one.of, first, last, what))


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"
