"""R17: whoever alters what was sealed is found, and the lines are named.

A journal is made once: several runs, several segments, the last run killed
with lines behind its last seal. Each attack is tried again and again at random
places on a copy, by somebody who may read and write all of it, today's keys
included; what is verified has the verification key, which was kept elsewhere.
Where nobody can know, in what no seal covered yet, `unsealed` names the lines.
"""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventbus import EventBus, JournalSettings, Sink
from eventbus.disk import Disk
from eventbus.event import encode
from eventbus.events.file import FileWritten
from eventbus.journal import Journal as OpenJournal
from eventbus.kinds import is_critical_line
from eventbus.sealing.keys import evolved, verification_key
from eventbus.sealing.records import digest_of, leaf_of, leaves_in
from eventbus.sealing.tombstones import tombstone
from eventbus.testing import Crashed, FakeClock, FaultyDisk
from sinks.file import Audit
from tests.letters import LetterSent
from tests.reliability.counts import Tell, runs, timeout_for
from tests.sealing.agent import SINKS
from tests.sealing.journals import NoSync, Pens, flaws, told, verified
from tests.sinks.files import Desk

TRIES = runs(ci=200, long=5_000)
POINTS = runs(ci=30, long=10_000)
"""Steps at which the process is gone; the long form tries all of them."""
KILLS = runs(ci=8, long=1_000)
LOOKS = runs(ci=15, long=2_000)
ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


class Attack(msgspec.Struct):
    """What was done, and where."""

    segment: str
    first: int
    """The lines that were touched, as they were counted before; 0: the file."""
    last: int


class Journal:
    """A sealed state directory in memory, put on the disk as it was or attacked."""

    def __init__(self, state: Path) -> None:
        state.mkdir()
        self.pens = pens = Pens(state, segment_bytes=4_000)
        pens.run(blocks=4)
        self.earlier = self._read(state)
        pens.run(blocks=4)
        pens.die(blocks=6, unsealed=7)
        self.state = state
        self.files = self._read(state)
        self.touched: set[str] = set()
        self.is_gone_on_with = False

    @staticmethod
    def _read(state: Path) -> dict[str, bytes]:
        paths = (path for path in state.rglob("*") if path.is_file())
        return {str(path.relative_to(state)): path.read_bytes() for path in paths}

    def restore(self) -> None:
        """Put everything back as it was."""
        if self.is_gone_on_with:
            for name in self._read(self.state).keys() - self.files.keys():
                (self.state / name).unlink()
        names = self.files if self.is_gone_on_with else self.touched
        for name in names:
            if name in self.files:
                (self.state / name).write_bytes(self.files[name])
            else:
                (self.state / name).unlink()
        self.touched, self.is_gone_on_with = set(), False

    def write(self, name: str, content: bytes) -> None:
        self.touched.add(name)
        (self.state / name).write_bytes(content)

    def take(self, name: str) -> None:
        self.touched.add(name)
        (self.state / name).unlink()

    def go_on(self) -> None:
        """Another run comes, and finds what is there."""
        self.is_gone_on_with = True
        self.pens.run(blocks=1)

    def lines(self, name: str) -> list[bytes]:
        return self.files[name].splitlines(keepends=True)

    def seals(self, name: str) -> list[bytes]:
        return self.lines(f"{name}.seals")

    @property
    def sealed(self) -> list[str]:
        """Segments with seals."""
        return sorted(name[:-6] for name in self.files if name.endswith(".jsonl.seals"))

    def covered(self, name: str) -> int:
        """Lines from the first on that seals cover."""
        return max(record.get("last", 0) for record in map(json.loads, self.seals(name)))

    def place(self, rng: random.Random) -> tuple[str, int]:
        """A sealed line: its segment, and its number from 1."""
        name = rng.choice(self.sealed)
        begun = json.loads(self.seals(name)[0])
        return name, rng.randrange(begun["lines"], self.covered(name)) + 1


Do = Callable[[Journal, random.Random], Attack]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    return Journal(tmp_path_factory.mktemp("seals") / "state")


@pytest.fixture
def as_it_was(journal: Journal) -> Iterator[Journal]:
    journal.restore()
    yield journal
    journal.restore()


# --- the attacks ---------------------------------------------------------------------


