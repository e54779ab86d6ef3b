"""What a contestant counts through."""

from pathlib import Path
from time import sleep

from benchmarks.laps import MARK, CallLaps, Laps, kept


def test_the_clock_starts_with_the_first_number_and_not_before() -> None:
    laps = Laps(10)
    sleep(0.05)  # setting up costs nothing

    for _ in laps:
        sleep(0.001)
    laps.finish()

    assert 1_000 <= laps.figures()["us"] < 5_000


def test_a_contestant_may_stop_the_clock_itself() -> None:
    laps = Laps(10)
    list(laps)
    laps.finish()
    sleep(0.05)  # tidying up costs nothing either

    laps.finish()

    assert laps.figures()["us"] < 5_000


def test_waiting_takes_no_processor_time() -> None:
    laps = Laps(1)
    for _ in laps:
        sleep(0.05)
    laps.finish()

    assert laps.figures()["cpu_us"] < laps.figures()["us"] / 2


def test_timed_calls_show_the_one_that_was_slow() -> None:
    laps = CallLaps(100)

    for number in laps:
        if number == 50:
            sleep(0.01)

    figures = laps.figures()
    assert figures["p50_us"] < 1_000
    assert figures["p999_us"] >= 10_000


def test_every_recorded_event_is_counted_in_the_files_that_are_to_hold_it(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "one.jsonl").write_bytes(b"{%s1}\n{%s2}\n" % (MARK, MARK))
    (tmp_path / "log.jsonl").write_bytes(b"{%s1}\n" % MARK)

    assert kept(tmp_path, "journal/*.jsonl") == 2
    assert kept(tmp_path, "*") == 1
