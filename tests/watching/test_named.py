"""Which paths a tool call names in its input."""

from pathlib import Path
from typing import Any

import pytest

from eventbus.watching.named import WORDS_MOST, named_in
from tests.watching import acted

ROOT = str(acted.ROOT)

FILE, PLAIN = f"{ROOT}/src/a b.py", f"{ROOT}/src/a.py"


@pytest.mark.parametrize(
    "input",
    [
        {"path": "src/a.py"},
        {"path": "./src/../src/a.py"},
        {"path": PLAIN},
        "src/a.py",
        [{"edits": [{"file": "src/a.py", "new_string": "x"}]}],
        {"command": "sed -i s/a/b/ src/a.py"},
        {"command": "echo x >src/a.py; ls"},
        {"command": "cp x --target=src/a.py"},
        {"command": "cd src && touch a.py"},
        {"command": f"git -C {ROOT}/src checkout a.py"},
        {"argv": ["dd", "of=src/a.py"]},
        {"code": "with open('src/a.py', 'w') as file:\n    file.write('x')\n"},
        {"patch": "*** Begin Patch\n*** Update File: src/a.py\n@@\n-a\n+b\n"},
        {"diff": "--- a/src/a.py\n+++ b/src/a.py\n@@ -1 +1 @@\n-a\n+b\n"},
    ],
)
def test_a_path_is_named_however_it_is_written(input: Any) -> None:
    assert named_in(input, cwd=ROOT).names(PLAIN, ROOT)


@pytest.mark.parametrize(
    "input",
    [
        None,
        7,
        {"path": "src/b.py"},
        {"path": "src/a.pyc"},
        {"command": "ls src"},
        {"command": 'echo "unfinished src/b.py'},
        {"path": "src/b.py", "content": "see src/a.py"},
        {"diff": "--- a/src/b.py\n+++ b/src/b.py\n@@ -1 +1 @@\n-src/a.py\n+x\n"},
        {"path": "\0src/a.py"},
    ],
)
def test_a_path_is_not_named_by_what_only_looks_like_it(input: Any) -> None:
    assert not named_in(input, cwd=ROOT).names(PLAIN, ROOT)


@pytest.mark.parametrize("command", ["touch 'src/a b.py'", r"touch src/a\ b.py", "src/a b.py"])
def test_a_name_with_a_space_is_read_as_a_shell_reads_it(command: str) -> None:
    assert named_in({"command": command}, cwd=ROOT).names(FILE, ROOT)


def test_a_path_relative_to_a_directory_beside_is_named() -> None:
    named = named_in("touch ../src/a.py", cwd=f"{ROOT}/docs")

    assert named.names(PLAIN, ROOT)


def test_without_a_working_directory_paths_start_at_the_root() -> None:
    assert named_in({"path": "src/a.py"}).names(PLAIN, ROOT)


def test_a_path_below_the_home_directory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(ROOT))

    assert named_in("touch ~/src/a.py", cwd="/tmp").names(PLAIN, ROOT)


def test_a_path_through_a_link_names_the_file_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "way").symlink_to("real")
    root, way = f"{tmp_path}/real", f"{tmp_path}/way"

    assert named_in({"path": f"{way}/a.py"}).names(f"{root}/a.py", root)
    assert named_in({"path": "a.py"}, cwd=way).names(f"{root}/a.py", root)


@pytest.mark.parametrize("command", ["rm -rf src", "rm src/*.py", "rm -r ./src/"])
def test_a_directory_or_a_pattern_names_what_is_in_it(command: str) -> None:
    named = named_in(command, cwd=ROOT)

    assert named.names_around(PLAIN, ROOT)
    assert not named.names(PLAIN, ROOT)


@pytest.mark.parametrize("command", ["ls .", f"ls {ROOT}", "ls /", "rm lib/*.py"])
def test_the_root_itself_names_nothing_in_it(command: str) -> None:
    assert not named_in(command, cwd=ROOT).names_around(PLAIN, ROOT)


def test_the_root_by_its_whole_path_is_a_place_to_work_in() -> None:
    assert named_in(f"make -s {ROOT}").names_above(ROOT)
    assert named_in("make -s /srv").names_above(ROOT)
    assert not named_in("make -s /srv/other").names_above(ROOT)


def test_an_endless_input_is_looked_at_for_a_while_only() -> None:
    deep: Any = "src/a.py"
    for _ in range(100):
        deep = [deep]

    many = named_in({"paths": [f"f{number}" for number in range(100_000)]})

    assert len(many.words) == WORDS_MOST
    assert named_in(deep).words == frozenset()
    assert named_in("x" * 10_000_000).words == frozenset()
