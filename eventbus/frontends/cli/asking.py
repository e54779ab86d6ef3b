"""The store that a command asks, and the pages of its answer."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import click
import msgspec

from eventbus.frontends.cli.behind import say_if_behind
from eventbus.frontends.cli.options import F, Where
from eventbus.frontends.cli.tables import counted
from eventbus.frontends.cli.terminal import painted
from eventbus.frontends.cli.wording import is_short_for, json_text
from eventbus.store.engine import Reader
from eventbus.store.opening import open_store
from eventbus.store.pages import PAGE_MOST, Page

__all__ = ["PAGES_AS_JSON", "Wish", "asked", "page_options", "show_pages", "whole_id"]

T = TypeVar("T")
PAGES_AS_JSON = "Print a JSON document a page, on a line: items, next, previous."
LOOKED_THROUGH = 20
"""Pages in which an id that is written short is looked for."""


@contextmanager
def asked(where: Where) -> Iterator[Reader]:
    """Open the store of the settings for questions."""
    settings = where.settings()
    if settings.store is None and not settings.state.is_dir():
        raise where.no_state(settings.state)
    with open_store(settings.where_store) as store:
        say_if_behind(settings, store)
        yield store


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """How much of an answer is wanted, and from where on."""

    limit: int
    cursor: str | None = None
    all_pages: bool = False

    def pages(self, ask: Callable[..., Page[T]]) -> Iterator[Page[T]]:
        """The page that was asked for, and with --all every one behind it."""
        limit = PAGE_MOST if self.all_pages else self.limit
        page = ask(limit=limit, cursor=self.cursor)
        yield page
        while self.all_pages and page.next is not None:
            page = ask(limit=limit, cursor=page.next)
            yield page


def page_options(default: int, *, both_ways: bool = False) -> Callable[[F], F]:
    """Add -n, --next and --all, for --previous too; the command gets them as `wish`."""

    def with_options(command: F) -> F:
        options = [
            click.option(
                "-n",
                "--limit",
                type=click.IntRange(1, PAGE_MOST),
                default=default,
                metavar="NUMBER",
                help=f"So many at the most.  [default: {default}]",
            ),
            _next,
            *([_previous] if both_ways else []),
            click.option("--all", "all_pages", is_flag=True, help="This page and all behind it."),
        ]

        @wraps(command)
        def with_wish(*args: Any, limit: int, all_pages: bool, **kwargs: Any) -> Any:
            after, before = kwargs.pop("next_cursor"), kwargs.pop("previous_cursor", None)
            if after is not None and before is not None:
                raise click.UsageError("one page at a time: --next or --previous")
            wish = Wish(limit=limit, cursor=after or before, all_pages=all_pages)
            return command(*args, wish=wish, **kwargs)

        for option in reversed(options):
            with_wish = option(with_wish)
        return with_wish  # type: ignore[return-value]  # the same, with more options

    return with_options


_next = click.option("--next", "next_cursor", metavar="CURSOR", help="The page that begins there.")
_previous = click.option(
    "--previous", "previous_cursor", metavar="CURSOR", help="The page that ends there."
)


def show_pages(
    pages: Iterator[Page[T]],
    shown: Callable[[Sequence[T]], str],
    *,
    noun: str,
    as_json: bool,
    both_ways: bool = False,
) -> int:
    """Print pages, for people as `shown` has each, or as JSON; how many items there were."""
    count = 0
    page: Page[T] = Page([])
    for page in pages:
        if as_json:
            click.echo(json_text(page))
        elif page.items:
            click.echo(shown(page.items))
        count += len(page.items)
    if not as_json:
        _say_what_else(page, count, noun, both_ways=both_ways)
    return count


def _say_what_else(page: Page[Any], count: int, noun: str, *, both_ways: bool) -> None:
    if not count:
        click.echo(f"no {noun}s")
    if page.previous is not None and both_ways:
        click.echo(painted(f"before these: --previous {page.previous}", dim=True))
    if page.next is not None:
        click.echo(painted(f"there are more: --all, or --next {page.next}", dim=True))


def whole_id(
    written: str, ask: Callable[..., Page[T]], id_of: Callable[[T], str], *, noun: str
) -> str:
    """The id that is meant by one written as tables show it, `019ab3f2…1c9d41`."""
    pattern = is_short_for(written)
    if pattern is None:
        return written
    found, cursor = set(), None
    for _ in range(LOOKED_THROUGH):
        page = ask(limit=PAGE_MOST, cursor=cursor)
        found |= {id for id in map(id_of, page.items) if pattern.fullmatch(id)}
        cursor = page.next
        if cursor is None:
            break
    if len(found) == 1:
        return found.pop()
    if not found:
        return written
    raise click.UsageError(f"{counted(len(found), noun)} are like {written!r}; write one whole")
