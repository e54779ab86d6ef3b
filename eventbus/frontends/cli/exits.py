"""Exit codes, and the one sentence an expected error becomes."""

import click

from eventbus.errors import (
    ContentUnknown,
    CursorRefused,
    DefinitionError,
    EventBusError,
    ExportRefused,
    SettingsError,
    SinkNotFound,
    SnapshotUnknown,
    TaskUnknown,
    TraceUnknown,
)

__all__ = [
    "CODES",
    "FINDING",
    "INCOMPLETE",
    "INTERRUPTED",
    "OK",
    "PIPE_CLOSED",
    "ROLLED_BACK",
    "STATE_UNUSABLE",
    "TORN",
    "WRONG_USE",
    "explain",
]

OK = 0
FINDING = 1
INCOMPLETE = 2
ROLLED_BACK = 3
TORN = 4
WRONG_USE = 64
STATE_UNUSABLE = 74
INTERRUPTED = 130
PIPE_CLOSED = 141

CODES = {
    OK: "all went well",
    FINDING: "a finding: altered or missing records, events that were not kept, a file that was"
    " refused, a limit that is reached; for `search` and `blame`, that nothing was found",
    INCOMPLETE: "`verify` found lines, seals or files gone that nobody declared",
    ROLLED_BACK: "`verify --anchor`: the state directory is older than the anchor, or another",
    TORN: "`verify` found nothing but the torn end of a writer that died",
    WRONG_USE: "wrong use: an option, a setting or a name that is not allowed",
    STATE_UNUSABLE: "the state directory cannot be used, or another process serves it",
    INTERRUPTED: "interrupted before the work was done",
    PIPE_CLOSED: "whoever read the output closed it",
}
"""Every exit code, and what it says."""


_WRONGLY_SAID = (
    ContentUnknown,
    CursorRefused,
    DefinitionError,
    ExportRefused,
    SettingsError,
    SinkNotFound,
    SnapshotUnknown,
    TaskUnknown,
    TraceUnknown,
)


def explain(error: Exception) -> tuple[int, str] | None:
    """The exit code of an expected error and its sentence; None when nobody expected it."""
    if isinstance(error, click.UsageError):
        return WRONG_USE, _usage_sentence(error)
    if isinstance(error, click.ClickException):
        return WRONG_USE, _lower(error.format_message())
    if isinstance(error, _WRONGLY_SAID):
        return WRONG_USE, str(error)
    if isinstance(error, EventBusError):
        return STATE_UNUSABLE, str(error)
    if isinstance(error, OSError) and error.strerror:
        where = f" {str(error.filename)!r}" if error.filename else ""
        return STATE_UNUSABLE, f"cannot use{where}: {_lower(error.strerror)}"
    return None


def _usage_sentence(error: click.UsageError) -> str:
    command = error.ctx.command_path if error.ctx is not None else "eventbus"
    sentence = _lower(error.format_message()).rstrip(".")
    return f"{sentence}; '{command} --help' shows what is allowed"


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