def flip(journal: Journal, rng: random.Random) -> Attack:
    """One bit of one byte is another."""
    name, number = journal.place(rng)
    lines = journal.lines(name)
    line = bytearray(lines[number - 1])
    place = rng.randrange(len(line))
    line[place] ^= 1 << rng.randrange(8)
    lines[number - 1] = bytes(line)
    journal.write(name, b"".join(lines))
    return Attack(Path(name).name, number, number)


def edit(journal: Journal, rng: random.Random) -> Attack:
    """A line says something else, and is as long as it was."""
    name, number, lines = _edited(journal, rng)
    journal.write(name, b"".join(lines))
    return Attack(Path(name).name, number, number)


def delete(journal: Journal, rng: random.Random) -> Attack:
    """A line is gone."""
    name, number = journal.place(rng)
    lines = journal.lines(name)
    del lines[number - 1]
    journal.write(name, b"".join(lines))
    return Attack(Path(name).name, number, number + 1)


def duplicate(journal: Journal, rng: random.Random) -> Attack:
    """A line is there twice, and not right at the end of what is sealed."""
    name, number = journal.place(rng)
    number = min(number, journal.covered(name) - 1)
    lines = journal.lines(name)
    lines.insert(number, lines[number - 1])
    journal.write(name, b"".join(lines))
    return Attack(Path(name).name, number, number + 1)


def swap(journal: Journal, rng: random.Random) -> Attack:
    """Two lines have changed places."""
    name, number = journal.place(rng)
    _, other = name, rng.randrange(journal.covered(name)) + 1
    lines = journal.lines(name)
    if lines[number - 1] == lines[other - 1]:
        other = number % journal.covered(name) + 1
    lines[number - 1], lines[other - 1] = lines[other - 1], lines[number - 1]
    journal.write(name, b"".join(lines))
    return Attack(Path(name).name, min(number, other), max(number, other))


def insert(journal: Journal, rng: random.Random) -> Attack:
    """A line of somebody's own stands between the others."""
    name, number = journal.place(rng)
    lines = journal.lines(name)
    lines.insert(number - 1, journal.pens.line())
    journal.write(name, b"".join(lines))
    return Attack(Path(name).name, number - 1, number)


def truncate(journal: Journal, rng: random.Random) -> Attack:
    """The end of a segment is cut off, at the end of a line or within one."""
    name, number = journal.place(rng)
    lines = journal.lines(name)
    kept = b"".join(lines[: number - 1]) + lines[number - 1][: rng.choice((0, 9))]
    journal.write(name, kept)
    return Attack(Path(name).name, number, number)


def take_segment(journal: Journal, rng: random.Random) -> Attack:
    """A segment is gone; its seals are there."""
    name = rng.choice(journal.sealed)
    journal.take(name)
    return Attack(Path(name).name, 1, journal.covered(name))


def take_segment_and_seals(journal: Journal, rng: random.Random) -> Attack:
    """A segment is gone, and its seals with it."""
    name = rng.choice(journal.sealed)
    journal.take(name)
    journal.take(f"{name}.seals")
    return Attack("seals", 0, 0)


def forge_tombstone(journal: Journal, rng: random.Random) -> Attack:
    """A line's place has a tombstone with its true leaf; sometimes it is declared too."""
    name, number = journal.place(rng)
    lines = journal.lines(name)
    line = lines[number - 1].rstrip(b"\n")
    lines[number - 1] = tombstone(line) + b"\n"
    journal.write(name, b"".join(lines))
    if rng.random() < 0.5:
        journal.write("declared.seals", _forged_declaration(journal, name, number, lines, rng))
    return Attack(Path(name).name, number, number)


def reseal(journal: Journal, rng: random.Random) -> Attack:
    """A line is edited, and every seal from there on made anew with today's key."""
    name, number, lines = _edited(journal, rng)
    journal.write(name, b"".join(lines))
    journal.write(f"{name}.seals", _resealed(journal, name, b"".join(lines), rng))
    return Attack(Path(name).name, number, number)


def take_checkpoint(journal: Journal, rng: random.Random) -> Attack:
    """One seal is gone."""
    name = rng.choice(journal.sealed)
    seals = journal.seals(name)
    which = rng.randrange(len(seals) - (1 if _is_open(journal, name) else 0))
    gone = json.loads(seals.pop(which))
    journal.write(f"{name}.seals", b"".join(seals))
    return Attack(Path(name).name, gone.get("first", 0), gone.get("last", 0))


