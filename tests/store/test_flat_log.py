"""The flat log in table `events` of a store that a team shares."""

from pathlib import Path

import pytest

from eventbus import get_log_text, log_event, read_log
from eventbus.standby import standby
from eventbus.store.opening import open_store
from eventbus.store.sqlite import FILE_NAME


@pytest.mark.postgres
def test_the_log_is_kept_and_read_where_the_store_is_shared(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTBUS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("EVENTBUS_STORE", postgres_url)
    monkeypatch.setenv("LOG_STORAGE", "sqlite")
    monkeypatch.setattr("eventbus.flat._session", None)
    try:
        log_event("a:b", "x", "one", n=1)
        at_once = [entry["message"] for entry in read_log()]
        standby.close()
        log_event("c:d", "x", "two")

        assert at_once == ["one n=1"]
        assert get_log_text() == "a:b x one n=1\nc:d x two"
        assert [entry["message"] for entry in read_log(event_types="c:*")] == ["two"]
    finally:
        standby.close()

    assert not (tmp_path / "state" / "logs" / "activity.log").exists()
    assert not (tmp_path / "state" / FILE_NAME).exists()
    with open_store(postgres_url) as store:
        assert store.rows("SELECT count(*) FROM events") == [(2,)]
