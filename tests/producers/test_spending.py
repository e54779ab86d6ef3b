"""Cost limits in force: exact at the edge, right from the start and across processes."""

import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eventbus import EventBus, Scope, read_journal, scope
from eventbus.errors import CostLimitReached
from eventbus.events.dispatch import DispatchFinished, DispatchRefused
from eventbus.events.llm import ModelAnswered, Usage
from eventbus.limits import CostLimits, Limit
from eventbus.producers.spending import SpendingLimits
from eventbus.testing import FakeClock

TEN = CostLimits(daily=10.0, monthly=100.0, slack=0.5)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[EventBus]:
    with EventBus(tmp_path / "state") as bus:
        yield bus


def spend(bus: EventBus, dollars: float | None, user: str = "ann", **more: object) -> None:
    more.setdefault("usage", Usage(input_uncached=100, output_visible=20))
    bus.emit_nowait(
        ModelAnswered(model="opus", cost=dollars, scope=Scope(user=user), **more)  # type: ignore[arg-type]
    )


def refused(limits: SpendingLimits, user: str = "ann") -> CostLimitReached:
    with pytest.raises(CostLimitReached) as caught:
        limits.admit(user)
    return caught.value


def test_a_dispatch_begins_below_the_limit_and_none_at_it(bus: EventBus) -> None:
    with SpendingLimits(TEN, bus=bus) as limits:
        spend(bus, 9.999999)
        limits.admit("ann").release()
        spend(bus, 0.000001)

        error = refused(limits)

    assert str(error) == "Daily cost limit reached."
    assert (error.limit, error.spent, error.window, error.scope) == (10.0, 10.0, "daily", "user")
    assert error.resets_at is not None
    assert error.resets_at.hour == 0
    assert error.resets_at > datetime.now(UTC)


def test_the_month_has_a_limit_of_its_own(bus: EventBus) -> None:
    with SpendingLimits(CostLimits(daily=0, monthly=5), bus=bus) as limits:
        spend(bus, 5)

        error = refused(limits)

    assert str(error) == "Monthly cost limit reached."
    assert error.resets_at is not None
    assert error.resets_at.day == 1


def test_zero_is_no_limit(bus: EventBus) -> None:
    with SpendingLimits(CostLimits(), bus=bus) as limits:
        spend(bus, 1_000_000)

        limits.admit("ann").release()


def test_a_user_may_have_a_limit_of_their_own(bus: EventBus) -> None:
    own = CostLimits(daily=1, users={"bob": Limit(daily=3), "eve": Limit()})
    with SpendingLimits(own, bus=bus) as limits:
        for user in ("ann", "bob", "eve"):
            spend(bus, 2, user)

        assert refused(limits, "ann").limit == 1
        limits.admit("bob").release()
        limits.admit("eve").release()


def test_everybody_together_may_have_a_limit(bus: EventBus) -> None:
    with SpendingLimits(CostLimits(all=Limit(daily=3)), bus=bus) as limits:
        for user in ("ann", "bob"):
            limits.admit(user).release()
            spend(bus, 1.5, user)

        error = refused(limits, "eve")

    assert (error.scope, error.spent) == ("all", 3.0)


def test_tokens_are_limited_where_there_is_no_price(bus: EventBus) -> None:
    with SpendingLimits(CostLimits(daily_tokens=240), bus=bus) as limits:
        for _ in range(2):
            limits.admit("ann").release()
            spend(bus, None)

        error = refused(limits)

    assert str(error) == "Daily token limit reached."
    assert (error.limit, error.spent) == (240, 240)


@pytest.mark.parametrize("unpriced", ["allow", "refuse"])
def test_what_has_no_price_is_let_pass_or_not_as_is_said(bus: EventBus, unpriced: str) -> None:
    said = CostLimits(daily=1, unpriced=unpriced)  # type: ignore[arg-type]
    with SpendingLimits(said, bus=bus) as limits:
        limits.admit("ann").release()
        spend(bus, None)

        if unpriced == "allow":
            limits.admit("ann").release()
        else:
            refused(limits)


def test_a_refusal_is_an_event(bus: EventBus, tmp_path: Path) -> None:
    with SpendingLimits(TEN, bus=bus) as limits:
        spend(bus, 12.5)
        refused(limits)
    bus.close()

    (event,) = read_journal(tmp_path / "state", kinds="dispatch:refuse")

    assert isinstance(event, DispatchRefused)
    assert (event.sender_id, event.limit, event.spent, event.window) == ("ann", 10.0, 12.5, "daily")
    assert event.message == "Daily cost limit reached."


