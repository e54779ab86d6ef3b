"""Keeps what each test here did, for docs/reliability.md: `--reliability-json FILE`.

A test says what it measured by `record_property("figure", "500 kills: 0 lost")`.
What FILE held of other tests stays, so a part may be run at its long counts alone.
"""

import os
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from scripts.generate_reliability_page import Kept, Outcome, counts_in, read_kept, write_kept

ROOT = Path(__file__).parents[2]
MEMORY = Path("/dev/shm")
WORST_LAST: tuple[Outcome, ...] = ("passed", "skipped", "broken", "failed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--reliability-json",
        metavar="FILE",
        type=Path,
        help="keep outcome, figure and counts of every test of tests/reliability in FILE",
    )


def pytest_configure(config: pytest.Config) -> None:
    # The option is not known when only other folders were asked for.
    file = config.getoption("reliability_json", default=None)
    if file is not None:
        config.pluginmanager.register(Keeper(file), "reliability-keeper")


@pytest.fixture
def ram(tmp_path: Path) -> Iterator[Path]:
    """Real files in memory, for thousands of cases that do not hang on a disk."""
    if not (MEMORY.is_dir() and os.access(MEMORY, os.W_OK)):
        yield tmp_path
        return
    with TemporaryDirectory(dir=MEMORY, prefix="eventbus-proof-") as directory:
        yield Path(directory)


class Keeper:
    """Hears how each test went, and writes it down at the end."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._kept: dict[str, Kept] = {}
        self._counts: dict[str, Mapping[str, int]] = {}
        self._machine = _machine()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            module = item.getparent(pytest.Module)
            if module is not None and module.nodeid not in self._counts:
                names = counts_in(module.path)
                self._counts[module.nodeid] = {name: getattr(module.obj, name) for name in names}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        before = self._kept.get(report.nodeid)
        outcome = max(before.outcome if before else "passed", report.outcome, key=WORST_LAST.index)
        self._kept[report.nodeid] = Kept(
            outcome=outcome,
            seconds=round((before.seconds if before else 0.0) + report.duration, 2),
            figure=next((str(v) for k, v in report.user_properties if k == "figure"), None),
            reason=_reason(report) or (before.reason if before else None),
            counts=dict(self._counts.get(report.nodeid.partition("::")[0], {})),
            day=f"{datetime.now(UTC):%Y-%m-%d}",
            machine=self._machine,
        )

    def pytest_sessionfinish(self) -> None:
        run_now = {_function(nodeid) for nodeid in self._kept}
        others = {
            nodeid: kept
            for nodeid, kept in read_kept(self._file).items()
            if _function(nodeid) not in run_now and _is_there(nodeid)
        }
        write_kept(self._file, {**others, **self._kept})


def _reason(report: pytest.TestReport) -> str | None:
    """Why it was skipped, or is known not to hold."""
    if hasattr(report, "wasxfail"):
        return str(report.wasxfail)
    if report.skipped and isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return None


def _function(nodeid: str) -> str:
    """The test, whatever its parameters."""
    return nodeid.partition("[")[0]


def _is_there(nodeid: str) -> bool:
    file, _, name = _function(nodeid).rpartition("::")
    path = ROOT / file.partition("::")[0]
    return path.exists() and f"def {name}(" in path.read_text()


def _machine() -> str:
    """What it ran on, without its name."""
    system = f"{platform.system()} {platform.release().partition('-')[0]}"
    return f"{system}, {os.cpu_count()} cores, Python {platform.python_version()}"
