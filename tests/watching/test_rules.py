import pytest

from eventbus.errors import SettingsError
from eventbus.watching.rules import DEFAULTS, Rules


@pytest.mark.parametrize("path", ["node_modules", "web/node_modules", ".git", "src/__pycache__"])
def test_what_is_made_again_from_the_rest_is_hidden(path: str) -> None:
    assert Rules().hides(path, is_directory=True)


@pytest.mark.parametrize(
    "path", [".gitignore", ".env", "notes.txt~", ".a.py.swp", "#a#", "a.orig", "a.pyc", "4913"]
)
def test_no_file_is_hidden_unless_somebody_asks_for_it(path: str) -> None:
    """An audit that hid what editors leave behind would hide what was done through them."""
    assert not Rules().hides(path, is_directory=False)
    assert all(pattern.endswith("/") for pattern in DEFAULTS)


def test_a_file_named_as_a_hidden_directory_is_told() -> None:
    assert not Rules().hides(".git", is_directory=False)


def test_a_pattern_of_ones_own_hides_and_a_later_one_takes_back() -> None:
    rules = Rules(["*.log", "!kept.log", "/build/"])

    assert rules.hides("a/b.log", is_directory=False)
    assert not rules.hides("a/kept.log", is_directory=False)
    assert rules.hides("build", is_directory=True)
    assert not rules.hides("src/build", is_directory=True)


def test_a_default_can_be_taken_back() -> None:
    assert not Rules(["!node_modules/"]).hides("node_modules", is_directory=True)


def test_the_recorders_own_files_stay_hidden_whatever_is_asked() -> None:
    rules = Rules(["!state/", "!*"], own=["/deep/state"])

    assert rules.hides("deep/state", is_directory=True)
    assert not rules.hides("other/state", is_directory=True)


def test_a_line_that_is_no_pattern_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"watch.ignore cannot hold '!'; a pattern is a line"):
        Rules(["!"])


def test_of_several_gitignore_files_the_nearest_has_the_last_word() -> None:
    rules = Rules(gitignore=True)
    rules.read("", "*.o\n# a comment\n/only-here\n")
    rules.read("kept", "!*.o\n")

    assert rules.hides("a.o", is_directory=False)
    assert rules.hides("src/a.o", is_directory=False)
    assert not rules.hides("kept/a.o", is_directory=False)
    assert rules.hides("only-here", is_directory=False)
    assert not rules.hides("src/only-here", is_directory=False)


def test_a_line_of_a_gitignore_that_is_no_pattern_is_passed_over() -> None:
    rules = Rules(gitignore=True)
    rules.read("", "!\n*.o")

    assert rules.hides("a.o", is_directory=False)


def test_reading_a_gitignore_says_whether_it_changes_anything() -> None:
    rules = Rules(gitignore=True)

    assert [rules.read("", text) for text in (None, "a", "a", "b", None)] == [
        False,
        True,
        False,
        True,
        True,
    ]


def test_a_name_that_is_no_text_can_be_hidden() -> None:
    assert Rules(["*.o"]).hides("caf\udce9.o", is_directory=False)
