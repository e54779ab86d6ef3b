"""What happened inside a dispatch, in whichever of its tasks: model calls and tool calls."""

from collections.abc import Sequence
from decimal import Decimal

from eventbus.events.dispatch import DispatchTool
from eventbus.events.llm import ModelAnswered, Usage
from eventbus.producers.endings import Outcome
from eventbus.scope import current_witness

__all__ = ["Inside", "Ran", "dollars", "inside_of"]

TOOLS_MOST = 1_000
"""Tool calls of one dispatch that are listed one by one."""


class Ran:
    """A tool call, from its start on."""

    __slots__ = ("duration_ms", "is_done", "name", "preview", "was_good")

    def __init__(self, name: str, preview: str) -> None:
        self.name = name
        self.preview = preview
        self.duration_ms: float | None = None
        self.is_done = False
        self.was_good = False

    def done(self, outcome: Outcome, duration_ms: float) -> None:
        self.duration_ms, self.was_good = duration_ms, outcome == "success"
        self.is_done = True

    def told(self) -> DispatchTool:
        """One that has not finished, or was cancelled, was no success."""
        return DispatchTool(
            name=self.name,
            duration_ms=self.duration_ms,
            input_preview=self.preview,
            status="success" if self.was_good else "error",
        )


class Inside:
    """Collects until the dispatch ends; one around it is told as well. From any thread."""

    def __init__(self) -> None:
        witness = current_witness()
        self.around = witness if isinstance(witness, Inside) else None
        self.is_over = False
        self._ran: list[Ran] = []
        self._unlisted = 0
        self._answers: dict[str, ModelAnswered] = {}
        """By id: one may be told of twice."""
        self._failed: tuple[BaseException, str] | None = None

    def __call__(self, event: ModelAnswered) -> None:
        """Be told of a model call."""
        if not self.is_over:
            self._answers[event.id] = event
        if self.around is not None:
            self.around(event)

    def begin(self, ran: Ran) -> None:
        """Be told of a tool call; the order is that of their starts."""
        if not self.is_over:
            if len(self._ran) < TOOLS_MOST:
                self._ran.append(ran)
            else:
                self._unlisted += 1
        if self.around is not None:
            self.around.begin(ran)

    def failed(self, error: BaseException, tool: str) -> None:
        """Be told of the tool an exception comes out of; the first to say so is where it began."""
        if not self.is_over and (self._failed is None or self._failed[0] is not error):
            self._failed = (error, tool)
        if self.around is not None:
            self.around.failed(error, tool)

    def failed_in(self, error: BaseException) -> str | None:
        """The tool an exception came out of, or the one that led to it."""
        seen: BaseException | None = error
        for _ in range(20):
            if seen is None or self._failed is None:
                return None
            if self._failed[0] is seen:
                return self._failed[1]
            seen = seen.__cause__ or seen.__context__ or _only(seen)
        return None

    def end(self) -> None:
        """Collect no more, and let go of the exception, which holds whole frames."""
        self.is_over = True
        self._failed = None

    # --- what it came to -----------------------------------------------------------

    @property
    def tools(self) -> tuple[DispatchTool, ...]:
        """Each tool call; past so many a last entry says how many more there were."""
        told = [ran.told() for ran in list(self._ran)]
        if self._unlisted:
            told.append(DispatchTool(name="…", input_preview=f"{self._unlisted} more calls"))
        return tuple(told)

    @property
    def answers(self) -> list[ModelAnswered]:
        """The model calls, in order."""
        return list(self._answers.values())

    @property
    def tokens_in(self) -> int | None:
        """Summed over those that reported; None where none did."""
        told = [
            answer.usage.tokens_in for answer in self.answers if isinstance(answer.usage, Usage)
        ]
        return sum(told) if told else None

    @property
    def tokens_out(self) -> int | None:
        told = [
            answer.usage.tokens_out for answer in self.answers if isinstance(answer.usage, Usage)
        ]
        return sum(told) if told else None

    @property
    def cost(self) -> float | None:
        """Dollars; None where one of them has no price."""
        return dollars([answer.cost for answer in self.answers])


def dollars(costs: Sequence[float | None]) -> float | None:
    """Costs added as the decimals they are written as; None where one is unknown, or none is."""
    known = [Decimal(str(cost)) for cost in costs if isinstance(cost, int | float)]
    if not known or len(known) < len(costs):
        return None
    total = sum(known, Decimal())
    is_whole = total.is_finite() and total == total.to_integral_value()
    return int(total) if is_whole else float(total)


def _only(error: BaseException) -> BaseException | None:
    """The one exception a task group has wrapped."""
    is_wrapped = isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1
    return error.exceptions[0] if is_wrapped else None  # type: ignore[attr-defined]


def inside_of() -> Inside | None:
    """The dispatch this runs in, if in one."""
    witness = current_witness()
    return witness if isinstance(witness, Inside) else None
