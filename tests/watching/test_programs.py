"""What real programs do to files, and how it is told."""

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from eventbus import Event
from eventbus.events import FileDeleted, FileWritten
from eventbus.watching.settings import WatchSettings
from tests.letters import eventually
from tests.watching.heard import QUICK, Heard, watching
from tests.watching.trees import real_tree, told_tree

WITHOUT_NPM = WatchSettings(quick=True, ignore=("!node_modules/",))


def run(program: str, *args: object, cwd: Path) -> None:
    """Run a program, or skip the test where there is none."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"no {program} here")
    environ = {**os.environ, "HOME": str(cwd), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(
        [found, *map(str, args)],
        cwd=cwd,
        env=environ,
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )


def git(root: Path, *args: object) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    run("git", *identity, *args, cwd=root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


def equals(heard: Heard, root: Path, start: dict[str, int | None], *without: str) -> bool:
    """Whether what was told comes to be the tree as it is."""
    real = real_tree(root, without=without)
    return eventually(lambda: told_tree(heard.of(Event), start=start) == real)


def written(heard: Heard) -> set[str]:
    return {event.path for event in heard.of(FileWritten)}


def test_an_atomic_replace_is_one_write(tmp_path: Path, root: Path) -> None:
    (root / "a.txt").write_text("one")
    with watching(tmp_path) as heard:
        (root / ".a.txt.tmp").write_text("three")
        os.replace(root / ".a.txt.tmp", root / "a.txt")
        assert eventually(lambda: heard.ops)
        heard.watcher.close()

        assert [op for op in heard.ops if op[1] == "a.txt"] == [("write", "a.txt")]
        assert told_tree(heard.of(FileWritten, FileDeleted), start={"a.txt": 3}) == {"a.txt": 5}


def test_a_write_and_a_change_of_its_mode_are_one_write(tmp_path: Path, root: Path) -> None:
    with watching(tmp_path) as heard:
        (root / "run.sh").write_text("#!/bin/sh")
        assert eventually(lambda: heard.ops)
        (root / "run.sh").chmod(0o755)
        (root / "after").write_text("x")
        assert eventually(lambda: ("write", "after") in heard.ops)

    assert heard.ops == [("write", "run.sh"), ("write", "after")]


def test_sed_in_place(tmp_path: Path, root: Path) -> None:
    (root / "a.txt").write_text("one\ntwo\n")
    with watching(tmp_path) as heard:
        run("sed", "-i", "s/two/three/", "a.txt", cwd=root)
        assert equals(heard, root, {"a.txt": 8})

    assert [path for path in written(heard) if not path.startswith("sed")] == ["a.txt"]


def test_ed(tmp_path: Path, root: Path) -> None:
    (root / "a.txt").write_text("one\n")
    (tmp_path / "script").write_text("1s/one/three/\nw\nq\n")
    if shutil.which("ed") is None:
        pytest.skip("no ed here")
    with watching(tmp_path) as heard:
        with (tmp_path / "script").open() as script:
            subprocess.run(["ed", "-s", "a.txt"], cwd=root, stdin=script, check=True)
        assert equals(heard, root, {"a.txt": 4})

    assert written(heard) == {"a.txt"}


def test_vim_with_a_backup(tmp_path: Path, root: Path) -> None:
    (root / "a.txt").write_text("one\n")
    with watching(tmp_path) as heard:
        acts = ("set backup backupcopy=no backupdir=. backupskip=", "%s/one/three/", "wq")
        run("vim", "-u", "NONE", "-es", *(f"+{act}" for act in acts), "a.txt", cwd=root)
        assert (root / "a.txt~").exists()
        assert equals(heard, root, {"a.txt": 4})

    assert {"a.txt", "a.txt~"} <= written(heard)


def test_a_checkout_of_another_branch(tmp_path: Path, root: Path) -> None:
    git(root, "init", "-q", "-b", "one")
    for number in range(60):
        (root / f"d{number % 5}").mkdir(exist_ok=True)
        (root / f"d{number % 5}/{number}.txt").write_text("one")
    git(root, "add", ".")
    git(root, "commit", "-qm", "one")
    git(root, "checkout", "-qb", "two")
    shutil.rmtree(root / "d1")
    for number in range(60):
        if number % 5 in (2, 3):
            (root / f"d{number % 5}/{number}.txt").write_text("two, longer")
    (root / "new").mkdir()
    (root / "new/a.txt").write_text("x")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "two")
    git(root, "checkout", "-q", "one")
    with watching(tmp_path) as heard:
        start = real_tree(root, without=(".git",))
        git(root, "checkout", "-q", "two")
        assert equals(heard, root, start, ".git")

    assert not [path for _, path in heard.ops if path.startswith(("d0/", "d4/", ".git"))]
    assert ("delete", "d1") in heard.ops


def test_rsync_and_rsync_again(tmp_path: Path, root: Path) -> None:
    source = tmp_path / "source"
    (source / "in/deep").mkdir(parents=True)
    for number in range(40):
        (source / f"in/deep/{number}.txt").write_text("x" * number)
        os.utime(source / f"in/deep/{number}.txt", (10**9, 10**9))
    with watching(tmp_path) as heard:
        run("rsync", "-a", f"{source}/", f"{root}/", cwd=tmp_path)
        assert equals(heard, root, {})
        told = len(heard.ops)
        run("rsync", "-a", f"{source}/", f"{root}/", cwd=tmp_path)
        heard.watcher.close()

        assert len(heard.ops) == told
        (source / "in/deep/7.txt").unlink()


def test_tar_sets_old_times(tmp_path: Path, root: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(50):
        (source / f"{number}.txt").write_text("x" * number)
        os.utime(source / f"{number}.txt", (10**9, 10**9))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(source, "pkg")
    with watching(tmp_path) as heard:
        run("tar", "xf", tmp_path / "a.tar", cwd=root)
        assert equals(heard, root, {})
        run("tar", "xf", tmp_path / "a.tar", cwd=root)
        (root / "pkg/9.txt").write_text("other")
        assert equals(heard, root, {})


def test_npm_ci(tmp_path: Path, root: Path) -> None:
    package = tmp_path / "package"
    for number in range(120):
        (package / f"lib/{number % 9}").mkdir(parents=True, exist_ok=True)
        (package / f"lib/{number % 9}/m{number}.js").write_text(f"module.exports = {number}\n")
    (package / "package.json").write_text('{"name": "p", "version": "1.0.0"}')
    with tarfile.open(tmp_path / "p.tgz", "w:gz") as archive:
        archive.add(package, "package")
    wanted = {"name": "app", "version": "1.0.0", "dependencies": {"p": "file:../p.tgz"}}
    (root / "package.json").write_text(json.dumps(wanted))
    quiet = ("--offline", "--no-audit", "--no-fund", "--cache", tmp_path / "cache")
    with watching(tmp_path, settings=WITHOUT_NPM) as heard:
        start = {"package.json": (root / "package.json").stat().st_size}
        run("npm", "install", *quiet, cwd=root)
        assert equals(heard, root, dict(start))
        run("npm", "ci", *quiet, cwd=root)
        assert equals(heard, root, dict(start))

    assert "node_modules/p/lib/3/m3.js" in written(heard)


def test_node_modules_are_left_out_by_default(tmp_path: Path, root: Path) -> None:
    with watching(tmp_path, settings=QUICK) as heard:
        for number in range(30):
            (root / f".staging-{number}/lib").mkdir(parents=True)
            (root / f".staging-{number}/lib/a.js").write_text("x")
            (root / "node_modules").mkdir(exist_ok=True)
            (root / f".staging-{number}").rename(root / f"node_modules/p{number}")
        (root / "last.txt").write_text("x")
        assert equals(heard, root, {}, "node_modules")

    assert not [path for _, path in heard.ops if path.startswith("node_modules")]
