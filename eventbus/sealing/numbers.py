"""The records of all chains: in order, none missing, none twice, none by somebody else."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from eventbus.sealing.chain import LiveKey
from eventbus.sealing.findings import Checked, Span
from eventbus.sealing.keys import StateKey, VerificationKey, evolved, key_path
from eventbus.sealing.records import (
    DECLARED,
    SEALS,
    Begun,
    Block,
    Ended,
    Erased,
    Pruned,
    Record,
    Renamed,
    Written,
    digest_of,
    is_authentic,
)
from eventbus.sealing.sealed import Sealed

__all__ = ["ChainsCheck", "runs"]

CHAINS_MOST = EPOCHS_MOST = 10_000_000
"""Keys that are made of one, whatever number a record gives itself."""


class ChainsCheck:
    """The records themselves: in order, none missing, none twice, none by somebody else."""

    def __init__(self, sealed: Sealed, checked: Checked, key: VerificationKey | None) -> None:
        self._sealed = sealed
        self._checked = checked
        self._key = key
        self._first_keys: dict[int, bytes] = {}
        if key is not None:
            stop = 1 + max((one.record.chain for one in sealed.records() if one.record), default=0)
            limit = max(stop, sealed.key.chain if sealed.key else 0)
            self._first_keys = dict(key.first_keys(min(limit, key.chain + CHAINS_MOST)))
        self._keys: dict[int, tuple[int, bytes]] = {}
        self._names = _names_before(sealed)
        self._epochs: dict[int, int] = {}
        """Records of each chain so far."""
        self._homes: dict[int, str] = {}
        """The file each chain stands in."""
        self._ended: set[int] = set()

    def check(self) -> list[Record]:
        """Check all of them; the declarations that can be believed."""
        for path, records in self._sealed.files.items():
            self._check_records(path.name, records)
        believed = self._check_records(DECLARED.removesuffix(SEALS), self._sealed.declared)
        self._check_live()
        self._check_numbers(believed)
        return believed

    def _check_records(self, name: str, records: list[Written]) -> list[Record]:
        """Check those of one file; the ones that nothing speaks against."""
        before, covered = "", 0
        good: list[Record] = []
        for written in _without_torn(records):
            record = written.record
            if record is None:
                self._say("altered", name, written, "cannot be read", covered)
            else:
                if self._check_record(name, written, before, covered):
                    good.append(record)
                covered = record.last if isinstance(record, Block) else covered
            before = digest_of(written.line)
        return good

    def _check_record(self, name: str, written: Written, before: str, covered: int) -> bool:
        record = written.record
        assert record is not None
        is_behind = record.before == before
        if not is_behind:
            self._say("altered", name, written, "is not behind the one before it", covered)
        is_own = True
        if isinstance(record, Begun) and record.of not in (name, self._names.get(name)):
            is_own = False
            self._say("altered", name, written, f"is of another file: {record.of!r}", covered)
        is_in_order = self._is_in_order(name, written, covered)
        return is_in_order and self._prove(name, written, covered) and is_behind and is_own

    def _is_in_order(self, name: str, written: Written, covered: int) -> bool:
        record = written.record
        assert record is not None
        expected = self._epochs.get(record.chain, 0)
        self._epochs[record.chain] = record.epoch + 1
        home = self._homes.setdefault(record.chain, name)
        if expected == 0:
            self._checked.chains += 1
        if isinstance(record, (Ended, Pruned, Erased)):
            self._ended.add(record.chain)
        if record.epoch > expected:
            self._say_missing(name, written, record.epoch - expected, covered)
        elif record.epoch < expected or home != name:
            self._say("altered", name, written, "is there a second time", covered)
            return False
        return True

    def _say_missing(self, name: str, written: Written, count: int, covered: int) -> None:
        record = written.record
        first = covered + 1
        last = record.first - 1 if isinstance(record, Block) else first
        what = f"is no longer sealed: {count} seals before {name}{SEALS}:{written.number} are gone"
        self._checked.add(self._checked.incomplete, Span(name, first, max(first, last), what))

    def _prove(self, name: str, written: Written, covered: int) -> bool:
        """False when the verification key speaks against it."""
        record = written.record
        assert record is not None
        if record.chain not in self._first_keys:
            return True
        if not is_authentic(written.line, self._key_at(record.chain, record.epoch)):
            self._say("altered", name, written, "was not written with the key of its time", covered)
            return False
        self._checked.authentic += isinstance(record, Block)
        return True

    def _key_at(self, chain: int, epoch: int) -> bytes:
        """A chain's key at an epoch; asked in order, so it evolves along."""
        at, key = self._keys.get(chain, (0, self._first_keys[chain]))
        if at > epoch:
            at, key = 0, self._first_keys[chain]
        key = evolved(key, min(epoch - at, EPOCHS_MOST))
        self._keys[chain] = epoch, key
        return key

    def _say(self, kind: str, name: str, written: Written, what: str, covered: int) -> None:
        record = written.record
        first, last = covered + 1, covered + 1
        if isinstance(record, Block):
            first, last = record.first, record.last
        spans: list[Span] = getattr(self._checked, kind)
        sentence = f"its seal {name}{SEALS}:{written.number} {what}"
        self._checked.add(spans, Span(name, first, last, sentence))

    # --- chains as a whole ---------------------------------------------------------

    def _check_live(self) -> None:
        """A chain reaches as far as its key, and one without a key has an end."""
        for chain, live in self._sealed.live.items():
            records = self._epochs.get(chain, 0)
            if 0 < records < live.epoch:
                self._say_cut(live, records)
            elif chain in self._first_keys:
                expected = evolved(self._first_keys[chain], live.epoch)
                if bytes.fromhex(live.key) != expected:
                    self._say_whole("altered", Path(live.of).name, "has a key that is not its own")
        alive = self._sealed.live.keys() | self._sealed.live_after.keys()
        for chain, home in self._homes.items():
            if chain not in self._ended and chain not in alive:
                self._say_whole("incomplete", home, f"chain {chain} over it has no end")

    def _say_cut(self, live: LiveKey, records: int) -> None:
        name = Path(live.of).name
        what = f"the last {live.epoch - records} of its seals are gone"
        self._say_whole("incomplete", name, what)

    def _check_numbers(self, believed: list[Record]) -> None:
        key, after = self._sealed.key, self._sealed.key_after
        if key is None or after is None:
            if self._homes:
                path = key_path(self._sealed.state).name
                self._say_whole("incomplete", path, "is gone, or cannot be read")
            return
        beginning = {one.chain for one in (*key.beginning, *after.beginning)}
        known = self._homes.keys() | beginning | set(_said_gone(self._sealed, believed))
        for first, last in runs(sorted(set(range(key.chain)) - known)):
            which = f"chain {first} is" if first == last else f"chains {first} to {last} are"
            self._say_whole("incomplete", "seals", f"{which} gone, with what was sealed")
        beyond = sorted(chain for chain in self._homes if chain >= after.chain)
        if beyond:
            what = f"says chain {after.chain} is the next, where there is chain {beyond[-1]}"
            self._say_whole("altered", key_path(self._sealed.state).name, what)
        self._prove_state_key(key)

    def _prove_state_key(self, key: StateKey) -> None:
        given = self._key
        if given is None or key.chain < given.chain:
            return
        if given.of(key.chain) != bytes.fromhex(key.key):
            what = "is not of the verification key"
            self._say_whole("altered", key_path(self._sealed.state).name, what)

    def _say_whole(self, kind: str, name: str, what: str) -> None:
        spans: list[Span] = getattr(self._checked, kind)
        self._checked.add(spans, Span(name, 0, 0, what))


