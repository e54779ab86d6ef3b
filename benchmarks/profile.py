"""Where the time of an event goes on its way to the disk: each part of the way
alone, and what the recorder's threads spend while all of it runs, with the
journal alone and with two file lanes; as shares of the whole's processor time,
which other programs leave alone.
"""

from benchmarks.contest import Contest, Contestant, Course, hold, limit
from benchmarks.figures import Row, row

__all__ = ["ask"]

GROUP_OF = 1_000
"""Events of the course for each timed group of a hundred calls."""
JOURNAL, LANES = "await emit", "await emit, two file lanes"
PARTS, CALLS = "parts", "calls"
ONE_BY_ONE = (
    ("construct_us", "constructing"),
    ("id_us", "· its id"),
    ("time_us", "· its time"),
    ("emit_us", "emitting"),
    ("copy_us", "· copying what could change"),
    ("inbox_us", "emptying the inbox"),
    ("encode_us", "encoding"),
    ("write_us", "writing"),
)
ALL = ("construct_us", "emit_us", "inbox_us", "encode_us", "write_us")
"""Parts that follow one another and are parts of no other."""
THREADS = (("app_us", "the app's thread"), ("writer_us", "the writer's thread"))
LANE_THREADS = (
    *THREADS,
    ("lanes_us", "the lanes' loop"),
    ("jsonl_us", "the jsonl sink's thread"),
    ("flat_us", "the flat sink's thread"),
)


def ask(course: Course) -> list[Row]:
    """Measure the parts, the whole and the threads."""
    contest = hold(
        course,
        (
            limit(course.events),
            _measured(PARTS, "parts:alone", events=course.events),
            _measured(CALLS, "calls:emitting", groups=max(10, course.events // GROUP_OF)),
            _measured(JOURNAL, "parts:by_thread", events=course.events, sinks=()),
            _measured(LANES, "parts:by_thread", events=course.events, sinks=("jsonl", "flat")),
        ),
    )
    return [
        *contest.row("limit", to=None),
        *contest.row(JOURNAL),
        *_processor(contest, JOURNAL),
        *_one_by_one(contest),
        *contest.row(PARTS, "sync_us", label="waiting for the disk, once", to=None),
        *_by_thread(contest, JOURNAL, THREADS),
        *contest.row(LANES),
        *_processor(contest, LANES),
        *_by_thread(contest, LANES, LANE_THREADS),
        *contest.without(),
    ]


def _measured(name: str, target: str, **arguments: object) -> Contestant:
    return Contestant(name=name, target=f"benchmarks.contestants.{target}", arguments=arguments)


def _processor(contest: Contest, name: str) -> list[Row]:
    return contest.row(name, "cpu_us", label=f"{name}, processor time", to=("limit", "cpu_us"))


def _by_thread(contest: Contest, name: str, threads: tuple[tuple[str, str], ...]) -> list[Row]:
    rows: list[Row] = []
    for figure, label in threads:
        rows += contest.row(name, figure, label=label, to=(name, "cpu_us"), base="of it")
    return rows


def _one_by_one(contest: Contest) -> list[Row]:
    whole = contest.of(JOURNAL, "cpu_us")
    parts = {figure: _samples(contest, figure) for figure, _ in ONE_BY_ONE}
    if not whole or not all(parts.values()):
        return []
    sums = [sum(turn) for turn in zip(*(parts[figure] for figure in ALL), strict=True)]
    rest = [spent - told for spent, told in zip(whole, sums, strict=True)]
    return [
        *(row(label, parts[figure], to=whole, base="of it") for figure, label in ONE_BY_ONE),
        row("the rest: two threads, cold memory", rest, to=whole, base="of it"),
    ]


def _samples(contest: Contest, figure: str) -> list[float]:
    if figure == "emit_us":
        return contest.of(CALLS, "await_beyond_us")
    if figure == "copy_us":
        copied, plain = (contest.of(CALLS, f"{way}_beyond_us") for way in ("nowait", "plain"))
        return [more - less for more, less in zip(copied, plain, strict=True)]
    return contest.of(PARTS, figure)
