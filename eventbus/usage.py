"""What any provider reports of a model call, as disjoint buckets."""

from typing import Any, Literal

import msgspec

from eventbus.errors import UsageUnreadable
from eventbus.events.llm import Usage
from eventbus.fields import at, decoded, seen
from eventbus.reports import SHAPES, find_report

__all__ = ["StreamedUsage", "read_usage", "usage_or_none", "used_since"]

PLACES = (
    "usage",
    "usageMetadata",
    "usage_metadata",
    "response/usage",
    "metadata/usage",
    "delta/usage",
    "x_groq/usage",
)
"""Where an event of a stream holds its report."""
LAST_EVENTS = (
    "message_stop",
    "message-end",
    "response.completed",
    "response.incomplete",
    "response.failed",
)
"""Types of the event after which a stream reports nothing more."""
LAST_LINE = "[DONE]"
OVERWRITTEN = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
    "output_tokens_details",
    "server_tool_use",
    "iterations",
)
"""What Anthropic's events say anew, each time for the whole of the message so far."""


def read_usage(report: object, *, provider: str | None = None) -> Usage:
    """The buckets of a report, or of an answer that holds one.

    A report is a dict, JSON, or an object with the same attributes.
    `provider` settles what the fields leave open. Raises `UsageUnreadable`.
    """
    if isinstance(report, Usage):
        return report
    held = decoded(report)
    found = find_report(held)
    if found is None:
        known = dict.fromkeys(shape.name for shape in SHAPES)
        raise UsageUnreadable(
            f"cannot read usage from {seen(held)}; known are the reports of {', '.join(known)}"
        )
    inner, shape = found
    return shape.read(inner, (provider or "").lower())


def usage_or_none(report: object, *, provider: str | None = None) -> Usage | None:
    """The buckets of a report; None where there is none, or none that can be read."""
    try:
        return read_usage(report, provider=provider)
    except UsageUnreadable:
        return None


def used_since(earlier: Usage, later: Usage) -> Usage:
    """What came between two readings of a running total.

    A total that went down began anew: all of it came since.
    """
    pairs = zip(msgspec.structs.astuple(later), msgspec.structs.astuple(earlier), strict=True)
    grown = [after - before for after, before in pairs]
    if min(grown) < 0:
        return later
    return Usage(**dict(zip(Usage.__struct_fields__, grown, strict=True)))


class StreamedUsage:
    """The usage of a streamed answer, from its events in order.

    Feed it every event, or those with usage and the last. What it does not
    know it passes over, so that reading along never harms a stream.
    """

    def __init__(self, *, provider: str | None = None) -> None:
        self._provider = provider
        self._report: Any = None
        self._has_ended = False

    def feed(self, event: object) -> None:
        """Take one event: a dict, JSON, or an object of a provider's library."""
        if _is_last_line(event):
            self._has_ended = True
            return
        try:
            event = decoded(event)
        except UsageUnreadable:  # a comment or a keep-alive between the events
            return
        report = _report_in(event)
        if report is not None:
            self._take(report, str(at(event, "type")))
        self._has_ended = self._has_ended or _is_last(event, has_report=report is not None)

    def _take(self, report: Any, kind: str) -> None:
        if kind not in ("message_start", "message_delta"):
            self._report = report
            return
        said = {name: at(report, name) for name in OVERWRITTEN}
        before = self._report if kind == "message_delta" and self._report else {}
        self._report = {**before, **{name: new for name, new in said.items() if new is not None}}

    @property
    def usage(self) -> Usage | None:
        """What was reported so far; None: nothing that can be read."""
        return usage_or_none(self._report, provider=self._provider)

    @property
    def state(self) -> Literal["complete", "partial"]:
        """Complete once the stream has had its last word, and that told the usage."""
        return "complete" if self._has_ended and self._report is not None else "partial"


def _is_last_line(event: object) -> bool:
    if isinstance(event, bytes | bytearray):
        return bytes(event).strip() == LAST_LINE.encode()
    return isinstance(event, str) and event.strip() == LAST_LINE


def _report_in(event: object) -> Any:
    if at(event, "type") == "message_start":
        return at(event, "message/usage")
    for place in PLACES:
        report = at(event, place)
        if report is not None:
            return report
    return event if at(event, "eval_count") is not None else None


def _is_last(event: object, *, has_report: bool) -> bool:
    if at(event, "type") in LAST_EVENTS or at(event, "done") is True:
        return True
    if at(event, "delta/stop_reason") is not None or at(event, "metadata/usage") is not None:
        return True
    choices = at(event, "choices")
    if choices is None:
        choices = at(event, "candidates")
    if not isinstance(choices, list | tuple):
        return False
    return (has_report and not choices) or any(_is_finished(choice) for choice in choices)


def _is_finished(choice: object) -> bool:
    reasons = ("finish_reason", "finishReason")
    return any(at(choice, reason) is not None for reason in reasons)
