"""`eventbus verify`: is the journal whole."""

import click
import msgspec

from eventbus.formats.visible import visible
from eventbus.frontends.cli import exits
from eventbus.frontends.cli.options import Where, json_option, where_options
from eventbus.frontends.cli.tables import counted
from eventbus.units import size_text
from eventbus.verify import Finding, Verified, verify_journal

__all__ = ["command"]

EXAMPLES = """\
\b
Exit codes:
  0  everything is as it was written
  1  something is altered or missing
  4  nothing but the torn end of a writer that died
\b
Examples:
  eventbus verify
  eventbus verify --state /srv/agent/.state || echo "look at it"
"""


@click.command("verify", epilog=EXAMPLES, short_help="Check that the journal is whole.")
@json_option("Print one JSON object.")
@where_options
def command(where: Where, as_json: bool) -> int:
    """Check that the journal is whole: read all of it, change nothing.

    Every line must be a record, every segment must begin with its bus:open,
    and the counts that the bus writes into the journal must come out. Holes
    that the bus declared itself are listed, and are no finding.
    """
    verified = verify_journal(where.state_there)
    if as_json:
        click.echo(msgspec.json.encode(verified))
    else:
        _show(verified)
    if not verified.is_whole:
        return exits.FINDING
    return exits.TORN if verified.torn else exits.OK


def _show(verified: Verified) -> None:
    for finding in verified.findings:
        click.echo(f"altered  {_sentence(finding)}")
    if verified.findings_left_out:
        click.echo(f"altered  and {verified.findings_left_out:,} more")
    for finding in verified.torn:
        click.echo(f"torn     {_sentence(finding)}")
    for gap in verified.gaps:
        whose = f"lane {visible(gap.lane)}" if gap.lane is not None else "everybody"
        click.echo(
            f"gap      {counted(gap.count, 'event')}, {visible(gap.reason)}: missed by {whose}"
        )
    for name in verified.cut:
        click.echo(f"cut      {visible(name)} keeps a torn end that was cut off")
    outcome = "whole" if verified.is_whole else "altered"
    click.echo(
        f"{outcome}: {counted(verified.records, 'record')} in"
        f" {counted(verified.segments, 'segment')} of {counted(verified.writers, 'writer')},"
        f" {size_text(verified.bytes)}"
    )


def _sentence(finding: Finding) -> str:
    place = finding.segment if finding.line is None else f"{finding.segment}:{finding.line}"
    return f"{visible(place)} {visible(finding.what)}"
