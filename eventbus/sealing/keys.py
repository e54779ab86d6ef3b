"""Keys that evolve one way: the state directory's, of which each chain's own is made.

`seal.key` holds the number of the next chain and the key it will come of. To
take it is to replace it by its hash, so nobody who reads the directory later
can make a seal of an earlier chain. The same holds within a chain, from one
record to the next.
"""

import errno
import hashlib
import hmac
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from eventbus.disk import Disk
from eventbus.errors import SettingsError
from eventbus.event import UNREADABLE

__all__ = [
    "Beginning",
    "StateKey",
    "Taken",
    "VerificationKey",
    "evolved",
    "first_key",
    "forget_beginning",
    "held",
    "is_alive",
    "key_path",
    "read_state_key",
    "take_key",
    "verification_key",
]

FILE = "seal.key"
PAUSES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Seconds between tries while another process takes a key; it takes a sync or two."""
_TEXT = re.compile(r"eventbus-seal-key:(\d+):([0-9a-f]{64})")


class Beginning(msgspec.Struct, frozen=True):
    """A chain whose number is taken, and whose first record may not be on the disk yet."""

    chain: int
    seals: str
    """The file its first record goes to."""


class StateKey(msgspec.Struct, frozen=True, kw_only=True):
    """What `seal.key` holds."""

    chain: int
    """The number of the next chain."""
    key: str
    beginning: tuple[Beginning, ...] = ()


class Taken(msgspec.Struct, frozen=True):
    """A chain's number, its first key, and which chains before it came to nothing."""

    chain: int
    key: bytes
    lost: tuple[int, ...]


class VerificationKey(msgspec.Struct, frozen=True):
    """Gives the first key of every chain from `chain` on."""

    chain: int
    key: bytes

    def __str__(self) -> str:
        return f"eventbus-seal-key:{self.chain}:{self.key.hex()}"

    @classmethod
    def read(cls, text: str) -> "VerificationKey":
        """As it was written by `str`; anything around it is passed over."""
        found = _TEXT.search(text)
        if found is None:
            raise SettingsError(
                "no verification key: it is written 'eventbus-seal-key:NUMBER:64 hex digits',"
                " as 'eventbus seal-key' shows it"
            )
        return cls(int(found[1]), bytes.fromhex(found[2]))

    def first_keys(self, stop: int) -> Iterator[tuple[int, bytes]]:
        """The numbers and first keys of the chains before `stop`."""
        key = self.key
        for chain in range(self.chain, stop):
            yield chain, first_key(key)
            key = _next(key)

    def of(self, chain: int) -> bytes:
        """What the state directory's key is when that chain is the next."""
        key = self.key
        for _ in range(self.chain, chain):
            key = _next(key)
        return key


def _next(key: bytes) -> bytes:
    return hashlib.sha256(b"eventbus next chain\n" + key).digest()


def first_key(key: bytes) -> bytes:
    """A chain's first key, of the state directory's."""
    return hmac.digest(key, b"eventbus this chain", "sha256")


def evolved(key: bytes, times: int = 1) -> bytes:
    """A chain's key so many records later."""
    for _ in range(times):
        key = hashlib.sha256(b"eventbus next epoch\n" + key).digest()
    return key


# --- the state directory's ------------------------------------------------------


def key_path(state: Path) -> Path:
    """Where the key is that the next chain will come of."""
    return state / FILE


def read_state_key(state: Path, disk: Disk) -> StateKey | None:
    """What `seal.key` holds; None where nothing was ever sealed, or it cannot be read."""
    try:
        return msgspec.json.decode(disk.read(key_path(state)), type=StateKey)
    except (OSError, *UNREADABLE):
        return None


def _kept(state: Path, disk: Disk) -> StateKey | None:
    """The same for who goes on from it; raises `OSError` unless it is there or never was."""
    try:
        return msgspec.json.decode(disk.read(key_path(state)), type=StateKey)
    except FileNotFoundError:
        return None
    except UNREADABLE as error:
        what = "it holds no key of seals; move it away to begin with another"
        raise OSError(errno.EINVAL, what, str(key_path(state))) from error


def verification_key(state: Path, disk: Disk) -> VerificationKey:
    """For all chains from now on; makes the first key where there is none."""
    with held(state, "seal.lock", disk):
        now = _kept(state, disk) or _make_first(state, disk)
        return VerificationKey(now.chain, bytes.fromhex(now.key))


def take_key(
    state: Path, seals: Path, *, disk: Disk, is_begun: Callable[[Beginning], bool]
) -> Taken:
    """The next chain's number and key; `seal.key` does not give it again.

    `is_begun` says of a chain that was beginning whether its record is there.
    """
    with held(state, "seal.lock", disk):
        now = _kept(state, disk) or _make_first(state, disk)
        waiting = tuple(one for one in now.beginning if not is_begun(one))
        lost = tuple(one.chain for one in waiting if not is_alive(state, one.chain, disk))
        key = bytes.fromhex(now.key)
        alive = [one for one in waiting if one.chain not in lost]
        after = StateKey(
            chain=now.chain + 1,
            key=_next(key).hex(),
            beginning=(*alive, Beginning(now.chain, str(seals))),
        )
        _replace(state, after, disk)
        return Taken(now.chain, first_key(key), lost)


def forget_beginning(state: Path, chain: int, disk: Disk) -> None:
    """The chain's first record is on the disk."""
    with held(state, "seal.lock", disk):
        now = _kept(state, disk)
        if now is not None:
            left = tuple(one for one in now.beginning if one.chain != chain)
            _replace(state, msgspec.structs.replace(now, beginning=left), disk)


def is_alive(state: Path, chain: int, disk: Disk) -> bool:
    """True while whoever writes the chain holds its key."""
    with suppress(OSError):
        fd = disk.open(chain_key_path(state, chain), os.O_RDONLY)
        try:
            return disk.is_locked(fd)
        finally:
            disk.close(fd)
    return False


def chain_key_path(state: Path, chain: int) -> Path:
    """Where the key of a chain is while it is written."""
    return state / "run" / f"seal-{chain}.key"


def _make_first(state: Path, disk: Disk) -> StateKey:
    made = StateKey(chain=0, key=os.urandom(32).hex())
    _replace(state, made, disk)
    return made


def _replace(state: Path, key: StateKey, disk: Disk) -> None:
    """In one step, and on the disk: a key that is taken must never come back."""
    path = key_path(state)
    beside = path.with_name(f".{path.name}.tmp")  # one process at a time is here
    fd = disk.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        disk.write_all(fd, msgspec.json.encode(key) + b"\n")
        disk.sync(fd)
    finally:
        disk.close(fd)
    disk.rename(beside, path)
    disk.sync_directory(state)


@contextmanager
def held(state: Path, name: str, disk: Disk) -> Iterator[None]:
    """While nobody else does what that lock stands for; it is a matter of a sync or two."""
    disk.make_directory(state / "run")
    fd = disk.open(state / "run" / name, os.O_RDWR | os.O_CREAT)
    try:
        for pause in (*PAUSES, None):
            if disk.lock(fd):
                break
            if pause is None:
                raise BlockingIOError(f"another process holds {state / 'run' / name}")
            time.sleep(pause)
        yield
    finally:
        disk.close(fd)
