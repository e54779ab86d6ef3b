"""What the documentation says runs, parses and leads somewhere."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.run_blocks import Block, blocks_of

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
EXAMPLES = sorted(ROOT.glob("examples/*.py"))
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def pages_with(language: str) -> list[Path]:
    return [page for page in PAGES if any(block.language == language for block in blocks_of(page))]


def run(*words: str | Path, cwd: Path) -> None:
    """Run a program where nothing of ours lies about; a warning is an error."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Exception ignored" not in ran.stderr, ran.stderr


@pytest.mark.parametrize("page", pages_with("python"), ids=named)
def test_every_python_block_runs(page: Path, tmp_path: Path) -> None:
    run(ROOT / "scripts" / "run_blocks.py", page, cwd=tmp_path)


@pytest.mark.parametrize("example", EXAMPLES, ids=named)
def test_every_example_runs(example: Path, tmp_path: Path) -> None:
    run(example, cwd=tmp_path)


def toml_blocks() -> Iterator[tuple[Path, Block]]:
    for page in PAGES:
        for block in blocks_of(page):
            if block.language == "toml":
                yield page, block


def test_every_toml_block_parses() -> None:
    for page, block in toml_blocks():
        try:
            tomllib.loads(block.text)
        except tomllib.TOMLDecodeError as error:
            pytest.fail(f"{named(page)}:{block.line}: {error}")


SETTINGS = [
    pytest.param(block.text, id=f"{named(page)}:{block.line}")
    for page, block in toml_blocks()
    if block.text.startswith("# eventbus.toml")
]


@pytest.mark.parametrize("text", SETTINGS)
def test_every_block_of_settings_is_accepted(text: str, tmp_path: Path) -> None:
    """A block is one when its first line is the comment `# eventbus.toml`."""
    (tmp_path / "eventbus.toml").write_text(text)

    run("-m", "eventbus", "config", cwd=tmp_path)


def text_of(page: Path) -> str:
    """A page without its blocks and inline code, where brackets are no links."""
    text = re.sub(r"^ *(`{3,}).*?^ *\1$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", text)


def anchors_of(page: Path) -> set[str]:
    """The anchors a page's headings make."""
    prose = re.sub(r"^ *(`{3,}).*?^ *\1$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.+?) *#*$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    for found in LINK.finditer(text_of(page)):
        link = found[1] or found[2]
        if ELSEWHERE.match(link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page

        assert target.is_relative_to(ROOT), f"{link} leads out of the project"
        assert target.exists(), f"{link} leads nowhere"
        if anchor and target.suffix == ".md":
            assert anchor in anchors_of(target), f"{link}: no such heading"


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    pages = {str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md")}

    assert [page for page in sorted(pages - {"index.md"}) if f"]({page})" not in index] == []
