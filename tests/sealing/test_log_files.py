"""Log files whose lines are sealed: rotated, packed, pruned, cut back, and altered."""

from datetime import timedelta
from pathlib import Path

import pytest

from eventbus.events.file import FileWritten
from eventbus.sealing.keys import VerificationKey, verification_key
from eventbus.segments import load_zstd
from sinks.file import Audit
from tests.sealing.journals import NoSync, SealsFail, flaws, seal_lines, verified
from tests.sinks.files import NOON, Desk, run


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def key(desk: Desk) -> VerificationKey:
    desk.state.mkdir(exist_ok=True)
    return verification_key(desk.state, desk.disk)


def audit_of(desk: Desk, name: str = "audit.jsonl") -> Path:
    return desk.logs / name


async def fill(desk: Desk, *paths: str, days: float = 0) -> None:
    for path in paths:
        await desk.write(FileWritten(path=path, ts=NOON + timedelta(days=days)))
        await desk.tick(seconds=1.5)
        await desk.sink.sync()


def test_every_line_of_the_audit_file_is_sealed(desk: Desk, key: VerificationKey) -> None:
    async def go() -> None:
        await desk.open(Audit())
        await fill(desk, *"abcdef")
        await desk.close()

    run(go())

    found = verified(desk.state, key)
    assert flaws(desk.state, key) == []
    assert (found.seals.lines, found.seals.unsealed) == (6, [])
    assert found.seals.authentic == found.seals.blocks >= 5


def test_an_audit_that_is_not_to_be_sealed_is_not(desk: Desk) -> None:
    async def go() -> None:
        await desk.open(Audit(seal=False))
        await fill(desk, *"abc")
        await desk.close()

    run(go())

    assert not list(desk.state.rglob("*seal*"))


def test_a_changed_line_is_named(desk: Desk, key: VerificationKey) -> None:
    async def go() -> None:
        await desk.open(Audit())
        await fill(desk, *"abcdef")
        await desk.close()

    run(go())
    file = audit_of(desk)
    file.write_bytes(file.read_bytes().replace(b'"path":"c"', b'"path":"x"'))

    assert flaws(desk.state, key) == [("audit.jsonl", 3, 3, "is not as it was sealed")]


def test_rotation_keeps_the_seals_with_the_lines(desk: Desk, key: VerificationKey) -> None:
    async def go() -> None:
        await desk.open(Audit())
        await fill(desk, "a", "b")
        await desk.tick(days=1)
        await fill(desk, "c", days=1)
        await fill(desk, "late")
        await desk.tick(days=1)
        await fill(desk, "d", days=2)
        await desk.close()

    run(go())

    assert desk.names() == ["audit-2026-03-10.jsonl", "audit-2026-03-11.jsonl", "audit.jsonl"]
    assert flaws(desk.state, key) == []
    assert verified(desk.state, key).seals.lines == 5
    first = audit_of(desk, "audit-2026-03-10.jsonl")
    assert first.name in {one.get("named") for one in seal_lines(first)}


def test_a_file_rotated_after_a_restart_keeps_them_too(desk: Desk, key: VerificationKey) -> None:
    async def go() -> None:
        await desk.open(Audit())
        await fill(desk, "a", "b")
        await desk.close()
        desk.clock.advance(days=1)
        await desk.open(Audit())
        await fill(desk, "c", days=1)
        await desk.close()

    run(go())

    assert desk.names() == ["audit-2026-03-10.jsonl", "audit.jsonl"]
    assert flaws(desk.state, key) == []


def test_days_that_changed_places_are_found(desk: Desk, key: VerificationKey) -> None:
    async def go() -> None:
        await desk.open(Audit())
        for day in range(3):
            await fill(desk, f"a{day}", days=day)
            await desk.tick(days=1)
        await desk.close()

    run(go())
    one, two = (audit_of(desk, f"audit-2026-03-{day}.jsonl") for day in (10, 11))
    for suffix in ("", ".seals"):
        here, there = (path.with_name(path.name + suffix) for path in (one, two))
        aside = here.read_bytes()
        here.write_bytes(there.read_bytes())
        there.write_bytes(aside)

    assert {file for file, *_ in flaws(desk.state, key)} == {one.name, two.name}


