"""Sizes, durations and addresses as people write them and may see them."""

import re

from eventbus.errors import SettingsError

__all__ = [
    "duration_text",
    "read_duration",
    "read_part",
    "read_size",
    "size_text",
    "without_password",
]

_SIZES = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_DURATIONS = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3_600.0,
    "d": 86_400.0,
    "w": 604_800.0,
}
_LONG_NAMES = {"min": "m", "sec": "s", "hr": "h"}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE)


def read_size(written: str | float) -> int:
    """Bytes of `"64 MiB"`, `"10 MB"`, `"512"` or a number."""
    if isinstance(written, str):
        match = _SIZE.fullmatch(written)
        unit = (match[2] or "b").lower() if match else ""
        if match is None or unit not in _SIZES:
            raise SettingsError(
                f"not a size: {written!r}; write a number of bytes or one with"
                " B, kB, MB, GB, TB, KiB, MiB, GiB or TiB"
            )
        return int(float(match[1]) * _SIZES[unit])
    return int(_not_negative(written, of="size"))


def read_part(written: str | float, *, whole: int) -> int:
    """Bytes of `"80%"` of the whole, or of a size."""
    if not isinstance(written, str) or not written.rstrip().endswith("%"):
        return read_size(written)
    try:
        percent = float(written.rstrip().removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise SettingsError(f"not a part: {written!r}; write '0%' to '100%', or a size")
    return int(whole * percent / 100)


def read_duration(written: str | float) -> float:
    """Seconds of `"30d"`, `"1h 30m"`, `"500ms"`, `"20"` or a number."""
    if isinstance(written, str):
        try:
            return _not_negative(float(written), of="duration")
        except ValueError as error:
            if isinstance(error, SettingsError):
                raise
            return _sum_of_parts(written)
    return float(_not_negative(written, of="duration"))


def _sum_of_parts(written: str) -> float:
    seconds, at = 0.0, 0
    while (part := _PART.match(written, at)) is not None:
        unit = _duration_unit(part[2])
        if unit is None:
            break
        seconds, at = seconds + float(part[1]) * _DURATIONS[unit], part.end()
    if at == 0 or at != len(written):
        raise SettingsError(
            f"not a duration: {written!r}; write seconds or a number with"
            " ms, s, m, h, d or w, as in '1h 30m'"
        )
    return seconds


def _duration_unit(name: str) -> str | None:
    """The unit meant by `d`, `day`, `days`, `min` and the like."""
    name = name.lower()
    if name in _DURATIONS:
        return name
    singular = name.removesuffix("s")
    if singular in _LONG_NAMES:
        return _LONG_NAMES[singular]
    whole_words = {"second": "s", "minute": "m", "hour": "h", "day": "d", "week": "w"}
    return whole_words.get(singular)


def _not_negative(number: float, *, of: str) -> float:
    if not 0 <= number < float("inf"):  # NaN fails both
        raise SettingsError(f"not a {of}: {number!r}; it is a number from 0 on")
    return number


def size_text(size_bytes: float) -> str:
    """`1.5 MiB`: three digits at most, for people."""
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def duration_text(seconds: float) -> str:
    """`2d 3h`, `4m 5s`, `1.2s`, `15ms`: the two units that matter."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 10 and seconds % 1:
        return f"{seconds:.1f}s"
    rest = round(seconds)
    words = []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, int(_DURATIONS[unit]))
        if count:
            words.append(f"{count}{unit}")
    return " ".join(words[:2])


def without_password(url: str) -> str:
    """An address that may be shown."""
    scheme, _, rest = url.partition("://")
    who, at, where = rest.rpartition("@")
    name = who.partition(":")[0]
    return f"{scheme}://{name}{at}{where.partition('?')[0]}"
