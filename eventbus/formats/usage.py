"""What model calls and dispatches cost, as lines of `usage.jsonl`.

`tokensIn` is all input and `tokensOut` all output: the cache's share is
counted in the first and named again beside it.
"""

from eventbus.event import Event
from eventbus.events.dispatch import DispatchFinished
from eventbus.events.llm import ModelAnswered
from eventbus.formats.moment import stamp
from eventbus.formats.record import Record, to_json

__all__ = ["KINDS", "encode"]

KINDS = ("llm:response", "dispatch:finish")


class Cost(Record, frozen=True, kw_only=True):
    """What one call or dispatch used; null where nothing is known."""

    timestamp: str
    user_id: str | None
    component: str | None
    model: str | None
    conversation_id: str | None
    tokens_in: int | None
    tokens_out: int | None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cost: float | None
    priced: bool


def encode(event: Event) -> bytes | None:
    """The line of a model call, or of a dispatch inside which none was recorded."""
    if isinstance(event, ModelAnswered):
        return _answered(event)
    if isinstance(event, DispatchFinished) and not event.model_calls:
        return _dispatched(event)
    return None


def _answered(event: ModelAnswered) -> bytes:
    scope, usage = event.scope, event.usage
    return to_json(
        Cost(
            timestamp=stamp(event.ts),
            user_id=scope.user,
            component=scope.component,
            model=event.model,
            conversation_id=scope.chat or scope.session,
            tokens_in=None if usage is None else usage.tokens_in,
            tokens_out=None if usage is None else usage.tokens_out,
            cache_read_tokens=None if usage is None else usage.cache_read,
            cache_write_tokens=None if usage is None else usage.cache_write,
            cost=event.cost,
            priced=event.cost is not None,
        )
    )


def _dispatched(event: DispatchFinished) -> bytes:
    scope = event.scope
    return to_json(
        Cost(
            timestamp=stamp(event.ts),
            user_id=event.sender_id or scope.user,
            component=scope.component,
            model=event.model,
            conversation_id=event.conversation_id or scope.chat or scope.session,
            tokens_in=event.tokens_in,
            tokens_out=event.tokens_out,
            cost=event.cost,
            priced=event.cost is not None,
        )
    )
