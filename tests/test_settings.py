import os
from datetime import date
from pathlib import Path

import pytest

from eventbus.errors import SettingsError
from eventbus.prices import OwnPrice
from eventbus.settings import DEFAULT_LANES, Settings, effective, load_settings
from eventbus.sink import NamedSink
from eventbus.sources import Said


def load(directory: Path, toml: str | None = None, **environ: str) -> Settings:
    if toml is not None:
        (directory / "eventbus.toml").write_text(toml)
    return load_settings(directory, environ=environ)


def test_with_nothing_said_the_state_is_in_the_working_directory(tmp_path: Path) -> None:
    settings = load(tmp_path)

    assert settings.state == tmp_path / ".state"
    assert settings.lanes == DEFAULT_LANES
    assert settings.origins == {}


def test_the_file_is_found_upward_and_its_paths_are_beside_it(tmp_path: Path) -> None:
    below = tmp_path / "src" / "deep"
    below.mkdir(parents=True)
    (tmp_path / "eventbus.toml").write_text('state = "kept"')

    settings = load(below)

    assert settings.state == tmp_path / "kept"
    assert settings.file == tmp_path / "eventbus.toml"


def test_the_nearest_file_is_the_one_that_holds(tmp_path: Path) -> None:
    (tmp_path / "eventbus.toml").write_text('state = "far"')
    (tmp_path / "near").mkdir()

    assert load(tmp_path / "near", 'state = "here"').state == tmp_path / "near" / "here"


def test_another_users_file_further_up_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "eventbus.toml").write_text('state = "theirs"')
    (tmp_path / "mine").mkdir()
    os.chown(tmp_path / "eventbus.toml", 12345, -1) if os.getuid() == 0 else None
    monkeypatch.setattr(os, "getuid", lambda: 54321)

    assert load(tmp_path / "mine").file is None
    assert load(tmp_path).file == tmp_path / "eventbus.toml"


def test_a_variable_has_the_last_word(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        'state = "file"\n[journal]\nkeep_days = 3',
        EVENTBUS_STATE="variable",
        EVENTBUS_JOURNAL_KEEP_DAYS="5",
    )

    assert settings.state == tmp_path / "variable"
    assert settings.journal.keep_days == 5


def test_a_flag_is_above_the_variable(tmp_path: Path) -> None:
    settings = load_settings(
        tmp_path,
        environ={"EVENTBUS_STATE": "variable"},
        overrides={"state": Said("flag", "--state", is_text=True)},
    )

    assert settings.state == tmp_path / "flag"
    assert settings.origins["state"] == "--state"


def test_each_value_remembers_where_it_came_from(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        'state = "a"\n\n[journal]\nlinger = "5ms"\n[sinks.audit]\nkeep_days = 90\n',
        EVENTBUS_JOURNAL_SYNC_EVERY="2s",
    )

    assert settings.origins == {
        "state": "eventbus.toml:1",
        "journal.linger": "eventbus.toml:4",
        "journal.sync_every": "EVENTBUS_JOURNAL_SYNC_EVERY",
        "sinks.audit.keep_days": "eventbus.toml:6",
    }


