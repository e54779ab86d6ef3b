"""The agent's units of work: where each was sent, what it cost, and how good it was."""

from collections.abc import Iterable, Mapping
from typing import Literal

from eventbus.event import new_id
from eventbus.events.task import Alternative, RouteChosen, TaskFinished, TaskRated
from eventbus.producers.acting import Bus, emitter, scope_here

__all__ = ["rate_task", "record_task"]

SOURCES = ("mcp-tool", "proxy-intercept", "manual")
ROUTINGS = ("cloud", "local")
RATINGS = (1, 0, None)


def record_task(
    model: str,
    *,
    routing: Literal["cloud", "local"],
    source: Literal["mcp-tool", "proxy-intercept", "manual"] = "manual",
    routing_reason: str | None = None,
    alternatives: Iterable[Alternative | Mapping[str, str]] = (),
    classifier_version: str | None = None,
    tokens_in: int | None = None,
    tokens_out: int | None = None,
    latency_ms: float | None = None,
    cost_usd: float | None = None,
    cloud_cost_equivalent: float | None = None,
    quality_rating: Literal[0, 1] | None = None,
    prompt_length: int | None = None,
    response_length: int | None = None,
    task: str | None = None,
    bus: Bus | None = None,
) -> str:
    """Record a task that is done, and why it went where it did; the task's id.

    `alternatives` are the models that were not chosen, as `Alternative` or as
    `{"model": …, "reason_rejected": …}`.
    """
    _check("a task", "source", source, SOURCES)
    _check("a task", "routing", routing, ROUTINGS)
    _check("a task", "quality_rating", quality_rating, RATINGS)
    id = task if task is not None else new_id()
    emit, scope = emitter(bus), scope_here(bus)
    finished = TaskFinished(
        scope=scope,
        task=id,
        source=source,
        model=model,
        routing=routing,
        routing_reason=routing_reason,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        latency_ms=latency_ms,
        cost_usd=cost_usd,
        cloud_cost_equivalent=cloud_cost_equivalent,
        quality_rating=_rating(quality_rating),
        prompt_length=prompt_length,
        response_length=response_length,
    )
    emit(finished)
    rejected = tuple(map(_alternative, alternatives))
    if routing_reason is not None or rejected or classifier_version is not None:
        emit(
            RouteChosen(
                scope=scope,
                cause=finished.id,
                task=id,
                reason=routing_reason or routing,
                alternatives_considered=rejected,
                classifier_version=classifier_version,
            )
        )
    return id


def rate_task(task: str, rating: Literal[0, 1] | None, *, bus: Bus | None = None) -> None:
    """Record how good a task's result was: 1, 0, or None to take a rating back."""
    _check("a task", "rating", rating, RATINGS)
    emitter(bus)(TaskRated(scope=scope_here(bus), task=task, quality_rating=_rating(rating)))


def _alternative(said: Alternative | Mapping[str, str]) -> Alternative:
    if isinstance(said, Alternative):
        return said
    return Alternative(model=said["model"], reason_rejected=said.get("reason_rejected", ""))


def _rating(said: Literal[0, 1] | None) -> Literal[0, 1] | None:
    """A truth value is a rating as well."""
    return None if said is None else 1 if said else 0


def _check(what: str, name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise ValueError(
            f"{what} cannot have the {name} {value!r}; allowed: {', '.join(map(str, allowed))}"
        )
