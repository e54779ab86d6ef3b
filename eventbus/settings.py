"""Settings: `eventbus.toml`, the environment over it, and where each value came from."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from eventbus.errors import DefinitionError, SettingsError, SinkNotFound
from eventbus.keeping import JournalSettings, SealSettings
from eventbus.kinds import KindFilter
from eventbus.limits import CostLimits, Limit, check_limits, read_limits_file
from eventbus.prices import OwnPrice, PriceTable
from eventbus.producers.schedule import HeartbeatSettings, JobSettings, jobs_of
from eventbus.sink import NamedSink, find_sink, installed_sinks
from eventbus.sources import (
    Said,
    Table,
    fill,
    find_file,
    leaves,
    merge,
    plain_value,
    read_environment,
    read_file,
    table_in,
    unknown,
    value_of,
)
from eventbus.units import read_part, without_password
from eventbus.watching.settings import WatchSettings, check_watch

__all__ = ["DEFAULT_LANES", "Settings", "check_sinks", "effective", "load_settings"]

DEFAULT_LANES = (
    "jsonl",
    "flat",
    "audit",
    "interactions",
    "usage",
    "errors",
    "storage",
    "backup",
    "sqlite",
)
"""The lanes of a recorder that was told nothing: every log file, and the store."""
OWN_LANE, SHARED_LANE = "sqlite", "postgres"
"""The lane of the store in the state directory, and that of one which is shared."""
SHARED_SCHEMES = ("postgresql://", "postgres://")
DEFAULT_STATE = ".state"
DEFAULT_ORIGIN = "default"
_LANE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TRUE_WORDS = ("1", "true", "yes", "on")
_SINK_WORDS = ("use", "kinds", "off")
"""What `[sinks.NAME]` may say besides the sink's own settings."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All that can be set, read and checked."""

    state: Path
    """The state directory, absolute."""
    store: str | None = None
    """The address of a store that is shared; None: `store.db` in the state directory."""
    lanes: tuple[str, ...] = DEFAULT_LANES
    """The lanes that run, in order."""
    sinks: dict[str, NamedSink] = {}
    """What `[sinks.NAME]` says, by lane."""
    journal: JournalSettings = JournalSettings()
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    seal: SealSettings = SealSettings()
    watch: WatchSettings = WatchSettings()
    """What is watched; its roots are absolute."""
    cost_limits: CostLimits = CostLimits()
    """What may be spent, as `[cost_limits]` and the file it names say."""
    prices: dict[str, OwnPrice] = {}
    """What `[prices.MODEL]` and `[prices."provider/model"]` say."""
    disabled: bool = False
    """True when `EVENTBUS_DISABLED` turns every emit into nothing."""
    file: Path | None = None
    """The settings file that was read."""
    origins: dict[str, str] = {}
    """Who said a value, by its path; a path that is missing has its default."""
    notices: tuple[str, ...] = ()
    """What was passed over, as sentences."""

    @property
    def where_store(self) -> str:
        """What `open_store` is given."""
        if self.store is not None:
            return self.store
        own = self.sinks.get(OWN_LANE)
        file = own.settings.get("path") if own is not None and own.use == OWN_LANE else None
        return str(self.state if file is None else self.state / Path(str(file)).expanduser())

    @property
    def named_sinks(self) -> tuple[NamedSink, ...]:
        """The sinks of the lanes that run."""
        return tuple(self.sinks.get(name, NamedSink(use=name)) for name in self.lanes)


def load_settings(
    start: str | os.PathLike[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Said] | None = None,
) -> Settings:
    """Read the settings as they hold in a directory, by default the working one.

    Raises `SettingsError` for what is not allowed. Sinks' own settings are
    checked by `check_sinks`, which has to import the sinks.
    """
    environ = os.environ if environ is None else environ
    here = Path(start or ".").absolute()
    named = environ.get("EVENTBUS_CONFIG")
    file = (here / named) if named else find_file(here)
    said = read_file(file) if file is not None else {}
    spoken, strangers = read_environment(environ, settings=_known_paths(), sinks=_lanes_of(said))
    table = merge(merge(said, spoken), dict(overrides or {}))
    notices = [f"{name} is not a setting and was passed over" for name in strangers]
    return _settings_of(table, here=here, file=file, notices=notices)


