"""`eventbus blame` and `eventbus audit` say who changed which file."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from eventbus.frontends.cli import exits
from eventbus.segments import Series, read_lines
from tests.frontends.changed import make_changes
from tests.frontends.console import Here, Ran, golden

Ask = Callable[..., Ran]


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_changes(tmp_path_factory.mktemp("changed") / ".state")


@pytest.fixture
def asking(here: Here, changed: Path) -> Ask:
    return lambda *args: here(*args, "--state", str(changed))


def test_a_file_is_blamed_on_the_calls_that_changed_it(asking: Ask) -> None:
    told = asking("blame", "src/app.py")

    assert told.code == exits.OK
    assert told.out == golden("blame")


def test_blame_as_json_has_the_call_and_the_sizes(asking: Ask) -> None:
    latest, shell, first = asking("blame", "src/app.py", "--json").json["items"]

    assert (latest["actor"], latest["pid"], latest["command"]) == (None, 47, "vim app.py")
    assert (shell["tool_name"], shell["size_before"], shell["size_bytes"]) == ("shell", 1500, 3000)
    assert shell["tool_input"] == {"command": "sed -i s/x/yy/ src/*.py"}
    assert (shell["session_id"], shell["user_id"], shell["trace"]) == ("s1", "ann", "t-shell")
    assert (first["size_before"], first["outcome"]) == (None, "success")


def test_blame_of_a_time_and_page_by_page(asking: Ask) -> None:
    since = asking("blame", "src/app.py", "--since", "2026-11-20T12:00:05Z", "--json").json
    page = asking("blame", "src/app.py", "-n", "1", "--json").json
    then = asking("blame", "src/app.py", "-n", "1", "--next", page["next"], "--json").json

    assert [each["size_bytes"] for each in since["items"]] == [2900, 3000]
    assert [each["size_bytes"] for each in page["items"] + then["items"]] == [2900, 3000]


def test_a_directory_is_blamed_file_by_file(asking: Ask) -> None:
    told = asking("blame", "src/").lines

    assert [line.split()[1] for line in told[1:]] == ["src/app.py", "src/b.py", "src/c.py"]
    assert "moved to lib/b.py" in told[2]
    assert "t-edit or t-shell" in told[3]
    assert asking("blame", "src", "--since", "1h").code == exits.WRONG_USE


def test_a_path_is_meant_from_where_one_is(
    asking: Ask, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here.directory / "eventbus.toml").write_text("[watch]\nroots = ['.']\n")
    (here.directory / "src").mkdir()
    monkeypatch.chdir(here.directory / "src")

    assert asking("blame", "app.py").out == golden("blame")
    assert asking("blame", str(here.directory / "src" / "app.py")).out == golden("blame")
    assert "moved from src/b.py" in asking("blame", "../lib/b.py").lines[1]


def test_a_file_nobody_changed_is_a_finding(asking: Ask) -> None:
    told = asking("blame", "never.py")

    assert told.code == exits.FINDING
    assert told.out == "no changes\n"
    assert "of 'never.py'; 'eventbus audit' lists what is recorded" in told.err


def test_every_change_is_listed(asking: Ask) -> None:
    assert asking("audit").out == golden("audit")


@pytest.mark.parametrize(
    ("args", "paths"),
    [
        (("--actor", "shell"), ["src/b.py", "src/app.py"]),
        (("--actor", "ambiguous"), ["src/c.py"]),
        (("--actor", "unknown", "--path", "src"), ["src/b.py", "src/app.py"]),
        (("--path", "lib/b.py"), ["lib/b.py"]),
        (("--path", "lib"), ["lib/b.py"]),
        (("--path", "*/b.py"), ["lib/b.py", "src/b.py", "src/b.py"]),
        (("--session", "s1", "-n", "1"), ["src/b.py"]),
        (("--until", "2026-11-20T12:00:05Z"), ["src/app.py", "src"]),
        (("--path", "nowhere"), []),
    ],
)
def test_changes_are_listed_as_asked(asking: Ask, args: tuple[str, ...], paths: list[str]) -> None:
    told = asking("audit", *args, "--json")

    assert told.code == exits.OK
    assert [each["path"] for each in told.json["items"]] == paths


def test_what_is_no_moment_is_said_to_be(asking: Ask) -> None:
    told = asking("audit", "--since", "someday")

    assert told.code == exits.WRONG_USE
    assert "not a moment: 'someday'" in told.err


def test_a_tool_call_lists_the_files_it_changed(asking: Ask) -> None:
    told = asking("traces", "t-shell")

    assert told.out.endswith(
        "\nfiles:\n  write  2.9 KiB  src/app.py\n  write  7 B      src/b.py\n"
        "  write  0 B      src/c.py, or another call\n"
    )
    assert [each["path"] for each in asking("traces", "t-shell", "--json").json["files"]] == [
        "src/app.py",
        "src/b.py",
        "src/c.py",
    ]


def test_the_lines_of_the_audit_file_say_the_same(changed: Path) -> None:
    """Its fields are those that were promised; `eventbus blame` has the rest."""
    lines = [
        msgspec.json.decode(line)
        for line in read_lines(Series.of(changed / "logs" / "audit.jsonl"))
    ]

    assert {" ".join(line) for line in lines} == {"timestamp op path sizeBytes actor agentName"}
    assert [(line["op"], line["actor"], line["sizeBytes"]) for line in lines[:3]] == [
        ("mkdir", "write_file", 0),
        ("write", "write_file", 1500),
        ("write", "shell", 3000),
    ]
    assert [(line["actor"], line["agentName"]) for line in lines[4:6]] == [
        ("unknown", "unknown"),
        ("ambiguous", "unknown"),
    ]