def edit_checkpoint(journal: Journal, rng: random.Random) -> Attack:
    """A line is edited, and the digest in its seal says the new one."""
    name, number, lines = _edited(journal, rng)
    journal.write(name, b"".join(lines))
    seals = journal.seals(name)
    blob = b"".join(lines)
    for index, seal in enumerate(seals):
        record = json.loads(seal)
        if _is_over(record, number):
            new = digest_of(blob[record["start"] : record["end"]])
            seals[index] = seal.replace(record["digest"].encode(), new.encode())
    journal.write(f"{name}.seals", b"".join(seals))
    return Attack(Path(name).name, number, number)


def truncate_and_resume(journal: Journal, rng: random.Random) -> Attack:
    """The end of the last segment and of its seals is cut off, and a run goes on there."""
    name = next(each for each in journal.sealed if _is_open(journal, each))
    seals = journal.seals(name)
    blocks = [json.loads(seal) for seal in seals]
    which = rng.randrange(1, len(seals))
    stop = blocks[which - 1].get("end", blocks[which - 1].get("start"))
    journal.write(name, journal.files[name][:stop])
    journal.write(f"{name}.seals", b"".join(seals[:which]))
    journal.go_on()
    return Attack(Path(name).name, 0, 0)


def put_key_back(journal: Journal, rng: random.Random) -> Attack:
    """`seal.key` is as it was before, or of somebody's own."""
    earlier = journal.earlier["seal.key"]
    now = json.loads(journal.files["seal.key"])
    own = json.dumps({**now, "key": rng.randbytes(32).hex()}).encode()
    journal.write("seal.key", rng.choice((earlier, own)))
    return Attack("seal.key", 0, 0)


ATTACKS: tuple[Do, ...] = (
    flip,
    edit,
    delete,
    duplicate,
    swap,
    insert,
    truncate,
    take_segment,
    take_segment_and_seals,
    forge_tombstone,
    reseal,
    take_checkpoint,
    edit_checkpoint,
    truncate_and_resume,
    put_key_back,
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda each: each.__name__)
def test_every_attack_on_what_is_sealed_is_found(
    as_it_was: Journal, attack: Do, record_property: Tell
) -> None:
    journal, rng = as_it_was, random.Random(attack.__name__)
    assert flaws(journal.state, journal.pens.key) == []
    named = 0

    for number in range(TRIES):
        done = attack(journal, rng)
        found = verified(journal.state, journal.pens.key)
        assert not found.is_whole, (number, done)
        assert _names(told(found), done), (number, done, told(found))
        named += 1
        journal.restore()

    record_property("figure", f"{named:,} of {TRIES:,} found and named")


def test_an_edit_behind_the_last_seal_is_told_as_unsealed(
    as_it_was: Journal, record_property: Tell
) -> None:
    """Nobody can know what stood there; that is said, before and after the next run."""
    journal, rng = as_it_was, random.Random(3)
    name = next(each for each in journal.sealed if _is_open(journal, each))
    lines = journal.lines(name)
    covered = journal.covered(name)

    for number in range(TRIES):
        at = rng.randrange(covered, len(lines))
        mine = [*lines[:at], journal.pens.line(), *lines[at + 1 :]]
        journal.write(name, b"".join(mine))
        found = verified(journal.state, journal.pens.key)
        assert _names(told(found, also_unsealed=True), Attack(Path(name).name, at + 1, at + 1))
        if number % 10 == 0:
            journal.go_on()
            found = verified(journal.state, journal.pens.key)
            assert _names(told(found, also_unsealed=True), Attack(Path(name).name, at + 1, at + 1))
        journal.restore()

    record_property("figure", f"{TRIES:,} of {TRIES:,} told as unsealed")


def test_without_the_verification_key_only_resealing_is_not_found(as_it_was: Journal) -> None:
    """Why the key is kept elsewhere: whoever can write all of it can make the seals anew."""
    journal, rng = as_it_was, random.Random(5)
    found: dict[str, int] = {}

    for attack in ATTACKS:
        for _ in range(5):
            attack(journal, rng)
            found[attack.__name__] = found.get(attack.__name__, 0) + bool(flaws(journal.state))
            journal.restore()

    missed = {name for name, count in found.items() if count < 5}
    assert missed <= {"reseal", "put_key_back", "edit_checkpoint", "forge_tombstone"}
    assert "reseal" in missed