def _known_paths() -> Iterator[tuple[str, ...]]:
    """The settings that a variable of their own can set."""
    yield from (("state",), ("store",), ("lanes",), ("disabled",), ("config",))
    for topic, struct in (
        ("journal", JournalSettings),
        ("heartbeat", HeartbeatSettings),
        ("watch", WatchSettings),
        ("seal", SealSettings),
        ("cost_limits", Limit),
    ):
        yield from ((topic, field.name) for field in msgspec.structs.fields(struct))


def _lanes_of(said: Table) -> tuple[str, ...]:
    sinks = said.get("sinks", {})
    return (*DEFAULT_LANES, *(sinks if isinstance(sinks, dict) else ()))


def _settings_of(table: Table, *, here: Path, file: Path | None, notices: list[str]) -> Settings:
    allowed = (
        "state",
        "store",
        "lanes",
        "sinks",
        "journal",
        "heartbeat",
        "watch",
        "seal",
        "cost_limits",
        "prices",
    )
    variables = ("disabled", "config")
    for key, said in table.items():
        if key not in (*allowed, *variables) or (key in variables and not _is_variable(said)):
            raise unknown(key, said, allowed, of="")
    store = _store(table.get("store"))
    sinks = _sinks(table)
    if store is not None:
        sinks.setdefault(SHARED_LANE, (NamedSink(use=SHARED_LANE, settings={"url": store}), False))
    return Settings(
        state=_state(table.get("state"), here, file),
        store=store,
        lanes=_lanes(table, sinks, default=default_lanes(store)),
        sinks={name: sink for name, (sink, _) in sinks.items()},
        journal=fill(JournalSettings, table_in(table, "journal"), "journal"),
        heartbeat=_heartbeat(table_in(table, "heartbeat")),
        watch=_watch(table_in(table, "watch"), here, file),
        seal=_seal(table_in(table, "seal"), here, file),
        cost_limits=_cost_limits(table_in(table, "cost_limits"), here, file),
        prices=_prices(table_in(table, "prices")),
        disabled=_is_true(table.get("disabled")),
        file=file,
        origins={".".join(path): said.origin for path, said in leaves(table)},
        notices=tuple(notices),
    )


def _is_variable(said: "Said | Table") -> bool:
    return isinstance(said, Said) and said.is_text


def _is_true(said: "Said | Table | None") -> bool:
    return isinstance(said, Said) and str(said.value).lower() in _TRUE_WORDS


def _state(said: "Said | Table | None", here: Path, file: Path | None) -> Path:
    """The state directory: beside the file that names it, else here."""
    if said is None:
        return (file.parent if file is not None else here) / DEFAULT_STATE
    return _path_of(said, "state", here, file)


def _store(said: "Said | Table | None") -> str | None:
    """The address of a shared store; nothing, or `sqlite`, is the one in the state directory."""
    if said is None:
        return None
    written: str = value_of(said, str, "store")
    if written in ("", OWN_LANE):
        return None
    if not written.startswith(SHARED_SCHEMES):
        raise SettingsError(
            f"store cannot be {written!r}; allowed are 'sqlite', for the one in the state"
            " directory, and an address 'postgresql://user@host/database'"
        )
    return written


def default_lanes(store: str | None) -> tuple[str, ...]:
    """The lanes of a recorder that was told of no others."""
    if store is None:
        return DEFAULT_LANES
    return tuple(SHARED_LANE if lane == OWN_LANE else lane for lane in DEFAULT_LANES)


