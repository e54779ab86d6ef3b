"""Run the ```python blocks of a page, in order, the way a reader would.

`python scripts/run_blocks.py docs/sinks.md`: the blocks share one namespace,
as one program typed in by hand; `await` may stand at the top.
"""

import ast
import asyncio
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

__all__ = ["Block", "blocks_of", "main"]


class Block(NamedTuple):
    """One fenced block of a page."""

    language: str
    line: int
    """Where its first line of text stands, from 1."""
    text: str


def blocks_of(page: Path) -> Iterator[Block]:
    """Every fenced block, in order."""
    fence = language = ""
    held: list[str] = []
    for number, line in enumerate(page.read_text().split("\n"), start=1):
        bare = line.strip()
        if not fence and bare.startswith("```"):
            fence = bare[: len(bare) - len(bare.lstrip("`"))]
            language, held = bare.strip("`").strip(), []
        elif fence and bare == fence:
            yield Block(language, number - len(held), "\n".join(held) + "\n")
            fence = ""
        elif fence:
            held.append(line)


def main(page: Path) -> None:
    """Run each block; an error shows the line of the page it stands on."""
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    with asyncio.Runner() as runner:
        for block in blocks_of(page):
            if block.language == "python":
                run(compiled(block, page), module, runner)


def compiled(block: Block, page: Path) -> CodeType:
    # Blank lines before it put every line at its number in the page.
    text = "\n" * (block.line - 1) + block.text
    return compile(text, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def run(code: CodeType, module: ModuleType, runner: asyncio.Runner) -> None:
    # A block without `await` runs outside the loop: it may start one of its own.
    waiting = eval(code, module.__dict__)
    if inspect.iscoroutine(waiting):
        runner.run(waiting)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
