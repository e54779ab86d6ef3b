"""Calls of a model, and what each used: llm:*."""

from typing import Literal

import msgspec

from eventbus.event import Event

__all__ = ["ModelAnswered", "ModelAsked", "ModelFailed", "Usage"]


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one model call used, in buckets that never overlap.

    The first six are tokens, the last two requests.
    """

    input_uncached: int = 0
    """Input read afresh: neither from a cache nor into one."""
    cache_read: int = 0
    cache_write_5m: int = 0
    """Input written to a cache that lives five minutes."""
    cache_write_1h: int = 0
    """Input written to a cache that lives an hour."""
    output_visible: int = 0
    """Output without its reasoning."""
    reasoning: int = 0
    web_search: int = 0
    web_fetch: int = 0

    @property
    def cache_write(self) -> int:
        """Input written to a cache, however long it lives."""
        return self.cache_write_5m + self.cache_write_1h

    @property
    def tokens_in(self) -> int:
        """All input, cached or not."""
        return self.input_uncached + self.cache_read + self.cache_write

    @property
    def tokens_out(self) -> int:
        """All output, reasoning included."""
        return self.output_visible + self.reasoning


class ModelAsked(Event, tag="llm:request"):
    """A request went out to a model."""

    model: str
    provider: str | None = None
    prompt_length: int | None = None
    """Characters of the whole prompt."""
    stream: bool | None = None


class ModelAnswered(Event, tag="llm:response"):
    """A model's answer is in, with what it used."""

    model: str
    provider: str | None = None
    usage: Usage | None = None
    """None: the provider reported nothing."""
    cost: int | float | None = None
    """Dollars; None where the price is unknown."""
    price: str | None = None
    """The price it was reckoned by."""
    latency_ms: int | float | None = None
    first_token_ms: int | float | None = None
    """From the request to the first token of a stream."""
    finish_reason: str | None = None
    request_id: str | None = None
    state: Literal["complete", "partial", "estimated"] = "complete"
    """Whether usage is the provider's last word, that of a stream cut short, or a guess."""


class ModelFailed(Event, tag="llm:error"):
    """A model call that brought no answer."""

    model: str
    provider: str | None = None
    error: str = ""
    error_type: str | None = None
    status: int | None = None
    """HTTP status; None where none came back."""
    request_id: str | None = None
    latency_ms: int | float | None = None
