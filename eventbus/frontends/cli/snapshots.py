"""`eventbus snapshots`: agent states to go on from."""

from collections.abc import Sequence
from functools import partial

import click
import msgspec

from eventbus.errors import SnapshotUnknown
from eventbus.formats.visible import visible
from eventbus.frontends.cli.asking import (
    PAGES_AS_JSON,
    Wish,
    asked,
    page_options,
    show_pages,
    whole_id,
)
from eventbus.frontends.cli.confirming import confirm, yes_option
from eventbus.frontends.cli.emitting import emitting
from eventbus.frontends.cli.options import Where, json_option, where_options
from eventbus.frontends.cli.tables import Cell, fields, table
from eventbus.frontends.cli.wording import json_text, moment, short
from eventbus.store.engine import Reader
from eventbus.store.snapshots import (
    Snapshot,
    SnapshotListed,
    discard_snapshot,
    snapshot,
    snapshots,
)
from eventbus.units import size_text

__all__ = ["command"]

EXAMPLES = """\
\b
Examples:
  eventbus snapshots
  eventbus snapshots chat-1                what is saved of one chat
  eventbus snapshots chat-1 --json | jq .state
  eventbus snapshots chat-1 --delete --yes
"""


@click.command("snapshots", epilog=EXAMPLES, short_help="List, show and delete saved states.")
@click.argument("chat", required=False, metavar="[CHAT]")
@click.option("--delete", is_flag=True, help="Let nobody go on from the CHAT's snapshot.")
@yes_option
@page_options(50)
@json_option(f"{PAGES_AS_JSON} With CHAT, one JSON object.")
@where_options
def command(
    where: Where,
    chat: str | None,
    delete: bool,
    is_sure: bool,
    wish: Wish,
    as_json: bool,
) -> None:
    """List the chats that have a saved state, the one saved last first; show or delete one.

    A chat has one snapshot, that of its last turn. What is deleted stays in
    the journal as long as that is kept; one saved later is there again.
    """
    if delete and chat is None:
        raise click.UsageError("say which CHAT's snapshot is to be deleted")
    with asked(where) as store:
        if chat is None:
            show_pages(
                wish.pages(partial(snapshots, store)), _table, noun="snapshot", as_json=as_json
            )
            return
        found = _of_chat(store, chat)
        if not delete:
            click.echo(json_text(found) if as_json else _shown(found))
            return
        confirm(f"this deletes the snapshot of chat {found.chat_id!r}", is_sure=is_sure)
        with emitting(where, session=found.session_id) as bus:
            discard_snapshot(store, bus.emit_nowait, found.chat_id)
    click.echo(json_text({"deleted": found.chat_id}) if as_json else _deleted(found))


def _of_chat(store: Reader, written: str) -> Snapshot:
    ask = partial(snapshots, store)
    chat = whole_id(written, ask, lambda each: each.chat_id, noun="chat")
    found = snapshot(store, chat)
    if found is None:
        raise SnapshotUnknown(
            f"no snapshot of chat {written!r} in the store; 'eventbus snapshots' lists them"
        )
    return found


def _table(items: Sequence[SnapshotListed]) -> str:
    return table(
        ("chat", "session", "turn", "size", "saved (UTC)"),
        [
            (
                short(each.chat_id),
                short(each.session_id),
                each.turn_number,
                size_text(each.size_bytes),
                Cell(moment(each.updated_at), dim=True),
            )
            for each in items
        ],
    )


def _shown(found: Snapshot) -> str:
    said = msgspec.structs.asdict(found)
    state = msgspec.json.format(msgspec.json.encode(said.pop("state")), indent=2).decode()
    lines = [f"  {visible(line)}" for line in state.split("\n")]
    return "\n".join([fields(said), "", "state:", *lines])


def _deleted(found: Snapshot) -> str:
    return visible(f"deleted the snapshot of chat {found.chat_id}, of turn {found.turn_number}")
