from datetime import UTC, datetime

import pytest

from eventbus.errors import SettingsError
from eventbus.producers.schedule import (
    OWN_JOBS,
    CronLine,
    Daily,
    HeartbeatSettings,
    JobSettings,
    jobs_of,
    read_schedule,
)


def at(day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=UTC)


def test_a_daily_job_is_next_due_today_or_tomorrow() -> None:
    daily = Daily("03:30")

    assert daily.next(at(5, 3, 29)) == at(5, 3, 30)
    assert daily.next(at(5, 3, 30)) == at(6, 3, 30)


def test_days_slept_through_are_told_oldest_first() -> None:
    missed = Daily("03:30").between(at(5, 3, 30), at(8, 4), most=7)

    assert missed == [at(6, 3, 30), at(7, 3, 30), at(8, 3, 30)]


def test_of_many_days_slept_through_the_latest_are_told() -> None:
    missed = Daily("03:30").between(at(1), at(28), most=2)

    assert missed == [at(26, 3, 30), at(27, 3, 30)]


def test_no_day_is_told_twice() -> None:
    daily = Daily("00:00")

    assert daily.between(at(5), at(5, 23, 59), most=7) == []
    assert daily.between(at(5), at(6), most=7) == [at(6)]


def test_a_cron_line_is_next_due_as_cron_says() -> None:
    line = CronLine("*/15 9-17 * * mon-fri")

    assert line.next(at(20, 17, 50)) == at(23, 9)


def test_of_missed_cron_moments_the_latest_is_told() -> None:
    line = CronLine("*/15 * * * *")

    assert line.between(datetime(1970, 1, 1, tzinfo=UTC), at(20, 10, 44, 30), most=1) == [
        at(20, 10, 30)
    ]
    assert line.between(at(20, 10, 30), at(20, 10, 45), most=5) == [at(20, 10, 45)]
    assert line.between(at(20, 10, 30), at(20, 10, 44, 59), most=5) == []


@pytest.mark.parametrize("line", ["", "* * * *", "61 * * * *", "0 0 30 2 *", "every day"])
def test_what_is_no_cron_line_is_refused(line: str) -> None:
    with pytest.raises(SettingsError, match="not a cron line"):
        CronLine(line)


@pytest.mark.parametrize("written", ["", "3", "24:00", "03:60", "3:5", "noon"])
def test_what_is_no_time_of_day_is_refused(written: str) -> None:
    with pytest.raises(SettingsError, match="not a time of day"):
        Daily(written)


def test_a_job_says_when_it_is_due_in_exactly_one_way() -> None:
    with pytest.raises(SettingsError, match="job 'a' says not when it is due"):
        read_schedule(JobSettings(), of="a")
    with pytest.raises(SettingsError, match="job 'a' says every and cron"):
        read_schedule(JobSettings(every=1, cron="* * * * *"), of="a")


def test_a_job_without_a_pause_is_refused() -> None:
    with pytest.raises(SettingsError, match="above 0"):
        read_schedule(JobSettings(every=0), of="a")


def test_a_jobs_name_makes_a_safe_file_name() -> None:
    with pytest.raises(SettingsError, match=r"cannot be named '\.\./a'"):
        read_schedule(JobSettings(every=1), of="../a")


def test_our_own_jobs_run_unless_they_are_turned_off() -> None:
    off = HeartbeatSettings(jobs={"storage": JobSettings(off=True)})

    assert jobs_of(HeartbeatSettings()) == OWN_JOBS
    assert jobs_of(off).keys() == OWN_JOBS.keys() - {"storage"}


def test_our_own_jobs_can_be_given_another_time() -> None:
    settings = HeartbeatSettings(jobs={"stats": JobSettings(every=5)})

    assert jobs_of(settings)["stats"].every == 5


def test_a_job_of_the_settings_names_its_function() -> None:
    with pytest.raises(SettingsError, match=r"job .report. cannot run .os\.system.; write run ="):
        jobs_of(HeartbeatSettings(jobs={"report": JobSettings(run="os.system", every=1)}))
