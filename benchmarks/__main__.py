"""`python -m benchmarks`: pick questions, run them, print, keep, compare, draw."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from benchmarks.compare import moves_text
from benchmarks.contest import Course
from benchmarks.figures import Answer, Report
from benchmarks.machine import filesystem_of, is_memory, this_machine
from benchmarks.progress import Progress
from benchmarks.table import aims_line, answer_text, header_text

__all__ = ["QUESTIONS", "ask", "main"]

QUESTIONS = {
    "emit": "emit",
    "journal": "journal",
    "fanout": "fanout",
    "latency": "latency",
    "threads": "threads",
    "synced": "synced",
    "memory": "memory",
    "growth": "growth",
    "import": "imports",  # a module cannot be imported by the name of a keyword
    "resident": "resident",
    "landing": "landing",
    "ingest": "ingest",
    "store": "store",
    "seal": "seal",
    "watch": "watch",
    "profile": "profile",
    "peers": "peers",
}
FULL_ROUNDS, FULL_EVENTS, FULL_SECONDS = 7, 200_000, 5.0
QUICK_ROUNDS, QUICK_EVENTS, QUICK_SECONDS = 1, 10_000, 0.3
FAILED, MISUSED = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer the questions asked for; 1 if something of ours failed."""
    options = _parser().parse_args(arguments)
    if options.list:
        _say(f"{name:10}{_says(name)}" for name in QUESTIONS)
        return 0
    if complaint := _complaint(options):
        sys.stderr.write(f"{complaint}\n")
        return MISUSED
    before = _kept(options.compare) if options.compare else None
    if options.compare and before is None:
        sys.stderr.write(
            f"cannot compare with {str(options.compare)!r}; --json writes such files\n"
        )
        return MISUSED
    report = _run(options)
    _say(["", aims_line(report.answers)])
    if before is not None:
        _say(["", moves_text(before, report)])
    _keep(report, options)
    return FAILED if any(row.is_failure for answer in report.answers for row in answer.rows) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help="all, unless named")
    parser.add_argument("--list", action="store_true", help="say what the questions are")
    parser.add_argument("--quick", action="store_true", help="small sizes, under a minute in all")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds a question")
    parser.add_argument("--events", type=int, metavar="N", help="the most events a contestant")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="say what moved since FILE")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="draw PNG pictures")
    parser.add_argument("--dir", type=Path, default=Path(), metavar="DIR", help="where to write")
    parser.add_argument("--any-disk", action="store_true", help="even where nothing is a disk")
    return parser


def _complaint(options: argparse.Namespace) -> str:
    """What would spoil the run, said before it begins."""
    unknown = [name for name in options.questions if name not in QUESTIONS]
    if unknown:
        return f"no question named {unknown[0]!r}; there are: {', '.join(QUESTIONS)}"
    if not options.dir.is_dir():
        return f"cannot write in {str(options.dir)!r}; give --dir a directory"
    filesystem = filesystem_of(options.dir)
    if is_memory(filesystem) and not options.any_disk:
        return f"cannot measure on {filesystem}; give --dir on a disk, or --any-disk"
    if options.json and not options.json.parent.is_dir():
        return f"cannot keep figures in {str(options.json)!r}; its directory is not there"
    if options.plot and find_spec("matplotlib") is None:
        return "cannot draw without matplotlib; it is in the dependency group 'bench'"
    return ""


def _kept(path: Path) -> Report | None:
    """The figures of an earlier run; None if they cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError):
        return None


def _run(options: argparse.Namespace) -> Report:
    names = options.questions or list(QUESTIONS)
    progress = Progress(len(names))
    with TemporaryDirectory(prefix=".benchmarks-", dir=options.dir) as directory:
        course = _course(options, Path(directory), progress)
        report = Report(this_machine(Path(directory)), course.rounds, course.events, [])
        _say([header_text(report)])
        for name in names:
            progress.begin(name)
            answer = ask(name, course)
            progress.end()
            _say(["", answer_text(answer)])
            report.answers.append(answer)
    return report


def _course(options: argparse.Namespace, directory: Path, progress: Progress) -> Course:
    quick = options.quick
    return Course(
        directory=directory,
        rounds=options.rounds or (QUICK_ROUNDS if quick else FULL_ROUNDS),
        events=options.events or (QUICK_EVENTS if quick else FULL_EVENTS),
        seconds=QUICK_SECONDS if quick else FULL_SECONDS,
        is_quick=quick,
        tell=progress.tell,
    )


def ask(name: str, course: Course) -> Answer:
    """One question's answer."""
    question = import_module(f"benchmarks.{QUESTIONS[name]}")
    return Answer(name, _says(name), question.ask(course))


def _says(name: str) -> str:
    question = import_module(f"benchmarks.{QUESTIONS[name]}")
    return " ".join((question.__doc__ or "").split())


def _keep(report: Report, options: argparse.Namespace) -> None:
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    if options.plot:
        from benchmarks.plot import draw  # matplotlib is wanted here alone

        _say(f"drew {path}" for path in draw(report, options.plot))


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
