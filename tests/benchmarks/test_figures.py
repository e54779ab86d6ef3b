"""What a measurement says: spreads, ratios, aims, powers."""

import msgspec
import pytest

from benchmarks.figures import (
    Aim,
    Answer,
    Machine,
    Report,
    exponent,
    percentile,
    ratios,
    row,
    skipped,
    spread,
)

MACHINE = Machine("2026-01-01T00:00:00Z", "Linux", "a processor", 2, "CPython 3.11", "ext4", 0.1)


def test_a_spread_is_the_median_with_the_least_and_the_most() -> None:
    of_three = spread([3.0, 1.0, 8.0])

    assert (of_three.median, of_three.low, of_three.high) == (3.0, 1.0, 8.0)


def test_ratios_are_made_within_a_round() -> None:
    # The second round was slow for both, so it moves nothing.
    assert ratios([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]) == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("part", "said"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.999, 100), (1.0, 100)]
)
def test_a_percentile_is_a_sample_that_the_part_does_not_exceed(part: float, said: int) -> None:
    assert percentile(list(range(100, 0, -1)), part) == said


@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_exponent_is_the_power_of_the_size(power: int) -> None:
    sizes = [10, 100, 1_000]

    assert exponent(sizes, [3.0 * size**power for size in sizes]) == pytest.approx(power)


def test_an_aim_for_a_ratio_judges_the_median_of_the_ratios() -> None:
    near = row("near", [16.0, 17.0, 90.0], to=[10.0, 10.0, 10.0], aim=Aim(most=1.7))
    far = row("far", [16.0, 18.0, 18.0], to=[10.0, 10.0, 10.0], aim=Aim(most=1.7))

    assert (near.met, far.met) == (True, False)


def test_an_aim_for_a_value_judges_the_value_though_there_is_a_ratio() -> None:
    heavy = row("heavy", [700.0], unit="B", to=[1_000.0], aim=Aim(most=600, of="value"))

    assert heavy.met is False


def test_an_aim_at_the_least_is_missed_from_below() -> None:
    assert row("slow", [190.0], to=[10.0], aim=Aim(least=20)).met is False
    assert row("quick", [210.0], to=[10.0], aim=Aim(least=20)).met is True


def test_without_an_aim_nothing_is_judged() -> None:
    assert row("plain", [1.0]).met is None
    assert skipped("absent", "not installed").met is None


def test_a_report_comes_back_from_json_as_it_was() -> None:
    rows = [
        row("limit", [1.0, 2.0, 3.0]),
        row("ours", [2.0, 2.0, 6.0], to=[1.0, 2.0, 3.0], aim=Aim(most=1.7), size=3),
        skipped("peer", "peer is not installed"),
    ]
    report = Report(MACHINE, 3, 1_000, [Answer("journal", "What it costs.", rows)])

    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report
