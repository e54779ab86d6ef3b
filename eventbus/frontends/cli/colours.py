"""The colours of kinds and of how things went."""

from eventbus.frontends.cli.tables import Cell

__all__ = ["is_bad", "kind_cell", "kind_colour", "outcome_cell"]

COLOURS = {
    "app": "blue",
    "bus": "blue",
    "session": "cyan",
    "conversation": "cyan",
    "channel": "cyan",
    "llm": "magenta",
    "tool": "green",
    "task": "green",
    "dispatch": "green",
    "file": "yellow",
    "error": "red",
}
"""The colour of a topic; the rest have none."""
BAD_VERBS = ("error", "fail", "gap", "refuse")
OUTCOMES = {"success": "green", "error": "red", "cancelled": "yellow", "abandoned": "yellow"}


def is_bad(kind: str) -> bool:
    """Whether something went wrong, as the kind says."""
    topic, _, verb = kind.partition(":")
    return topic == "error" or verb.startswith(BAD_VERBS)


def kind_colour(kind: str) -> str | None:
    """The colour of a kind; None: none."""
    return "red" if is_bad(kind) else COLOURS.get(kind.partition(":")[0])


def kind_cell(kind: str) -> Cell:
    """A kind in a table."""
    return Cell(kind, fg=kind_colour(kind), bold=is_bad(kind))


def outcome_cell(outcome: str | None) -> Cell:
    """How something went; None: it has not ended."""
    return Cell(outcome, fg=OUTCOMES.get(outcome or ""))
