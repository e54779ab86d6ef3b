"""Asking before something is replaced or deleted."""

import sys

import click

__all__ = ["confirm", "yes_option"]

yes_option = click.option("--yes", "-y", "is_sure", is_flag=True, help="Do not ask.")


def confirm(what: str, *, is_sure: bool) -> None:
    """Go on where somebody is sure: ask on a terminal, refuse elsewhere."""
    if is_sure:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{what}; say --yes, as there is no terminal to ask on")
    click.confirm(f"{what}. Go on?", abort=True, err=True)
