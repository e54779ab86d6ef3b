"""`eventbus verify`: is the journal whole."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import TextIO

import click
import msgspec

from eventbus.formats.visible import visible
from eventbus.frontends.cli import exits
from eventbus.frontends.cli.anchors import check_signature, read_anchors
from eventbus.frontends.cli.options import Where, json_option, where_options
from eventbus.frontends.cli.stores import stores
from eventbus.frontends.cli.tables import counted
from eventbus.sealing.anchors import Anchor
from eventbus.sealing.findings import Checked
from eventbus.sealing.keys import VerificationKey
from eventbus.store.comparing import Compared, compare_rows
from eventbus.units import size_text
from eventbus.verify import Finding, Verified, verify_journal

__all__ = ["command"]

EXAMPLES = """\
\b
Exit codes:
  0  everything is as it was written
  1  something is altered
  2  something is missing that nobody declared
  3  an anchor knows what is not there any more
  4  nothing but the torn end of a writer that died
\b
Examples:
  eventbus verify
  eventbus verify --key /media/stick/seal.key
  eventbus verify --anchor /media/stick/anchors
  eventbus verify --anchor git-note:/home/me/project --signers ~/.ssh/allowed_signers
  eventbus verify --state /srv/agent/.state || echo "look at it"
"""


@click.command("verify", epilog=EXAMPLES, short_help="Check that the journal is whole.")
@click.option(
    "--key",
    "key_file",
    type=click.File("r"),
    metavar="FILE",
    help="The verification key, as 'eventbus seal-key' gave it.",
)
@click.option(
    "--anchor",
    "said",
    multiple=True,
    metavar="FILE",
    help="Anchors: a file, - for the standard input, git-note[:DIR], or the text itself.",
)
@click.option(
    "--signers",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Who may have signed the anchors: a file as ssh-keygen's ALLOWED SIGNERS.",
)
@click.option(
    "--store", "with_store", is_flag=True, help="Hold the store's rows against the lines too."
)
@json_option("Print one JSON object.")
@where_options
def command(
    where: Where,
    key_file: TextIO | None,
    said: tuple[str, ...],
    signers: Path | None,
    with_store: bool,
    as_json: bool,
) -> int:
    """Check that the journal is whole: read all of it, change nothing.

    Every line must be a record, every segment must begin with its bus:open,
    and the counts that the bus writes into the journal must come out. Sealed
    lines, of the journal and of the audit file, must be as they were sealed.
    Holes that the bus declared itself are listed, and are no finding.

    Without --key the seals are held against each other alone, which does not
    show what somebody sealed anew who could write the state directory. An
    anchor shows that too, of all that was sealed when it was made.

    With --store every row of the store must be what its line in the journal
    makes of it, no line may lack its row, and no row its line.
    """
    key = VerificationKey.read(key_file.read()) if key_file is not None else None
    anchors = [anchor for each in said for anchor in read_anchors(each)]
    proven = [check_signature(anchor, signers) for anchor in anchors] if signers else []
    verified = verify_journal(where.state_there, key=key, anchors=anchors)
    compared = _compared(where) if with_store else []
    if as_json:
        whole = msgspec.to_builtins(verified)
        click.echo(msgspec.json.encode(whole | {"stores": compared} if with_store else whole))
    else:
        _show(verified, has_key=key is not None)
        for anchor, who in zip_longest(anchors, proven):
            click.echo(visible(_of_anchor(anchor, who)))
        for store in compared:
            for line in _of_store(store):
                click.echo(visible(line))
    return _code(verified, compared)


def _compared(where: Where) -> list[Compared]:
    settings = where.settings()
    return [compare_rows(settings.state, store) for store in stores(where, settings)]


def _of_store(compared: Compared) -> Iterator[str]:
    """What is with the rows of one store."""
    for row in compared.altered:
        yield f"altered  row {row.id} ({row.kind}): {', '.join(row.columns)}"
    if compared.altered_left_out:
        yield f"altered  and {compared.altered_left_out:,} rows more"
    if compared.added:
        ids = ", ".join(compared.added_ids)
        yield f"altered  {counted(compared.added, 'row')} without a line: {ids}"
    if compared.missing:
        ids = ", ".join(compared.missing_ids)
        yield f"missing  {counted(compared.missing, 'row')} of lines that have landed: {ids}"
    yield from (f"altered  {trouble}" for trouble in compared.trouble)
    older = f", {compared.older:,} older than the journal" if compared.older else ""
    yield f"store: {counted(compared.rows, 'row')} held against the lines{older}, {compared.where}"


def _code(verified: Verified, compared: list[Compared]) -> int:
    if verified.is_altered or any(store.is_altered or store.trouble for store in compared):
        return exits.FINDING
    if verified.rolled_back:
        return exits.ROLLED_BACK
    if not verified.is_whole or any(store.missing for store in compared):
        return exits.INCOMPLETE
    return exits.TORN if verified.torn else exits.OK


def _show(verified: Verified, *, has_key: bool) -> None:
    for line in (*_findings(verified), *_holes(verified)):
        click.echo(visible(line))
    click.echo(
        f"{_outcome(verified)}: {counted(verified.records, 'record')} in"
        f" {counted(verified.segments, 'segment')} of {counted(verified.writers, 'writer')},"
        f" {size_text(verified.bytes)}"
    )
    if verified.seals.chains:
        click.echo(_of_seals(verified.seals, has_key=has_key))


def _outcome(verified: Verified) -> str:
    if verified.is_altered:
        return "altered"
    if verified.rolled_back:
        return "rolled back"
    return "whole" if verified.is_whole else "incomplete"


def _of_anchor(anchor: Anchor, who: str | None) -> str:
    signed = f", signed by {who}" if who else ", signed" if anchor.signature else ""
    return f"anchor: of {anchor.at:%Y-%m-%d %H:%M:%S}Z{signed}"


def _findings(verified: Verified) -> Iterator[str]:
    seals = verified.seals
    for finding in verified.findings:
        yield f"{'missing' if finding.is_missing else 'altered'}  {_sentence(finding)}"
    for word, spans in (
        ("altered", seals.altered),
        ("missing", seals.incomplete),
        ("rolled back", verified.rolled_back),
    ):
        yield from (f"{word}  {span.place} {span.what}" for span in spans)
    left_out = verified.findings_left_out + seals.left_out
    if left_out:
        yield f"altered  and {left_out:,} more"
    for finding in verified.torn:
        yield f"torn     {_sentence(finding)}"


def _holes(verified: Verified) -> Iterator[str]:
    for gap in verified.gaps:
        whose = f"lane {gap.lane}" if gap.lane is not None else "everybody"
        yield f"gap      {counted(gap.count, 'event')}, {gap.reason}: missed by {whose}"
    for name in verified.cut:
        yield f"cut      {name} keeps a torn end that was cut off"
    for word, spans in (
        ("unsealed", verified.seals.unsealed),
        ("declared", verified.seals.declared),
    ):
        yield from (f"{word} {span.place} {span.what}" for span in spans)


def _of_seals(seals: Checked, *, has_key: bool) -> str:
    proven = (
        f"the key proves {seals.authentic:,} of them"
        if has_key
        else "without the verification key they prove nothing against who could write here"
    )
    return (
        f"sealed: {counted(seals.lines, 'line')} in {counted(seals.files, 'file')},"
        f" by {counted(seals.blocks, 'block')}; {proven}"
    )


def _sentence(finding: Finding) -> str:
    place = finding.segment if finding.line is None else f"{finding.segment}:{finding.line}"
    return f"{place} {finding.what}"