def _lanes(
    table: Table, sinks: dict[str, tuple[NamedSink, bool]], *, default: tuple[str, ...]
) -> tuple[str, ...]:
    said = table.get("lanes")
    if said is None:
        wanted: Iterable[str] = (*default, *sinks)
    else:
        wanted = value_of(said, tuple[str, ...], "lanes")
    for name in wanted:
        if not _LANE_NAME.fullmatch(name):  # files are named after it
            raise SettingsError(
                f"a lane cannot be named {name!r}; a name is letters, digits, '.', '_' and '-'"
            )
    off = {name for name, (_, is_off) in sinks.items() if is_off}
    return tuple(name for name in dict.fromkeys(wanted) if name not in off)


def _sinks(table: Table) -> dict[str, tuple[NamedSink, bool]]:
    """What `[sinks.NAME]` tables say, and whether each is off."""
    said = table.get("sinks", {})
    if isinstance(said, Said):
        raise SettingsError(
            f"sinks cannot be {said.value!r} ({said.origin}); a sink's settings are a table"
            " [sinks.NAME], and lanes = [...] says which run"
        )
    return {name: _sink(name, table_in(said, name, "sinks.")) for name in said}


def _sink(name: str, table: Table) -> tuple[NamedSink, bool]:
    path = f"sinks.{name}"
    use = value_of(table["use"], str, f"{path}.use") if "use" in table else name
    off = "off" in table and value_of(table["off"], bool, f"{path}.off")
    settings = {
        key: plain_value(said, f"{path}.{key}")
        for key, said in table.items()
        if key not in _SINK_WORDS
    }
    return NamedSink(use=use, name=name, kinds=_kinds(table, path), settings=settings), off


def _kinds(table: Table, path: str) -> tuple[str, ...] | None:
    if "kinds" not in table:
        return None
    kinds: tuple[str, ...] = value_of(table["kinds"], tuple[str, ...], f"{path}.kinds")
    try:
        return KindFilter(kinds).patterns
    except DefinitionError as error:
        raise SettingsError(f"{path}.kinds: {error}") from error


def _heartbeat(table: Table) -> HeartbeatSettings:
    jobs = table_in(table, "jobs", "heartbeat.")
    rest = {key: said for key, said in table.items() if key != "jobs"}
    settings = msgspec.structs.replace(
        fill(HeartbeatSettings, rest, "heartbeat"),
        jobs={name: _job(table_in(jobs, name, "heartbeat.jobs."), name) for name in jobs},
    )
    try:
        read_part(settings.memory_most, whole=0)
        read_part(settings.disk_least, whole=0)
        jobs_of(settings)
    except SettingsError as error:
        raise SettingsError(f"heartbeat: {error}") from error
    return settings


def _job(table: Table, name: str) -> JobSettings:
    return fill(JobSettings, table, f"heartbeat.jobs.{name}")


def _seal(table: Table, here: Path, file: Path | None) -> SealSettings:
    settings = fill(SealSettings, table, "seal")
    if settings.sign_with is None:
        return settings
    key = _path_of(table["sign_with"], "seal.sign_with", here, file)
    return SealSettings(sign_with=str(key))


def _watch(table: Table, here: Path, file: Path | None) -> WatchSettings:
    settings = fill(WatchSettings, table, "watch")
    beside = _beside(table["roots"], here, file) if settings.roots else here
    roots = (beside / Path(root).expanduser() for root in settings.roots or (".",))
    return check_watch(msgspec.structs.replace(settings, roots=tuple(map(str, roots))))


def _cost_limits(table: Table, here: Path, file: Path | None) -> CostLimits:
    """The limits of the file that is named, with what is said beside it over them."""
    path = "cost_limits"
    said = {key: value for key, value in table.items() if key not in ("file", "users", "all")}
    under = CostLimits()
    if "file" in table:
        under = read_limits_file(_path_of(table["file"], f"{path}.file", here, file))
    users = table_in(table, "users", f"{path}.")
    own = {
        name: fill(Limit, table_in(users, name, f"{path}.users."), f"{path}.users.{name}")
        for name in users
    }
    names = [field.name for field in msgspec.structs.fields(CostLimits)]
    for key, value in said.items():
        if key not in names:
            raise unknown(key, value, (*names, "file"), of=path)
    over = fill(CostLimits, said, path)
    limits = msgspec.structs.replace(
        under,
        **{key: getattr(over, key) for key in said},
        users={**under.users, **own},
        all=fill(Limit, table_in(table, "all", f"{path}."), f"{path}.all"),
    )
    check_limits(limits)
    return limits


