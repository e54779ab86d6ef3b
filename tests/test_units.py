import pytest

from eventbus.errors import SettingsError
from eventbus.units import (
    duration_text,
    read_duration,
    read_part,
    read_size,
    size_text,
    without_password,
)


@pytest.mark.parametrize(
    ("written", "size"),
    [("64 MiB", 64 * 2**20), ("10MB", 10_000_000), ("1.5 kb", 1500), ("512", 512), (7, 7), (0, 0)],
)
def test_a_size_is_read_as_people_write_it(written: str | float, size: int) -> None:
    assert read_size(written) == size


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("30d", 2_592_000),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("500ms", 0.5),
        ("2 weeks", 1_209_600),
        ("10 min", 600),
        ("20", 20),
        (0.25, 0.25),
    ],
)
def test_a_duration_is_read_as_people_write_it(written: str | float, seconds: float) -> None:
    assert read_duration(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "MiB", "64 parsecs", "-1", "1 MiB extra", -5, float("nan")]
)
def test_what_is_no_size_is_refused_with_what_is_allowed(written: str | float) -> None:
    with pytest.raises(SettingsError, match="not a size"):
        read_size(written)


@pytest.mark.parametrize(
    "written", ["", "d", "3 moons", "1h, 2m", "1h x", "-3", "nan", -1, float("inf")]
)
def test_what_is_no_duration_is_refused_with_what_is_allowed(written: str | float) -> None:
    with pytest.raises(SettingsError, match="not a duration"):
        read_duration(written)


def test_a_size_is_said_in_three_digits() -> None:
    said = [size_text(size) for size in (0, 1023, 1536, 300 * 2**20, 5 * 2**40)]

    assert said == ["0 B", "1023 B", "1.5 KiB", "300 MiB", "5.0 TiB"]


def test_a_duration_is_said_in_its_two_largest_units() -> None:
    said = [duration_text(seconds) for seconds in (0.015, 1.2, 65, 7200, 183_900, 10)]

    assert said == ["15ms", "1.2s", "1m 5s", "2h", "2d 3h", "10s"]


def test_a_part_is_of_the_whole_or_a_size() -> None:
    assert read_part("80%", whole=1000) == 800
    assert read_part("2 kB", whole=1000) == 2000


@pytest.mark.parametrize("written", ["%", "101%", "-1%", "many%"])
def test_what_is_no_part_is_refused(written: str) -> None:
    with pytest.raises(SettingsError, match="not a part"):
        read_part(written, whole=1000)


def test_a_password_is_not_shown() -> None:
    assert without_password("postgresql://ann:s@e@db:1/x?a=b") == "postgresql://ann@db:1/x"
    assert without_password("postgresql://db/x") == "postgresql://db/x"
