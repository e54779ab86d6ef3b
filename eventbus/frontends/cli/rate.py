"""`eventbus rate`: what a task's result was worth."""

from functools import partial
from typing import Literal

import click

from eventbus.errors import TaskUnknown
from eventbus.formats.visible import visible
from eventbus.frontends.cli.asking import asked, whole_id
from eventbus.frontends.cli.emitting import emitting
from eventbus.frontends.cli.options import Where, json_option, where_options
from eventbus.frontends.cli.wording import json_text
from eventbus.store.tasks import rate_task, task, tasks

__all__ = ["command"]

RATINGS: dict[str, Literal[0, 1] | None] = {"good": 1, "bad": 0, "none": None}

EXAMPLES = """\
\b
Examples:
  eventbus rate task-1 good
  eventbus rate 019ab3…9c1c9d bad
  eventbus rate task-1 none                take a rating back
"""


@click.command("rate", epilog=EXAMPLES, short_help="Say what a task's result was worth.")
@click.argument("id", metavar="TASK")
@click.argument("rating", metavar="good|bad|none", type=click.Choice(list(RATINGS)))
@json_option("Print one JSON object: the task.")
@where_options
def command(where: Where, id: str, rating: str, as_json: bool) -> None:
    """Say what a task's result was worth; 'eventbus sessions ID' lists tasks.

    The rating is recorded as a task:rate event, and can be taken back.
    """
    with asked(where) as store:
        whole = whole_id(id, partial(tasks, store), lambda each: each.id, noun="task")
        found = task(store, whole)
        if found is None:
            raise TaskUnknown(f"no task {id!r} in the store; nothing was rated")
        with emitting(where, session=found.session_id) as bus:
            rated = rate_task(store, bus.emit_nowait, whole, RATINGS[rating])
    click.echo(json_text(rated) if as_json else visible(_said(rated.id, rating)))


def _said(task: str, rating: str) -> str:
    if rating == "none":
        return f"took back the rating of task {task}"
    return f"rated task {task} {rating}"
