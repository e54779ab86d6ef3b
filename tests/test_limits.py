"""Cost limits as they are written, and what they answer."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from eventbus.errors import SettingsError
from eventbus.limits import (
    CostLimits,
    Limit,
    Spending,
    in_nanos,
    read_limits_file,
    refusal,
    resets_at,
)
from eventbus.settings import load_settings

TODAY = date(2026, 12, 31)
DOLLAR = 10**9


def judged(limit: Limit, day: float, month: float) -> str | None:
    said = refusal(
        limit,
        Spending(nanos=in_nanos(day)),
        Spending(nanos=in_nanos(month)),
        on=TODAY,
        strict=False,
    )
    return str(said) if said is not None else None


@pytest.mark.parametrize(
    ("day", "month", "says"),
    [
        (0, 0, None),
        (9.99, 99.99, None),
        (10, 10, "Daily cost limit reached."),
        (10, 100, "Daily cost limit reached."),
        (0, 100, "Monthly cost limit reached."),
    ],
)
def test_refused_is_what_has_reached_a_limit(day: float, month: float, says: str | None) -> None:
    assert judged(Limit(daily=10, monthly=100), day, month) == says


def test_zero_is_no_limit() -> None:
    assert judged(Limit(), 1e6, 1e6) is None


def test_a_window_ends_at_midnight_utc() -> None:
    assert resets_at("daily", TODAY) == datetime(2027, 1, 1, tzinfo=UTC)
    assert resets_at("monthly", date(2026, 1, 31)) == datetime(2026, 2, 1, tzinfo=UTC)
    assert resets_at("monthly", TODAY) == datetime(2027, 1, 1, tzinfo=UTC)


def test_limits_are_written_in_the_settings(tmp_path: Path) -> None:
    (tmp_path / "eventbus.toml").write_text(
        """
        [cost_limits]
        daily = 10.0
        monthly = 100
        slack = 0.5

        [cost_limits.users.ann]
        daily = 3

        [cost_limits.all]
        monthly = 1000
        """
    )

    limits = load_settings(tmp_path, environ={}).cost_limits

    assert limits == CostLimits(
        daily=10.0,
        monthly=100,
        slack=0.5,
        users={"ann": Limit(daily=3)},
        all=Limit(monthly=1000),
    )
    assert limits.of("ann").daily == 3
    assert limits.of("bob").daily == 10


def test_a_variable_sets_one(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, environ={"EVENTBUS_COST_LIMITS_DAILY": "2.5"})

    assert settings.cost_limits.daily == 2.5


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("[cost_limits]\nweekly = 1", "no setting 'cost_limits.weekly' .*allowed in .*daily"),
        ("[cost_limits]\ndaily = -1", "cost_limits.daily cannot be -1"),
        ("[cost_limits]\ndaily = nan", "cost_limits.daily cannot be nan"),
        ("[cost_limits]\ndaily = 'much'", "cost_limits.daily cannot be 'much'"),
        ("[cost_limits.users.ann]\nslack = 1", "no setting 'cost_limits.users.ann.slack'"),
        ("[cost_limits]\nunpriced = 'maybe'", "cost_limits.unpriced cannot be 'maybe'"),
        ("[cost_limits]\nfile = 'no.json'", "cannot read the limits in .*no.json"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, written: str, says: str) -> None:
    (tmp_path / "eventbus.toml").write_text(written)

    with pytest.raises(SettingsError, match=says):
        load_settings(tmp_path, environ={})


def test_a_json_file_sets_them_too(tmp_path: Path) -> None:
    (tmp_path / "limits.json").write_text('{"costLimits": {"daily": 10.00, "monthly": 100.00}}')
    (tmp_path / "eventbus.toml").write_text(
        "[cost_limits]\nfile = 'limits.json'\n[cost_limits.users.ann]\ndaily = 1"
    )

    limits = load_settings(tmp_path, environ={}).cost_limits

    assert (limits.daily, limits.monthly) == (10.0, 100.0)
    assert limits.of("ann") == Limit(daily=1)


@pytest.mark.parametrize("written", ["{}", "[]", '{"costLimits": {"daly": 1}}', "{", "\xff"])
def test_a_json_file_that_is_none_is_said_to_be(tmp_path: Path, written: str) -> None:
    (tmp_path / "limits.json").write_bytes(written.encode("latin-1"))

    with pytest.raises(SettingsError, match=r"cannot read the limits in .*costLimits"):
        read_limits_file(tmp_path / "limits.json")