def test_packed_days_are_held_against_their_seals(desk: Desk, key: VerificationKey) -> None:
    async def go() -> None:
        await desk.open(Audit(compress="zstd"))
        await fill(desk, *"abc")
        await desk.tick(days=2)
        await desk.sink.sync()
        await desk.tick(hours=1.1)
        await desk.close()

    run(go())

    packed = audit_of(desk, "audit-2026-03-10.jsonl.zst")
    assert desk.names() == [packed.name]
    assert flaws(desk.state, key) == []
    assert verified(desk.state, key).seals.lines == 3

    zstd = load_zstd()
    plain = zstd.decompress(packed.read_bytes())
    packed.write_bytes(zstd.compress(plain.replace(b'"path":"b"', b'"path":"x"')))
    assert flaws(desk.state, key) == [("audit-2026-03-10.jsonl", 2, 2, "is not as it was sealed")]

    packed.write_bytes(packed.read_bytes()[:-9])
    assert {what for *_, what in flaws(desk.state, key)} == {"is missing"}


def test_pruned_days_are_declared(desk: Desk, key: VerificationKey) -> None:
    async def go() -> None:
        await desk.open(Audit(keep_days=3))
        for day in range(7):
            await fill(desk, f"a{day}", days=day)
            await desk.tick(days=1)
        await desk.tick(hours=1.1)
        await desk.close()

    run(go())

    found = verified(desk.state, key)
    assert flaws(desk.state, key) == []
    assert [one.file for one in found.seals.declared][:2] == [
        "audit-2026-03-10.jsonl",
        "audit-2026-03-11.jsonl",
    ]
    assert not list(desk.logs.glob("audit-2026-03-10*"))


def test_a_day_deleted_by_hand_is_missing(desk: Desk, key: VerificationKey) -> None:
    async def go() -> None:
        await desk.open(Audit())
        for day in range(3):
            await fill(desk, f"a{day}", days=day)
            await desk.tick(days=1)
        await desk.close()

    run(go())
    gone = audit_of(desk, "audit-2026-03-11.jsonl")
    gone.unlink()
    assert flaws(desk.state, key) == [(gone.name, 1, 1, "is gone")]

    gone.with_name(gone.name + ".seals").unlink()
    [(file, _, _, what)] = flaws(desk.state, key)
    assert (file, what) == ("seals", "chain 1 is gone, with what was sealed")


def test_a_line_somebody_else_puts_there_is_not_vouched_for(
    desk: Desk, key: VerificationKey
) -> None:
    async def go() -> None:
        await desk.open(Audit())
        await fill(desk, "a", "b")
        with audit_of(desk).open("ab") as file:
            file.write(b'{"path":"not ours"}\n')
        await fill(desk, "c", "d")
        await desk.close()

    run(go())

    found = verified(desk.state, key)
    assert flaws(desk.state, key) == []
    assert [(one.first, one.last) for one in found.seals.unsealed] == [(3, 3)]


def test_a_process_that_dies_between_the_two_renamings_is_made_good(
    desk: Desk, key: VerificationKey
) -> None:
    async def go() -> None:
        await desk.open(Audit())
        await fill(desk, "a", "b")
        await desk.close()

    run(go())
    audit_of(desk).rename(audit_of(desk, "audit-2026-03-10.jsonl"))
    assert flaws(desk.state, key) != []

    async def again() -> None:
        desk.clock.advance(days=1)
        await desk.open(Audit())
        await fill(desk, "c", days=1)
        await desk.close()

    run(again())

    assert desk.names() == ["audit-2026-03-10.jsonl", "audit.jsonl"]
    assert flaws(desk.state, key) == []


@pytest.mark.parametrize("nth", range(1, 60, 4))
def test_a_call_on_seals_that_fails_costs_no_line_and_no_proof(
    desk: Desk, key: VerificationKey, nth: int
) -> None:
    desk.disk = SealsFail(nth)

    async def go() -> None:
        for day in range(3):
            await desk.open(Audit())
            await fill(desk, f"a{day}", f"b{day}", days=day)
            await desk.tick(days=1)
            await fill(desk, f"c{day}", days=day + 1)
            await desk.close()
            desk.disk = NoSync()

    run(go())

    lines = [
        line for path in desk.logs.glob("audit*.jsonl") for line in path.read_bytes().splitlines()
    ]
    assert len(lines) == 9
    assert flaws(desk.state, key) == []
