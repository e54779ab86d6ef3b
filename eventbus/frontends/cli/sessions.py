"""`eventbus sessions`: the runs of agents, and what one of them did and cost."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial

import click
import msgspec

from eventbus.frontends.cli.asking import (
    PAGES_AS_JSON,
    Wish,
    asked,
    page_options,
    show_pages,
    whole_id,
)
from eventbus.frontends.cli.options import (
    Where,
    json_option,
    since_option,
    until_option,
    where_options,
)
from eventbus.frontends.cli.tables import Cell, counted, fields, table
from eventbus.frontends.cli.traces import trace_table
from eventbus.frontends.cli.usage import usage_table
from eventbus.frontends.cli.wording import (
    json_text,
    minute,
    money,
    money_columns,
    short,
    span,
    took,
)
from eventbus.store.engine import Reader
from eventbus.store.sessions import Session, session, sessions
from eventbus.store.tasks import Task, tasks
from eventbus.store.traces import ToolTrace, traces
from eventbus.store.usage import UsageAnswer, usage

__all__ = ["command"]

SHOWN_MOST = 20
"""Tasks and tool calls that are shown of a session."""

RATINGS = {1: "good", 0: "bad", None: None}
SUMMED = ("tokens_in", "tokens_out", "cost_usd", "unpriced", "saved")
"""What is shown in tables of its own."""

EXAMPLES = """\
\b
Examples:
  eventbus sessions
  eventbus sessions --user ann --since 7d
  eventbus sessions 019ab3…9c1c9d         one of them, its id as the list has it
  eventbus sessions s1 --json | jq .usage.totals.cost
"""


@click.command("sessions", epilog=EXAMPLES, short_help="List sessions, or show one.")
@click.argument("id", required=False, metavar="[ID]")
@since_option
@until_option
@click.option("--user", metavar="NAME", help="Only of this user.")
@click.option("--persona", metavar="NAME", help="Only of this persona.")
@click.option("--tool", "cli_tool", metavar="NAME", help="Only of this tool: claude-code, mcp.")
@page_options(20)
@json_option(f"{PAGES_AS_JSON} With ID, one JSON object.")
@where_options
def command(
    where: Where,
    id: str | None,
    since: datetime | None,
    until: datetime | None,
    user: str | None,
    persona: str | None,
    cli_tool: str | None,
    wish: Wish,
    as_json: bool,
) -> None:
    """List sessions, the newest first, or show what one did and cost.

    A session lasts from the first event seen of it to its end, or, where
    nobody said that it ended, to the last event seen of it.
    """
    with asked(where) as store:
        if id is not None:
            _show_one(store, id, as_json=as_json)
            return
        show_pages(
            wish.pages(
                lambda **page: sessions(
                    store,
                    since=since,
                    until=until,
                    user=user,
                    persona=persona,
                    cli_tool=cli_tool,
                    **page,
                )
            ),
            _table,
            noun="session",
            as_json=as_json,
        )


# --- one ---------------------------------------------------------------------------


class _Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A session and what came of it."""

    session: Session
    usage: UsageAnswer
    """By model."""
    tasks: list[Task]
    """The latest."""
    traces: list[ToolTrace]
    """The first tool calls."""


def _show_one(store: Reader, written: str, *, as_json: bool) -> None:
    id = whole_id(written, partial(sessions, store), lambda each: each.id, noun="session")
    found = session(store, id)
    if found is None:
        raise click.ClickException(
            f"no session {written!r} in the store; 'eventbus sessions' lists them"
        )
    shown = _Shown(
        session=found,
        usage=usage(store, by="model", session=id),
        tasks=tasks(store, session_id=id, limit=SHOWN_MOST).items,
        traces=traces(store, session_id=id, limit=SHOWN_MOST).items,
    )
    click.echo(json_text(shown) if as_json else "\n\n".join(_parts(shown)))


def _parts(shown: _Shown) -> Iterator[str]:
    said = msgspec.structs.asdict(shown.session)
    yield fields({name: value for name, value in said.items() if name not in SUMMED})
    if shown.usage.entries:
        yield usage_table(shown.usage)
    if shown.tasks:
        yield task_table(shown.tasks)
    if shown.traces:
        yield trace_table(shown.traces)
        if len(shown.traces) < shown.session.tools:
            yield f"the first {len(shown.traces)} of {counted(shown.session.tools, 'tool call')}"


def task_table(items: Sequence[Task]) -> str:
    """Tasks, for people."""
    costs, in_cloud = money_columns(
        [each.cost_usd for each in items], [each.cloud_cost_equivalent for each in items]
    )
    return table(
        ("task", "model", "routing", "why", "took", "cost", "in the cloud", "rated"),
        [
            (
                short(each.id),
                each.model,
                each.routing,
                each.routing_reason,
                took(each.latency_ms),
                cost,
                cloud,
                RATINGS[each.quality_rating],
            )
            for each, cost, cloud in zip(items, costs, in_cloud, strict=True)
        ],
        gives_way=(0, 1, 3),
    )


# --- all ---------------------------------------------------------------------------


def _table(items: Sequence[Session]) -> str:
    costs = money(_cost(each) for each in items)
    return table(
        ("session", "began (UTC)", "lasted", "user", "tool", "tools", "errors", "cost"),
        [
            (
                short(each.id),
                Cell(minute(each.start_time), dim=True),
                span(each.start_time, each.end_time or each.last_time),
                each.user_id,
                each.cli_tool,
                each.tools,
                Cell(each.errors, fg="red" if each.errors else None),
                cost,
            )
            for each, cost in zip(items, costs, strict=True)
        ],
        gives_way=(0, 3, 4),
    )


def _cost(each: Session) -> float | None:
    """None where no call has a known price."""
    return each.cost_usd if each.cost_usd or not each.unpriced else None