def test_a_dispatch_that_runs_is_taken_to_cost_the_slack(bus: EventBus) -> None:
    """Two at the edge cannot both pass beyond it."""
    with SpendingLimits(TEN, bus=bus) as limits:
        spend(bus, 9.8)
        running = limits.admit("ann")
        error = refused(limits)
        running.release()
        running.release()

        limits.admit("ann").release()

    assert error.spent == 9.8


def test_many_that_begin_at_once_do_not_pass_the_limit_together(bus: EventBus) -> None:
    admitted: list[object] = []
    with SpendingLimits(TEN, bus=bus) as limits:

        def begin() -> None:
            for _ in range(10):
                try:
                    admitted.append(limits.admit("ann"))
                except CostLimitReached:
                    return

        threads = [threading.Thread(target=begin) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(admitted) == 20  # at half a dollar each


def test_a_dispatch_on_its_own_costs_too_and_one_with_calls_does_not_again(bus: EventBus) -> None:
    with SpendingLimits(TEN, bus=bus) as limits:
        spend(bus, 4)
        bus.emit_nowait(DispatchFinished(sender_id="ann", cost=4, tokens_in=1, model_calls=1))
        assert limits.spent("ann")[0].nanos == 4 * 10**9
        bus.emit_nowait(DispatchFinished(sender_id="ann", cost=6, tokens_in=1))

        refused(limits)


def test_the_scopes_user_is_meant_unless_one_is_named(bus: EventBus) -> None:
    with SpendingLimits(TEN, bus=bus) as limits:
        spend(bus, 11, "zoe")
        limits.admit().release()
        with scope(user="zoe"), pytest.raises(CostLimitReached):
            limits.admit()


@pytest.mark.parametrize("sinks", [[], ["sqlite"]])
def test_after_a_restart_it_is_known_what_was_spent(tmp_path: Path, sinks: list[str]) -> None:
    """With a store and without, and with events that have not landed in it."""
    for lanes in (sinks, []):
        with EventBus(tmp_path / "s", sinks=lanes) as bus:
            spend(bus, 5)

    with EventBus(tmp_path / "s") as bus, SpendingLimits(TEN, bus=bus) as limits:
        day, month = limits.spent("ann")
        error = refused(limits)

    assert (day.nanos, month.nanos) == (10 * 10**9, 10 * 10**9)
    assert error.spent == 10.0


def test_the_next_day_begins_anew_and_the_month_goes_on(tmp_path: Path) -> None:
    clock = FakeClock(NOON)
    with (
        EventBus(tmp_path / "s", clock=clock) as bus,
        SpendingLimits(CostLimits(daily=10, monthly=15), bus=bus, clock=clock) as limits,
    ):
        spend(bus, 10, ts=NOON)
        assert refused(limits).window == "daily"
        clock.advance(days=1)
        limits.admit("ann").release()
        spend(bus, 5, ts=clock.now())

        assert refused(limits).window == "monthly"
        clock.advance(days=30)
        limits.admit("ann").release()


def test_other_limits_hold_at_once(bus: EventBus) -> None:
    with SpendingLimits(TEN, bus=bus) as limits:
        spend(bus, 5)
        limits.admit("ann").release()
        limits.use(CostLimits(daily=5))

        refused(limits)


def test_what_another_process_has_spent_counts(tmp_path: Path) -> None:
    with EventBus(tmp_path / "s") as bus, SpendingLimits(TEN, bus=bus) as limits:
        spend(bus, 4)
        with EventBus(tmp_path / "s") as other:
            spend(other, 5.9)
        limits.admit("ann").release()
        with EventBus(tmp_path / "s") as other:
            spend(other, 0.1)

        assert refused(limits).spent == 10.0


RACER = textwrap.dedent(
    """
    import sys, time
    from eventbus import EventBus, Scope
    from eventbus.errors import CostLimitReached
    from eventbus.events.llm import ModelAnswered
    from eventbus.limits import CostLimits
    from eventbus.producers.spending import SpendingLimits

    admitted = 0
    with EventBus(sys.argv[1]) as bus:
        with SpendingLimits(CostLimits(daily=10, slack=0.5), bus=bus) as limits:
            print("ready", flush=True)
            sys.stdin.readline()
            try:
                while True:
                    with limits.admit("ann"):
                        time.sleep(0.001)
                        bus.emit_nowait(
                            ModelAnswered(model="m", cost=0.5, scope=Scope(user="ann"))
                        )
                        admitted += 1
                        bus.flush_now()
            except CostLimitReached:
                pass
    print(admitted)
    """
)


@pytest.mark.slow
def test_processes_that_race_to_the_limit_do_not_pass_it_by_more_than_the_slack(
    tmp_path: Path,
) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path / "s")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    admitted = [int(racer.communicate(timeout=30)[0]) for racer in racers]

    assert 20 <= sum(admitted) <= 21, admitted
