"""The page of events says what the classes say."""

from pathlib import Path

from eventbus.event import known_kinds
from scripts.generate_events_page import page

PAGE = Path(__file__).parents[2] / "docs" / "events.md"


def test_the_page_of_events_is_up_to_date() -> None:
    """After a change that is meant: python -m scripts.generate_events_page > docs/events.md"""
    assert page() == PAGE.read_text()


def test_the_page_has_every_kind() -> None:
    written = PAGE.read_text()

    for kind, cls in known_kinds().items():
        if cls.__module__.startswith("eventbus.events."):
            assert f"### {kind}\n\n`{cls.__name__}`: " in written
