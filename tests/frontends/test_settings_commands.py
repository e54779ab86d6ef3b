"""`config` and `sinks`: what is in force, and what could be."""

import pytest

from eventbus.frontends.cli import exits
from tests.frontends.console import Here


def test_settings_are_shown_with_where_they_came_from(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here.directory / "eventbus.toml").write_text("[journal]\nkeep_days = 7\n")
    monkeypatch.setenv("EVENTBUS_HEARTBEAT_EVERY", "2s")

    told = here("config", "--state", "kept")

    shown = {line.split(" = ")[0].strip(): line for line in told.lines}
    assert told.lines[0] == f"# {here.directory / 'eventbus.toml'}"
    assert shown["state"].split() == ["state", "=", f'"{here.directory}/kept"', "#", "--state"]
    assert shown["journal.keep_days"].endswith("# eventbus.toml:2")
    assert shown["heartbeat.every"].endswith("# EVENTBUS_HEARTBEAT_EVERY")
    assert shown["journal.linger"].endswith("# default")


def test_settings_can_be_had_as_json(here: Here) -> None:
    told = here("config", "--json")

    values = {value["path"]: value for value in told.json["settings"]}
    assert told.json["file"] is None
    assert values["journal.keep_days"] == {
        "path": "journal.keep_days",
        "value": 30,
        "origin": "default",
    }


def test_what_was_passed_over_is_told(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTBUS_STAET", "x")

    told = here("config")

    assert told.code == exits.OK
    assert told.err == "eventbus: EVENTBUS_STAET is not a setting and was passed over\n"


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("[sinks.audit]\nkeep_dayz = 1", "no setting 'sinks.audit.keep_dayz' (eventbus.toml:2);"),
        ("[sinks.audit]\nkeep_days = []", "sinks.audit.keep_days cannot be [] (eventbus.toml:2)"),
        ('[sinks.mine]\nuse = "audti"', "no sink named 'audti' (eventbus.toml:2); installed: "),
        ("[sinks.mine]\nkinds = []", "no sink named 'mine' ([sinks.mine]); installed: "),
    ],
)
def test_a_sinks_wrong_setting_is_refused_by_its_path(here: Here, toml: str, sentence: str) -> None:
    (here.directory / "eventbus.toml").write_text(toml)

    told = here("config")

    assert told.code == exits.WRONG_USE
    assert told.err.startswith(f"eventbus: {sentence}")
    assert told.err.count("\n") == 1


def test_the_installed_sinks_are_listed_with_their_settings(here: Here) -> None:
    told = here("sinks")

    assert "\nflat  " in told.out
    assert "  from eventbus-recorder " in told.out
    assert "keep_days" in told.out


def test_one_sink_can_be_asked_for(here: Here) -> None:
    told = here("sinks", "audit", "--json")

    [audit] = told.json
    settings = {setting["name"]: setting for setting in audit["settings"]}
    assert audit["name"] == "audit"
    assert settings["keep_days"]["default"] == 30
