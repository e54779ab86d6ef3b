"""Model calls as events: usage read, cost and price stamped on them."""

from datetime import UTC, datetime
from typing import Any, Literal

from eventbus.clock import utc_now
from eventbus.events.llm import ModelAnswered, Usage
from eventbus.prices import Cost, PriceTable, cost_of
from eventbus.usage import StreamedUsage, usage_or_none

__all__ = ["answered", "cloud_cost_equivalent"]


def answered(
    model: str,
    report: object = None,
    *,
    provider: str | None = None,
    state: Literal["complete", "partial", "estimated"] | None = None,
    at: datetime | None = None,
    prices: PriceTable | None = None,
    **words: Any,
) -> ModelAnswered:
    """The event of a model's answer, from what the provider reported; never raises for a report.

    The report may be a whole answer, its usage, a `StreamedUsage` or a `Usage`.
    `at` is when the answer came, by default now. Further words are fields of
    the event: `latency_ms`, `first_token_ms`, `finish_reason`, `request_id`.
    """
    if isinstance(report, StreamedUsage):
        usage, state = report.usage, state or report.state
    else:
        usage = usage_or_none(report, provider=provider)
    moment = at if at is not None else utc_now()
    cost = None
    if usage is not None:
        cost = cost_of(usage, model, provider=provider, at=moment, prices=prices)
    return ModelAnswered(
        ts=moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC),
        model=model,
        provider=provider,
        usage=usage,
        cost=cost.usd if cost is not None else None,
        price=cost.price if cost is not None else None,
        state=state or "complete",
        **words,
    )


def cloud_cost_equivalent(
    usage: Usage,
    cloud_model: str,
    *,
    provider: str | None = None,
    at: datetime | None = None,
    prices: PriceTable | None = None,
) -> Cost | None:
    """What a call that ran elsewhere would have cost at a model in the cloud.

    A cloud model without a price gives None: nothing is known to be saved.
    """
    return cost_of(usage, cloud_model, provider=provider, at=at, prices=prices)
