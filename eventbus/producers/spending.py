"""Cost limits in force: whether a dispatch may begin, decided in memory.

What was spent comes from the books, which are right from the start and to the
moment. A dispatch that runs is taken to cost the limits' slack until it is
over. A process spends from a lease, a part of what is left that the others
hold for spent; they decide one at a time who gets the next.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, date, datetime, timedelta
from os import getpid
from time import monotonic
from types import TracebackType
from typing import Self

import msgspec

from eventbus import outlet
from eventbus.bus import EventBus
from eventbus.clock import SYSTEM_CLOCK, Clock, utc_now
from eventbus.disk import SYSTEM_DISK, Disk
from eventbus.errors import CostLimitReached
from eventbus.event import Event
from eventbus.events.dispatch import DispatchRefused
from eventbus.limits import NANOS, CostLimits, Limit, Spending, in_nanos, refusal
from eventbus.producers.books import COSTING, Books
from eventbus.producers.reservations import EVERYBODY, LEASE_S, Reservations, slot_of
from eventbus.scope import current_scope
from eventbus.store.usage import Charge

__all__ = ["Admission", "SpendingLimits"]

LOOK_EVERY_S = 0.25
"""Seconds between looks at what other processes have written; a lease outlives several."""
SHARED_EVERY_S = 3.0
"""Seconds between looks at a store that other machines land in."""
LEASE_PART = 8
"""A lease is this part of what is left."""
NO_LIMIT = Limit()
UNBOUNDED = 2**62
"""More than anybody spends."""


class Account:
    """What one user may spend until it has to be asked again, and what runs for them."""

    __slots__ = ("nanos", "running", "tokens", "until")

    def __init__(self) -> None:
        self.running = 0
        """Nanos that running dispatches are taken to cost."""
        self.nanos = 0
        """What is left of the lease."""
        self.tokens = 0
        self.until = 0.0
        """When the lease ends, on the monotonic clock."""

    def renew(self) -> None:
        """Begin a lease that nothing has narrowed yet."""
        self.nanos = self.tokens = UNBOUNDED
        self.until = monotonic() + LEASE_S

    @property
    def leased(self) -> int:
        """Nanos others have to hold for spent; none where nothing limits them."""
        if self.until <= monotonic() or self.nanos > UNBOUNDED // 2:
            return 0
        return max(0, self.nanos)


class Admission:
    """A dispatch that was let begin; `release` it, or leave its block, when it is over."""

    __slots__ = ("_limits", "reserved", "user")

    def __init__(self, limits: "SpendingLimits", user: str, reserved: int) -> None:
        self._limits: SpendingLimits | None = limits
        self.reserved = reserved
        """Nanos it is taken to cost."""
        self.user = user

    def release(self) -> None:
        """Say that it is over; twice is once."""
        limits, self._limits = self._limits, None
        if limits is not None:
            limits._give_back(self.user, self.reserved)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


class SpendingLimits:
    """Admits dispatches until a limit is reached; used as a block, from any thread.

    `bus` is the one whose events are counted as they are emitted, by default
    the process's open bus; `where` the store, by default that of its state.
    """

    def __init__(
        self,
        limits: CostLimits,
        *,
        bus: EventBus | None = None,
        where: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
        disk: Disk = SYSTEM_DISK,
    ) -> None:
        self.limits = limits
        """The limits in force."""
        self._bus = bus if bus is not None else outlet.bus_in_use()
        self._state = self._bus.state if self._bus is not None else None
        self._is_shared = where is not None and "://" in where
        self._where = where if where is not None or self._state is None else str(self._state)
        self._clock = clock
        self._now: Callable[[], datetime] = utc_now if type(clock) is Clock else clock.now
        self._disk = disk
        self._slack = in_nanos(limits.slack)
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._books = Books(self._state, self._where, disk=self._disk, tell=self._spend)
        self._guard = self._books.guard
        self._deciding = threading.RLock()
        self._reservations = (
            Reservations(self._state, self._disk) if self._state is not None else None
        )
        self._accounts: dict[str, Account] = {}
        self._today = date.min
        self._midnight = datetime.min.replace(tzinfo=UTC)
        self._pid = getpid()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    # --- life ----------------------------------------------------------------------

    def open(self) -> Self:
        """Read what was spent so far, and keep up with it from now on."""
        self._turn_the_day()
        if self._reservations is not None:
            self._reservations.open()
        self._watch(self._books.note)
        self._thread = threading.Thread(target=self._keep_up, name="eventbus-limits", daemon=True)
        self._thread.start()
        return self

    def _watch(self, function: Callable[[Event], object] | None) -> None:
        if self._bus is not None:
            for each in COSTING:
                self._bus.watch(each, function)

    def close(self) -> None:
        """Stop keeping up."""
        self._watch(None)
        self._ended.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(LOOK_EVERY_S * 8)
        self._books.close()
        if self._reservations is not None:
            self._reservations.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def use(self, limits: CostLimits) -> None:
        """Hold by other limits from now on."""
        with self._guard:
            self.limits, self._slack = limits, in_nanos(limits.slack)
            self._end_leases()

    def _end_leases(self) -> None:
        for account in self._accounts.values():
            account.until = 0.0

    # --- deciding ------------------------------------------------------------------

    def admit(self, user: str | None = None) -> Admission:
        """Let a dispatch of a user begin; by default the scope's user.

        Raises `CostLimitReached`, and records the refusal, where a limit is reached.
        """
        who = (user if user is not None else current_scope().user) or ""
        if getpid() != self._pid:  # before anything is held that the parent held
            self._after_fork()
        with self._guard:
            if self._now() >= self._midnight:
                self._turn_the_day()
            slack = self._slack
            account = self._accounts.get(who)
            if (
                account is not None
                and account.nanos > slack
                and account.tokens > 0
                and account.until > monotonic()
            ):
                account.nanos -= slack
                account.running += slack
                return Admission(self, who, slack)
        refused = self._decide(who)
        if refused is not None:
            self._record(refused, user)
            raise refused
        return Admission(self, who, slack)

    def check(self, user: str | None = None) -> None:
        """Raise `CostLimitReached` if a dispatch of the user would be refused now."""
        self.admit(user).release()

    def _decide(self, who: str) -> CostLimitReached | None:
        """Look at everything there is, alone among the processes, and take a lease or refuse."""
        with self._deciding, self._alone():
            self._books.catch_up()
            return self._take_a_lease(who)

    def _take_a_lease(self, who: str) -> CostLimitReached | None:
        # While the books are held nothing is spent that the lease would not hear of.
        with self._guard:
            account = self._accounts.setdefault(who, Account())
            account.renew()
            refused = self._judge(self.limits.of(who), "user", who, account)
            refused = refused or self._judge(self.limits.all, "all", None, account)
            if refused is None:
                account.nanos -= self._slack
                account.running += self._slack
            else:
                account.until = 0.0
            self._say(who, account)
            return refused

    def _alone(self) -> AbstractContextManager[None]:
        return self._reservations.alone() if self._reservations is not None else nullcontext()

    def _judge(
        self, limit: Limit, whose: str, user: str | None, account: Account
    ) -> CostLimitReached | None:
        """Hold one limit against what was spent; what is left of it narrows the lease."""
        if limit == NO_LIMIT:
            return None
        is_strict = self.limits.unpriced == "refuse"
        day, month = self._books.spent(user, self._today)
        held = self._held(user, deciding=account)
        refused = refusal(
            limit,
            _with(day, held),
            _with(month, held),
            on=self._today,
            whose=whose,
            strict=is_strict,
        )
        if refused is not None:
            spent = day if refused.window == "daily" else month
            refused.spent = spent.nanos / NANOS if refused.unit == "cost" else spent.tokens
            return refused
        for most, most_tokens, spent in (
            (limit.daily, limit.daily_tokens, day),
            (limit.monthly, limit.monthly_tokens, month),
        ):
            if most:
                left = in_nanos(most) - spent.nanos - held - self._slack
                account.nanos = min(account.nanos, self._slack + max(0, left) // LEASE_PART)
            if most_tokens:
                account.tokens = min(account.tokens, (most_tokens - spent.tokens) // LEASE_PART)
        return None

    def _held(self, user: str | None, *, deciding: Account) -> int:
        """What running dispatches may yet cost, here and in other processes, and their leases."""
        if user is None:
            own = sum(each.running for each in self._accounts.values())
            own += sum(each.leased for each in self._accounts.values() if each is not deciding)
        else:
            own = deciding.running
        if self._reservations is None:
            return own
        return own + self._reservations.of_others(EVERYBODY if user is None else slot_of(user))

    def _say(self, who: str, account: Account) -> None:
        """Tell the other processes what we may yet spend for a user, and for all."""
        if self._reservations is None:
            return
        pending, accounts = self._books.pending, self._accounts.values()
        self._reservations.say(
            slot_of(who),
            running=account.running + pending.get(who, 0),
            lease=account.leased,
            until=account.until,
        )
        self._reservations.say(
            EVERYBODY,
            running=sum(each.running for each in accounts) + sum(pending.values()),
            lease=sum(each.leased for each in accounts),
            until=max(each.until for each in accounts),
        )

    def _give_back(self, user: str, nanos: int) -> None:
        with self._guard:
            account = self._accounts.get(user)
            if account is None or getpid() != self._pid:
                return
            account.running = max(0, account.running - nanos)
            account.nanos += nanos
            if account.nanos <= 2 * self._slack:  # near the edge the others wait for it
                self._say(user, account)

    def _record(self, refused: CostLimitReached, user: str | None) -> None:
        emit = self._bus.emit_nowait if self._bus is not None else outlet.emit
        emit(
            DispatchRefused(
                limit=refused.limit,
                limit_scope=refused.scope,
                spent=refused.spent,
                window=refused.window,
                resets_at=refused.resets_at,
                sender_id=user,
                unit=msgspec.UNSET if refused.unit == "cost" else refused.unit,
            )
        )

    # --- keeping up ----------------------------------------------------------------

    def _spend(self, spent: Charge) -> None:
        """Something was spent, here or elsewhere: it narrows what is left; the books are held."""
        account = self._accounts.get(spent.user)
        if account is None:
            return
        account.nanos -= spent.spent.nanos
        account.tokens -= spent.spent.tokens
        if spent.spent.unpriced and self.limits.unpriced == "refuse":
            account.until = 0.0

    def _keep_up(self) -> None:
        """Follow what others spend, and tell them what runs here before its lease is over."""
        due = monotonic() + SHARED_EVERY_S
        while not self._ended.wait(LOOK_EVERY_S):
            with suppress(OSError), self._guard, self._books.guard:  # again at the next turn
                self._books.catch_up()
                for who, account in self._accounts.items():
                    self._say(who, account)
                if self._is_shared and monotonic() >= due:
                    self._books.open(self._today)
                    self._end_leases()
                    due = monotonic() + SHARED_EVERY_S

    def _turn_the_day(self) -> None:
        now = self._clock.now().astimezone(UTC)
        before, self._today = self._today, now.date()
        self._midnight = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
        self._end_leases()
        if (before.year, before.month) != (now.year, now.month):
            self._books.open(self._today)

    def _after_fork(self) -> None:
        """A child has books and reservations of its own."""
        self._begin_anew()
        self.open()

    def spent(self, user: str | None = None) -> tuple[Spending, Spending]:
        """What a user, or everybody, spent today and this month, to the moment."""
        self._books.catch_up()
        return self._books.spent(user, self._today)


def _with(spending: Spending, held: int) -> Spending:
    return msgspec.structs.replace(spending, nanos=spending.nanos + held) if held else spending