def test_the_working_directory_is_watched_unless_roots_are_said(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    (tmp_path / "eventbus.toml").write_text("")

    assert load(below).watch.roots == (str(below),)


def test_roots_start_from_whoever_said_them(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    (tmp_path / "eventbus.toml").write_text('[watch]\nroots = ["src", "/srv"]')

    from_file, from_variable = load(below), load(below, EVENTBUS_WATCH_ROOTS="a, b")

    assert from_file.watch.roots == (str(tmp_path / "src"), "/srv")
    assert from_variable.watch.roots == (str(below / "a"), str(below / "b"))


def test_a_file_named_by_a_variable_is_read(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('state = "o"')

    settings = load(tmp_path, 'state = "usual"', EVENTBUS_CONFIG="other.toml")

    assert settings.state == tmp_path / "o"
    assert settings.origins["state"] == "other.toml:1"


def test_sizes_and_durations_are_read_as_people_write_them(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        """
        [journal]
        segment_bytes = "64 MiB"
        keep_days = "2 weeks"
        keep_bytes = 1_000
        sync_every = 0.5
        [heartbeat]
        every = "2s"
        [heartbeat.jobs.report]
        run = "work:report"
        every = "1h"
        [sinks.audit]
        keep_days = "90d"
        rotate_bytes = "10 MB"
        """,
    )

    assert settings.journal.segment_bytes == 64 * 2**20
    assert settings.journal.keep_days == 14
    assert settings.journal.keep_bytes == 1000
    assert settings.heartbeat.every == 2
    assert settings.heartbeat.jobs["report"].every == 3600
    assert settings.sinks["audit"].settings == {"keep_days": 90, "rotate_bytes": 10_000_000}


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        (
            "stat = 1",
            r"no setting 'stat' \(eventbus.toml:1\); allowed: cost_limits, heartbeat, journal,",
        ),
        (
            "[journal]\nkeep = 1",
            r"no setting 'journal.keep' \(eventbus.toml:2\); allowed in \[journal\]: keep_bytes,",
        ),
        (
            "[heartbeat.jobs.a]\nwhen = 1",
            r"no setting 'heartbeat.jobs.a.when' \(eventbus.toml:2\); allowed in",
        ),
        ("[costs]\ndaily = 1", "no setting 'costs'; allowed:"),
        ("[prices.x]\ninput = 1", "prices.x has no output; it needs input and output, in dollars"),
        (
            "[prices.x]\ninput = -1\noutput = 1",
            "prices.x.input cannot be -1; it is dollars from 0 on",
        ),
        (
            '[prices.x]\ninput = "1"\noutput = 1',
            r"prices.x.input cannot be '1' \(eventbus.toml:2\): expected `int | float | null`",
        ),
        (
            "[prices.gpt-4.1]\ninput = 1\noutput = 1",
            r"no setting 'prices.gpt-4.1'; allowed in \[prices.gpt-4\]: cache_read,",
        ),
        ("prices = 3", r"prices cannot be 3 \(eventbus.toml:1\); it is a table \[prices\]"),
        ("[prices]\nx = 3", r"prices.x cannot be 3 \(eventbus.toml:2\); it is a table"),
        ("disabled = true", r"no setting 'disabled' \(eventbus.toml:1\)"),
        (
            '[journal]\nkeep_days = "soon"',
            r"journal.keep_days cannot be 'soon' \(eventbus.toml:2\): not a duration",
        ),
        (
            "[journal]\nkeep_days = -1",
            r"journal.keep_days cannot be -1 \(eventbus.toml:2\): not a duration",
        ),
        (
            "[journal]\nsegment_bytes = true",
            r"journal.segment_bytes cannot be True \(eventbus.toml:2\): expected `int`",
        ),
        ("[journal.linger]\na = 1", "journal.linger cannot be a table"),
        ("journal = 3", r"journal cannot be 3 \(eventbus.toml:1\); it is a table \[journal\]"),
        (
            'sinks = ["jsonl"]',
            r"sinks cannot be \['jsonl'\] \(eventbus.toml:1\); .* lanes = \[...\] says",
        ),
        ('lanes = "jsonl"', r"lanes cannot be 'jsonl' \(eventbus.toml:1\): expected `array`"),
        (
            '[sinks.audit]\nkinds = ["to*"]',
            r"sinks.audit.kinds: cannot filter by 'to\*'; allowed are",
        ),
        ('[watch]\nignore = ["!"]', "watch.ignore cannot hold '!'; a pattern is a line as in"),
        ("[watch]\nhash_bytes = -1", r"watch.hash_bytes cannot be -1"),
        ('[watch]\nkeep = "some"', "watch.keep cannot be 'some'"),
        ("[watch]\nkeep_days = -1", r"watch.keep_days cannot be -1 \(eventbus.toml:2\)"),
        ("[watch]\ngrace_ms = nan", "watch.grace_ms cannot be nan"),
        ("[watch]\nroots = 3", r"watch.roots cannot be 3 \(eventbus.toml:2\)"),
        ("[heartbeat.jobs.a]\nevery = 5", "heartbeat: job 'a' cannot run None; write run = 'pack"),
        ('[heartbeat.jobs.stats]\ncron = "* *"', r"heartbeat: not a cron line: '\* \*'"),
        ('[heartbeat]\ndisk_least = "half"', "heartbeat: not a size: 'half'"),
        ('[sinks."../up"]\nuse = "jsonl"', r"a lane cannot be named '\.\./up'; a name is letters"),
        ('lanes = [""]', "a lane cannot be named ''"),
        ("a = 1\nstate = [", r"cannot read .*eventbus.toml: .*\(at .*\)"),
    ],
)
def test_what_is_not_allowed_is_named_with_what_is(
    tmp_path: Path, toml: str, sentence: str
) -> None:
    with pytest.raises(SettingsError, match=sentence):
        load(tmp_path, toml)


def test_a_variable_that_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be 'lots' \(EVENTBUS_JOURNAL_KEEP_DAYS\)"):
        load(tmp_path, EVENTBUS_JOURNAL_KEEP_DAYS="lots")


def test_a_variable_that_is_no_setting_is_told_and_passed_over(tmp_path: Path) -> None:
    """Container platforms put variables of this prefix there by themselves."""
    settings = load(tmp_path, EVENTBUS_SERVICE_HOST="10.0.0.1", EVENTBUS_STATE="")

    assert settings.notices == ("EVENTBUS_SERVICE_HOST is not a setting and was passed over",)
    assert settings.state == tmp_path / ".state"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a = 1\n" * 200_000])
def test_a_file_that_cannot_be_one_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "eventbus.toml").write_bytes(content)

    with pytest.raises(SettingsError, match="cannot read"):
        load(tmp_path)


def test_a_named_pipe_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "eventbus.toml")

    with pytest.raises(SettingsError, match="not a regular file"):
        load(tmp_path)


def test_a_named_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        load(tmp_path, EVENTBUS_CONFIG="missing.toml")


