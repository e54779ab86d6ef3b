"""How far ahead of its peers the journal is: the same events, each peer written at
its best, everything on the disk at the end; and the worst calls of each. Those
that flush every line are shown with files that do not as well.
"""

from msgspec.structs import replace

from benchmarks.contest import Contest, Contestant, Course, hold, limit, ours
from benchmarks.figures import Aim, Row, ratios, row

__all__ = ["ask"]

OURS = "eventbus, journal"
CALLS_PART = 4
"""Of the events, when single calls are timed."""
AHEAD = {
    "structlog": 3,
    "stdlib queue": 7,
    "OpenTelemetry batch": 10,
    "loguru enqueue": 40,
    "bubus, own log": 400,
}
"""How many times quicker the journal is to be; ahead of all others is enough."""


def ask(course: Course) -> list[Row]:
    """Measure everybody."""
    peers = _peers(course.events)
    whole = hold(course, (limit(course.events), ours(OURS, course.events), *peers))
    rows = [*whole.row("limit", to=None), *whole.row(OURS)]
    for peer in peers:
        rows += whole.row(peer.name)
    for peer in peers:
        rows += _ahead(whole, peer.name)
    rows += whole.without()
    return rows if course.is_quick else rows + _calls(course, peers)


def _peers(events: int) -> tuple[Contestant, ...]:
    """Slow ones count through fewer: a figure is for one event."""
    return (
        _peer("blinker", "blinker_signal:whole", events),
        _peer("structlog", "structlog_bytes:whole", events),
        _peer("structlog, patient file", "structlog_bytes:whole", events, patient=True),
        _peer("picologging", "picologging_file:whole", events),
        _peer("picologging, patient file", "picologging_file:whole", events, patient=True),
        _peer("stdlib queue, as it comes", "stdlib_queue:as_it_comes", events),
        _peer("stdlib queue", "stdlib_queue:whole", events),
        _peer("stdlib queue, patient file", "stdlib_queue:whole", events, patient=True),
        _peer("OpenTelemetry batch", "otel_batch:whole", events),
        _peer("loguru", "loguru_file:whole", events, enqueue=False),
        _peer("loguru enqueue", "loguru_file:whole", events // 10, enqueue=True),
        _peer("bubus, own log", "bubus_log:own_log", events // 100),
        _peer("bubus, a handler", "bubus_log:handler", events // 100),
    )


def _peer(name: str, target: str, events: int, **arguments: bool) -> Contestant:
    return Contestant(
        name=name,
        target=f"benchmarks.contestants.{target}",
        events=events,
        arguments=arguments,
        is_peer=True,
    )


def _ahead(whole: Contest, name: str) -> list[Row]:
    times = ratios(whole.of(name), whole.of(OURS)) if whole.of(name) and whole.of(OURS) else []
    if not times:
        return []
    aim = Aim(least=AHEAD.get(name, 1), of="value")
    return [row(f"ahead of {name}", times, unit="times", aim=aim, better="higher")]


def _calls(course: Course, peers: tuple[Contestant, ...]) -> list[Row]:
    """The worst thousandth of each one's calls."""
    everybody = (limit(course.events), ours(OURS, course.events), *peers)
    timed = [replace(one, calls=True, events=max(1, one.events // CALLS_PART)) for one in everybody]
    calls = hold(course, timed)
    rows: list[Row] = []
    for one in timed:
        rows += calls.row(one.name, "p999_us", label=f"call p99.9, {one.name}", to=None)
    return rows