def _without_torn(records: list[Written]) -> list[Written]:
    """Without the end that a crash left and nobody has cut yet."""
    end = len(records)
    while end and records[end - 1].record is None:
        end -= 1
    return records[:end]


def _names_before(sealed: Sealed) -> dict[str, str]:
    """What files were called when their seals began, by what they are called since."""
    names = {}
    for path, records in sealed.files.items():
        for written in records:
            if isinstance(written.record, (Ended, Renamed)) and written.record.named == path.name:
                begun = [one.record for one in records if isinstance(one.record, Begun)]
                names[path.name] = begun[0].of if begun else path.name
    for live in (*sealed.live.values(), *sealed.live_after.values()):
        path = sealed.state / live.of  # renamed, and its chain goes on
        begun = [one.record for one in sealed.files.get(path, ()) if isinstance(one.record, Begun)]
        if begun and begun[-1].chain == live.chain:
            names.setdefault(path.name, begun[0].of)
    return names


def _said_gone(sealed: Sealed, believed: list[Record]) -> Iterator[int]:
    """Chains that are gone, and were said to be."""
    for record in believed:
        if isinstance(record, Pruned):
            for file in record.files:
                yield from file.chains
    for written in sealed.records():
        yield from getattr(written.record, "lost", ())


def runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Numbers as first and last of those that follow each other."""
    first = last = None
    for number in numbers:
        if last is not None and number == last + 1:
            last = number
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = number
    if first is not None and last is not None:
        yield first, last