def test_a_sink_table_is_a_lane_of_its_own(tmp_path: Path) -> None:
    settings = load(
        tmp_path, '[sinks.errors-only]\nuse = "jsonl"\nkinds = ["error:*"]\npath = "e.jsonl"'
    )

    assert settings.lanes == (*DEFAULT_LANES, "errors-only")
    assert settings.named_sinks[-1] == NamedSink(
        use="jsonl", name="errors-only", kinds=("error:*",), settings={"path": "e.jsonl"}
    )


def test_lanes_say_which_run(tmp_path: Path) -> None:
    settings = load(tmp_path, 'lanes = ["flat", "jsonl", "flat"]\n[sinks.audit]\nkeep_days = 1')

    assert settings.lanes == ("flat", "jsonl")


def test_a_sink_can_be_turned_off(tmp_path: Path) -> None:
    settings = load(tmp_path, "[sinks.audit]\noff = true")

    assert "audit" not in settings.lanes
    assert len(settings.lanes) == len(DEFAULT_LANES) - 1


def test_a_variable_sets_a_sinks_own_setting(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "[sinks.audit]\nkeep_days = 1\n[sinks.audit_eu]\nuse = 'audit'",
        EVENTBUS_SINKS_AUDIT_KEEP_DAYS="7",
        EVENTBUS_SINKS_AUDIT_EU_KEEP_DAYS="8",
        EVENTBUS_SINKS_FLAT_KINDS="tool:*, llm:*",
        EVENTBUS_SINKS_FLAT_COMPRESS="true",
        EVENTBUS_LANES="flat,audit",
    )

    assert settings.sinks["audit"].settings == {"keep_days": 7}
    assert settings.sinks["audit_eu"].settings == {"keep_days": 8}
    assert settings.sinks["flat"].kinds == ("tool:*", "llm:*")
    assert settings.sinks["flat"].settings == {"compress": True}
    assert settings.lanes == ("flat", "audit")


@pytest.mark.parametrize(
    ("said", "disabled"), [("1", True), ("true", True), ("0", False), ("", False)]
)
def test_a_variable_disables_the_recorder(tmp_path: Path, said: str, disabled: bool) -> None:
    assert load(tmp_path, EVENTBUS_DISABLED=said).disabled is disabled


def test_every_value_in_force_is_told_with_its_origin(tmp_path: Path) -> None:
    settings = load(tmp_path, "[journal]\nkeep_days = 3\n[heartbeat.jobs.stats]\nevery = 5")

    told = {line.path: (line.value, line.origin) for line in effective(settings)}

    assert told["state"] == (str(tmp_path / ".state"), "default")
    assert told["journal.keep_days"] == (3, "eventbus.toml:2")
    assert told["journal.linger"] == (0.005, "default")
    assert told["heartbeat.jobs.stats.every"] == (5, "eventbus.toml:4")


def test_a_shared_store_takes_the_place_of_our_own(tmp_path: Path) -> None:
    settings = load(tmp_path, 'store = "postgresql://ann:secret@db/agents"')

    assert "sqlite" not in settings.lanes
    (shared,) = [sink for sink in settings.named_sinks if sink.use == "postgres"]
    assert shared.settings == {"url": "postgresql://ann:secret@db/agents"}
    assert settings.where_store == "postgresql://ann:secret@db/agents"


def test_the_password_of_a_shared_store_is_not_shown(tmp_path: Path) -> None:
    settings = load(tmp_path, EVENTBUS_STORE="postgresql://ann:secret@db/agents")

    shown = {entry.path: entry.value for entry in effective(settings)}

    assert shown["store"] == "postgresql://ann@db/agents"
    assert "secret" not in str(shown)


def test_a_store_that_is_no_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="store cannot be 'mysql://x'; allowed are 'sqlite'"):
        load(tmp_path, 'store = "mysql://x"')


def test_the_store_is_beside_the_journal_unless_said(tmp_path: Path) -> None:
    assert load(tmp_path).where_store == str(tmp_path / ".state")


def test_the_own_store_is_asked_where_its_sink_keeps_it(tmp_path: Path) -> None:
    settings = load(tmp_path, '[sinks.sqlite]\npath = "kept/other.db"')

    assert settings.where_store == str(tmp_path / ".state" / "kept" / "other.db")
    assert load(tmp_path, 'store = "sqlite"').lanes == DEFAULT_LANES


def test_prices_are_read_with_the_day_they_begin(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        """
        [prices."ollama/*"]
        input = 0
        output = 0
        [prices."gpt-4.1"]
        input = 1.5
        output = 6
        since = 2026-12-01
        """,
    )

    assert settings.prices == {
        "ollama/*": OwnPrice(input=0, output=0),
        "gpt-4.1": OwnPrice(input=1.5, output=6, since=date(2026, 12, 1)),
    }
    shown = {value.path: value.value for value in effective(settings) if "prices" in value.path}
    assert shown == {
        "prices.ollama/*.input": 0,
        "prices.ollama/*.output": 0,
        "prices.gpt-4.1.input": 1.5,
        "prices.gpt-4.1.output": 6,
        "prices.gpt-4.1.since": "2026-12-01",
    }