# --- what happens without an attacker ------------------------------------------------


def _story(state: Path, disk: Disk, clock: FakeClock) -> None:
    """A run that rolls, prunes and ends."""
    settings = JournalSettings(segment_bytes=900, keep_bytes=4_000)
    journal = OpenJournal(state, settings, clock=clock, disk=disk)
    told = [encode(event) + b"\n" for event in journal.open()]
    if told:
        journal.append(told, len(told))
    for n in range(9):
        change = FileWritten(path=f"src/{n}.py", ts=clock.now())
        journal.append([encode(change) + b"\n", encode(LetterSent(n=n)) + b"\n"], 2)
        clock.advance(1.5)
        journal.sync()
        if journal.roll_if_due():
            journal.prune()
    journal.end({})


def test_a_crash_at_any_step_of_the_journal_leaves_it_proven(
    tmp_path: Path, record_property: Tell
) -> None:
    whole = FaultyDisk()
    (tmp_path / "whole").mkdir()
    _story(tmp_path / "whole", whole, FakeClock())
    steps = len(whole.calls)
    points = sorted(random.Random(1).sample(range(1, steps), min(POINTS, steps - 1)))

    for point in points:
        state = tmp_path / str(point)
        state.mkdir()
        clock, key = FakeClock(), verification_key(state, NoSync())
        _story(state, NoSync(), clock)
        disk = FaultyDisk()
        disk.crash(point)
        with suppress(Crashed):
            _story(state, disk, clock)
        assert told(verified(state, key)) == [], point
        _story(state, NoSync(), clock)
        assert told(verified(state, key)) == [], point

    record_property("figure", f"{len(points):,} of {steps:,} steps: 0 found, before and after")


def test_a_crash_at_any_step_of_the_audit_file_leaves_it_proven(
    tmp_path: Path, record_property: Tell
) -> None:
    """Written, rotated, packed, pruned; what no cursor speaks of is handed over again."""
    steps = _audit_story(tmp_path / "whole", None)
    points = sorted(random.Random(2).sample(range(1, steps), min(POINTS, steps - 1)))

    for point in points:
        _audit_story(tmp_path / str(point), point)

    record_property("figure", f"{len(points):,} of {steps:,} steps: 0 found, before and after")


def _audit_story(state: Path, point: int | None) -> int:
    state.mkdir()
    key = verification_key(state, NoSync())
    disk = FaultyDisk()
    desk = Desk(state, disk=disk)
    if point is not None:
        disk.crash(point)
    with suppress(Crashed):
        asyncio.run(_audit_days(desk, desk.open, 4))
    assert told(verified(state, key)) == [], point
    desk.disk = NoSync()
    asyncio.run(_audit_days(desk, desk.resume, 2))
    assert told(verified(state, key)) == [], point
    return len(disk.calls)


async def _audit_days(desk: Desk, begin: Callable[[Sink], Awaitable[object]], days: int) -> None:
    sink = Audit(compress="zstd", keep_days=2, rotate_bytes=400)
    await begin(sink)
    try:
        for _ in range(days):
            for n in range(3):
                await desk.write(FileWritten(path=f"src/{n}.py", ts=desk.clock.now()))
                await desk.tick(seconds=1.5)
                await desk.sync()
            await desk.tick(days=1)
            await desk.sync()
            await desk.tick(hours=1.1)
    finally:
        with suppress(Crashed):
            await desk.close()


@pytest.mark.timeout(timeout_for(KILLS, each=2.0))
def test_kills_at_any_moment_leave_it_proven(tmp_path: Path, record_property: Tell) -> None:
    """Journal and audit file, rolled, rotated and pruned by one process after the other."""
    key = verification_key(tmp_path, NoSync())
    rng = random.Random(4)
    sealed = 0

    for run in range(KILLS):
        _kill_an_agent(tmp_path, run, rng)
        found = verified(tmp_path, key)
        assert told(found) == [], run
        sealed = max(sealed, found.seals.lines)
    with EventBus(tmp_path, sinks=SINKS):
        pass

    found = verified(tmp_path, key)
    assert told(found) == []
    record_property("figure", f"{KILLS:,} kills, {found.seals.lines:,} lines sealed: 0 found")


