"""The names people import, and how they are called, change on purpose only."""

from pathlib import Path

import pytest

from scripts.surface import surface

GOLDEN = Path(__file__).with_name("surface.txt")


@pytest.mark.filterwarnings("default")
def test_the_public_surface_is_the_one_written_down() -> None:
    """After a change that is meant, `make surface`, and look at the diff."""
    assert surface() == GOLDEN.read_text()