def _path_of(said: "Said | Table", path: str, here: Path, file: Path | None) -> Path:
    """A path from where it was said: the file's directory, or the working one."""
    written = value_of(said, str, path)
    return _beside(said, here, file) / Path(written).expanduser()


def _beside(said: "Said | Table", here: Path, file: Path | None) -> Path:
    """Where a path that was said starts from."""
    assert isinstance(said, Said)
    from_file = file is not None and said.origin.startswith(file.name)
    return file.parent if from_file and file is not None else here


def _prices(table: Table) -> dict[str, OwnPrice]:
    said = {
        name: fill(OwnPrice, table_in(table, name, "prices."), f"prices.{name}") for name in table
    }
    PriceTable(said)  # says what is wrong with a price
    return said


def check_sinks(settings: Settings) -> None:
    """Make each sink once; what is wrong with its settings is named by its path."""
    installed = installed_sinks()
    for lane, sink in zip(settings.lanes, settings.named_sinks, strict=True):
        if sink.use not in installed:
            origin = settings.origins.get(f"sinks.{lane}.use") or settings.origins.get("lanes")
            raise SinkNotFound(
                f"no sink named {sink.use!r} ({origin or f'[sinks.{lane}]'});"
                f" installed: {', '.join(sorted(installed))}"
            )
        _check_sink(lane, sink, settings)


def _check_sink(lane: str, sink: NamedSink, settings: Settings) -> None:
    path = f"sinks.{lane}"
    try:
        make = installed_sinks()[sink.use].load()
    except Exception as error:  # a stranger's module may raise anything
        raise SettingsError(
            f"cannot load sink {sink.use!r}: {type(error).__name__}: {error}"
        ) from error
    wanted = getattr(make, "Settings", None)
    fields = (
        {field.encode_name: field.type for field in msgspec.structs.fields(wanted)}
        if wanted
        else {}
    )
    for key, value in sink.settings.items():
        said = Said(value, settings.origins.get(f"{path}.{key}", path))
        if key not in fields:
            raise unknown(key, said, (*fields, *_SINK_WORDS), of=path)
        value_of(said, fields[key], f"{path}.{key}")
    try:
        find_sink(sink.use, sink.settings)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error


class Effective(msgspec.Struct, frozen=True):
    """One value in force, and who said it."""

    path: str
    value: Any
    origin: str


def effective(settings: Settings) -> Iterator[Effective]:
    """Every value in force, with where it came from."""
    values: dict[str, Any] = {
        "state": str(settings.state),
        "store": "sqlite" if settings.store is None else without_password(settings.store),
        "lanes": list(settings.lanes),
        "disabled": settings.disabled,
        "journal": msgspec.to_builtins(settings.journal),
        "heartbeat": msgspec.to_builtins(settings.heartbeat),
        "watch": msgspec.to_builtins(settings.watch),
        "seal": msgspec.to_builtins(settings.seal),
        "cost_limits": msgspec.to_builtins(settings.cost_limits),
        "prices": {name: _without_none(price) for name, price in settings.prices.items()},
        "sinks": {name: _said_of(sink) for name, sink in settings.sinks.items()},
    }
    for path, value in _flat(values):
        yield Effective(path, value, settings.origins.get(path, DEFAULT_ORIGIN))


def _without_none(price: OwnPrice) -> dict[str, Any]:
    said = msgspec.to_builtins(price)
    return {name: value for name, value in said.items() if value is not None}


def _said_of(sink: NamedSink) -> dict[str, Any]:
    kinds = {} if sink.kinds is None else {"kinds": list(sink.kinds)}
    shown = {
        key: without_password(value) if isinstance(value, str) and "://" in value else value
        for key, value in sink.settings.items()
    }
    return {"use": sink.use, **kinds, **shown}


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        elif value is not None or not above.startswith("heartbeat.jobs."):
            yield above + key, value