def test_what_is_verified_while_it_is_written_is_proven(
    tmp_path: Path, record_property: Tell
) -> None:
    """Files are begun, rotated and pruned under whoever looks."""
    key = verification_key(tmp_path, NoSync())
    looks = 0

    for seed in range(3):
        with _agent(tmp_path, seed) as agent:
            for _ in range(LOOKS):
                assert told(verified(tmp_path, key)) == [], (seed, looks)
                looks += 1
            agent.kill()

    record_property("figure", f"{looks:,} looks: 0 found")


def _kill_an_agent(state: Path, run: int, rng: random.Random) -> None:
    with _agent(state, run) as agent:
        time.sleep(rng.uniform(0, 0.12))
        agent.kill()


@contextmanager
def _agent(state: Path, seed: int) -> Iterator["subprocess.Popen[bytes]"]:
    """One that is recording; the block kills it."""
    words = [sys.executable, "-m", "tests.sealing.agent", str(state), str(seed)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=ROOT) as agent:
        try:
            assert agent.stdout is not None
            assert agent.stdout.readline() == b"recording\n"
            yield agent
        finally:
            agent.kill()


# --- what attackers do ---------------------------------------------------------------


def _names(said: list[tuple[str, int, int, str]], done: Attack) -> bool:
    """True when something names the file, and lines among those that were touched."""
    return any(
        file == done.segment and (not first or not done.first or _touch(first, last, done))
        for file, first, last, _ in said
    )


def _touch(first: int, last: int, done: Attack) -> bool:
    return first <= done.last + 1 and last >= done.first - 1


def _edited(journal: Journal, rng: random.Random) -> tuple[str, int, list[bytes]]:
    """A critical line with other digits in it."""
    while True:
        name, number = journal.place(rng)
        lines = journal.lines(name)
        line = lines[number - 1]
        if is_critical_line(line):
            other = bytes(57 - (byte - 48) if 48 <= byte <= 57 else byte for byte in line)
            lines[number - 1] = other
            return name, number, lines


def _is_over(record: dict[str, Any], number: int) -> bool:
    """True for the block that a line is in."""
    return bool(record.get("first", 0) <= number <= record.get("last", 0))


def _is_open(journal: Journal, name: str) -> bool:
    return json.loads(journal.seals(name)[-1])["seal"] != "end"


def _todays_keys(journal: Journal) -> list[bytes]:
    """All the keys an attacker finds."""
    contents = [content for name, content in journal.files.items() if name.endswith(".key")]
    return [bytes.fromhex(json.loads(content)["key"]) for content in contents]


def _resealed(journal: Journal, name: str, blob: bytes, rng: random.Random) -> bytes:
    key = rng.choice(_todays_keys(journal))
    before, made = "", b""
    for seal in journal.seals(name):
        record = json.loads(seal)
        record["before"] = before
        if record["seal"] == "block":
            part = blob[record["start"] : record["end"]]
            record["digest"] = digest_of(part)
            record["leaves"] = digest_of(b"".join(leaves_in(part.split(b"\n"))))
        line = _signed(record, evolved(key, record["epoch"]))
        before, made = digest_of(line[:-1]), made + line
    return made


def _signed(record: dict[str, Any], key: bytes) -> bytes:
    import hmac

    record.pop("mac", None)
    content = json.dumps(record, separators=(",", ":")).encode()
    mac = hmac.digest(key, content, "sha256").hex().encode()
    return content[:-1] + b',"mac":"%s"}\n' % mac


def _forged_declaration(
    journal: Journal, name: str, number: int, lines: list[bytes], rng: random.Random
) -> bytes:
    blob = b"".join(lines)
    [over] = [one for one in map(json.loads, journal.seals(name)) if _is_over(one, number)]
    start, end = over["start"], over["end"]
    digest = digest_of(blob[start:end])
    leaf = leaf_of(journal.lines(name)[number - 1].rstrip(b"\n")).hex()
    record = {
        "seal": "erased",
        "chain": json.loads(journal.files["seal.key"])["chain"] - rng.randrange(2),
        "epoch": 0,
        "of": Path(name).name,
        "lines": [{"line": number, "leaf": leaf, "critical": True}],
        "blocks": [{"chain": over["chain"], "start": start, "end": end, "digest": digest}],
        "where": "id=1",
        "by": "root",
        "why": "because",
        "at": "2026-01-01T12:00:00Z",
        "before": "",
    }
    return _signed(record, rng.randbytes(32))
