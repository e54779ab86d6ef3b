"""A stranger's sink: the whole package in `examples/plugin`, installed beside ours."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).resolve().parents[2] / "examples" / "plugin"
ASK = """
from eventbus.sink import find_sink, installed_sinks
import eventbus_csv
sink = find_sink("csv", {"path": "mine.csv"})
assert type(sink) is eventbus_csv.CsvSink and sink.settings.path == "mine.csv"
assert {"csv", "flat"} <= set(installed_sinks())
"""


def run(*words: str | Path, **environment: str) -> None:
    ran = subprocess.run(
        [sys.executable, *words],
        env={**os.environ, **environment},
        cwd=PLUGIN,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_whole_package_is_under_forty_lines() -> None:
    files = [file for file in PLUGIN.iterdir() if file.is_file()]
    lines = [line for file in files for line in file.read_text().split("\n") if line.strip()]

    assert 0 < len(lines) < 40


def test_it_passes_the_contract() -> None:
    run("-m", "pytest", "-q", "-p", "no:cacheprovider", PLUGIN, PYTHONPATH=str(PLUGIN))


@pytest.mark.slow
@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("pip", "hatchling")),
    reason="needs pip and hatchling",
)
def test_it_installs_and_is_found_by_name(tmp_path: Path) -> None:
    options = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target")

    run("-m", "pip", "install", *options, tmp_path, PLUGIN)

    run("-c", ASK, PYTHONPATH=str(tmp_path))
