"""How each provider reports what a call used, and how that is read.

Providers count the same tokens in different ways: some leave what came from a
cache out of the input, others count it in, and reasoning is part of the output
or stands beside it. A report is known by its fields.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from eventbus.errors import UsageUnreadable
from eventbus.events.llm import Usage
from eventbus.fields import at, each, fields_of, seen, short

__all__ = ["SHAPES", "Shape", "find_report"]

COUNT_MOST = 10**12
"""A call of more tokens than that was never made."""
DEEPEST = 4
"""Levels a report is looked for below what holds it: `payload`, `info`, `last_token_usage`."""
HOLDERS = (
    "usage",
    "usageMetadata",
    "usage_metadata",
    "last_token_usage",
    "current_usage",
    "message",
    "response",
    "metadata",
    "payload",
    "info",
    "context_window",
    "attributes",
    "x_groq",
    "delta",
)
"""Where a report is found in an answer, an event of a stream or a line of a transcript."""
INCLUSIVE_PROVIDERS = ("openai", "azure", "azure.ai.openai", "otel")
"""Whose bare `input_tokens` have the cache in them."""
SEPARATE_PROVIDERS = ("x-ai", "x_ai", "xai")
"""Whose `completion_tokens` leave the reasoning out."""


class Shape(NamedTuple):
    """One way to report: the fields it is known by, and how it is read."""

    name: str
    marks: tuple[str, ...]
    """Any of these fields, and it is that shape."""
    read: Callable[[Any, str], Usage]


def find_report(held: object, *, depth: int = 0) -> tuple[Any, Shape] | None:
    """The report in what holds it, and its shape."""
    fields = fields_of(held)
    if fields is not None:
        held = fields
    for shape in SHAPES:
        is_possible = fields is None or not fields.keys().isdisjoint(_FIRST_WORDS[shape.marks])
        if is_possible and any(at(held, mark) is not None for mark in shape.marks):
            return held, shape
    if depth < DEEPEST:
        for holder in HOLDERS:
            inner = at(held, holder) if fields is None or holder in fields else None
            if inner is not None and (found := find_report(inner, depth=depth + 1)) is not None:
                return found
    return None


# --- the shapes -----------------------------------------------------------------


def _buckets(report: Any, provider: str) -> Usage:
    return Usage(**{name: _count(report, name) for name in Usage.__struct_fields__})


def _messages(report: Any, provider: str) -> Usage:
    """Anthropic's; what compacting used is billed, but in none of the totals."""
    usage = _message(report, provider)
    for step in each(report, "iterations"):
        if at(step, "type") == "compaction":
            usage = _sum(usage, _message(step, provider))
    return usage


def _message(report: Any, provider: str) -> Usage:
    """The cache stands beside the input, thinking within the output."""
    write_5m, write_1h = _writes(report)
    read = _count(report, "cache_read_input_tokens", "cache_read_tokens")
    given = _count(report, "input_tokens")
    uncached = given
    if provider in INCLUSIVE_PROVIDERS:
        uncached = _rest(report, given, read + write_5m + write_1h, "cache tokens", "input_tokens")
    return _usage(
        report,
        uncached=uncached,
        read=read,
        writes=(write_5m, write_1h),
        output=_count(report, "output_tokens"),
        reasoning=_count(report, "output_tokens_details/thinking_tokens"),
        web_search=_count(report, "server_tool_use/web_search_requests"),
        web_fetch=_count(report, "server_tool_use/web_fetch_requests"),
    )


def _writes(report: Any) -> tuple[int, int]:
    """Cache writes for five minutes and an hour; unsplit ones live five minutes."""
    flat = _count(report, "cache_creation_input_tokens", "cache_creation_tokens")
    if at(report, "cache_creation") is None:
        return flat, 0
    write_5m = _count(report, "cache_creation/ephemeral_5m_input_tokens")
    write_1h = _count(report, "cache_creation/ephemeral_1h_input_tokens")
    return write_5m + max(0, flat - write_5m - write_1h), write_1h


class Names(NamedTuple):
    """What those call their counts who have the cache in the input; the first found counts."""

    total: str
    given: tuple[str, ...]
    read: tuple[str, ...]
    write: tuple[str, ...]
    output: tuple[str, ...]
    reasoning: tuple[str, ...]


CHAT = Names(
    total="total_tokens",
    given=("prompt_tokens",),
    read=("prompt_tokens_details/cached_tokens", "prompt_cache_hit_tokens", "cached_tokens"),
    write=("prompt_tokens_details/cache_write_tokens",),
    output=("completion_tokens",),
    reasoning=("completion_tokens_details/reasoning_tokens",),
)
"""OpenAI's chat completions, and all who speak like them."""

RESPONSES = Names(
    total="total_tokens",
    given=("input_tokens",),
    read=(
        "input_tokens_details/cached_tokens",
        "input_token_details/cache_read",
        "cached_input_tokens",
        "cache_read_tokens",
    ),
    write=(
        "input_tokens_details/cache_write_tokens",
        "input_token_details/cache_creation",
        "cache_write_tokens",
    ),
    output=("output_tokens",),
    reasoning=(
        "output_tokens_details/reasoning_tokens",
        "output_token_details/reasoning",
        "reasoning_output_tokens",
    ),
)
"""OpenAI's responses, with Codex's names and those of frameworks for the same."""


def _gen_ai(*words: str) -> tuple[str, ...]:
    return tuple(f"gen_ai.usage.{word}" for word in words)


OTEL = Names(
    total="llm.token_count.total",
    given=(*_gen_ai("input_tokens", "prompt_tokens"), "llm.token_count.prompt"),
    read=(
        *_gen_ai(
            "cache_read.input_tokens",
            "cache_read_input_tokens",
            "cache_read_tokens",
            "details.cache_read_tokens",
            "prompt_details.cache_read",
            "input_cached_tokens",
        ),
        "llm.token_count.prompt_details.cache_read",
    ),
    write=(
        *_gen_ai(
            "cache_write.input_tokens",
            "cache_creation.input_tokens",
            "cache_creation_input_tokens",
            "cache_write_tokens",
            "details.cache_write_tokens",
            "prompt_details.cache_write",
            "input_cache_creation",
        ),
        "llm.token_count.prompt_details.cache_write",
    ),
    output=(*_gen_ai("output_tokens", "completion_tokens"), "llm.token_count.completion"),
    reasoning=(
        *_gen_ai("reasoning.output_tokens", "reasoning_tokens", "details.reasoning_tokens"),
        "llm.token_count.completion_details.reasoning",
    ),
)
"""Attributes of OpenTelemetry's conventions, in every spelling they had."""


def _inclusive(names: Names) -> Callable[[Any, str], Usage]:
    """A reader of input with the cache in it and output with the reasoning in it."""

    def read(report: Any, provider: str) -> Usage:
        given, cached = _count(report, *names.given), _count(report, *names.read)
        written = _count(report, *names.write)
        made, thought = _count(report, *names.output), _count(report, *names.reasoning)
        # Some who speak like OpenAI leave reasoning out of the output; their own total tells.
        total = _count(report, names.total)
        if total == given + made + thought or (provider in SEPARATE_PROVIDERS and not total):
            made += thought
        return _usage(
            report,
            uncached=_rest(report, given, cached + written, "cache tokens", names.given[0]),
            read=cached,
            writes=(written, 0),
            output=made,
            reasoning=thought,
        )

    return read


def _gemini(report: Any, provider: str) -> Usage:
    """Google's: the cache within the prompt, thoughts and tool prompts beside it all."""
    given = _count(report, "promptTokenCount", "prompt_token_count")
    read = _count(report, "cachedContentTokenCount", "cached_content_token_count")
    thoughts = _count(report, "thoughtsTokenCount", "thoughts_token_count")
    visible = _count(
        report,
        "candidatesTokenCount",
        "candidates_token_count",
        "responseTokenCount",
        "response_token_count",
    )
    return _usage(
        report,
        uncached=_rest(report, given, read, "cachedContentTokenCount", "promptTokenCount")
        + _count(report, "toolUsePromptTokenCount", "tool_use_prompt_token_count"),
        read=read,
        output=visible + thoughts,
        reasoning=thoughts,
    )


def _converse(report: Any, provider: str) -> Usage:
    """Bedrock's Converse and Claude Code's model totals: the cache beside the input."""
    flat = _count(report, "cacheWriteInputTokens", "cacheCreationInputTokens")
    write_1h = _count(report, "cacheCreationEphemeral1hInputTokens")
    for detail in each(report, "cacheDetails"):
        if at(detail, "ttl") == "1h":
            write_1h += _count(detail, "inputTokens")
    write_5m = max(_count(report, "cacheCreationEphemeral5mInputTokens"), flat - write_1h)
    return _usage(
        report,
        uncached=_count(report, "inputTokens"),
        read=_count(report, "cacheReadInputTokens"),
        writes=(write_5m, write_1h),
        output=_count(report, "outputTokens"),
        reasoning=_count(report, "thinkingTokens"),
        web_search=_count(report, "webSearchRequests"),
    )


def _ollama(report: Any, provider: str) -> Usage:
    return _usage(
        report,
        uncached=_count(report, "prompt_eval_count"),
        output=_count(report, "eval_count"),
    )


def _cohere(report: Any, provider: str) -> Usage:
    """What is billed, which leaves out what the provider puts around a prompt."""
    return _usage(
        report,
        uncached=_count(report, "billed_units/input_tokens"),
        output=_count(report, "billed_units/output_tokens"),
        web_search=_count(report, "billed_units/search_units"),
    )


SHAPES = (
    Shape("eventbus", ("input_uncached", "output_visible"), _buckets),
    Shape("OpenTelemetry", (*OTEL.given, *OTEL.output), _inclusive(OTEL)),
    Shape(
        "Gemini",
        ("promptTokenCount", "prompt_token_count", "totalTokenCount", "total_token_count"),
        _gemini,
    ),
    Shape("Ollama", ("prompt_eval_count", "eval_count"), _ollama),
    Shape("OpenAI", ("prompt_tokens", "completion_tokens"), _inclusive(CHAT)),
    Shape(
        "OpenAI",
        (
            "input_tokens_details",
            "output_tokens_details/reasoning_tokens",
            "cached_input_tokens",
            "reasoning_output_tokens",
            "input_token_details",
            "output_token_details",
            "cache_write_tokens",
        ),
        _inclusive(RESPONSES),
    ),
    Shape("Cohere", ("billed_units",), _cohere),
    Shape(
        "Anthropic",
        (
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
        ),
        _messages,
    ),
    Shape("Bedrock", ("inputTokens", "outputTokens"), _converse),
)
"""Every shape known here; the first that fits is the one."""

_FIRST_WORDS = {
    shape.marks: frozenset(mark.partition("/")[0] for mark in shape.marks) for shape in SHAPES
}


# --- counting -------------------------------------------------------------------


def _usage(
    report: Any,
    *,
    uncached: int,
    output: int,
    read: int = 0,
    writes: tuple[int, int] = (0, 0),
    reasoning: int = 0,
    web_search: int = 0,
    web_fetch: int = 0,
) -> Usage:
    return Usage(
        input_uncached=uncached,
        cache_read=read,
        cache_write_5m=writes[0],
        cache_write_1h=writes[1],
        output_visible=_rest(report, output, reasoning, "reasoning tokens", "output tokens"),
        reasoning=reasoning,
        web_search=web_search,
        web_fetch=web_fetch,
    )


def _sum(one: Usage, other: Usage) -> Usage:
    pairs = zip(msgspec.structs.astuple(one), msgspec.structs.astuple(other), strict=True)
    return Usage(**dict(zip(Usage.__struct_fields__, map(sum, pairs), strict=True)))


def _rest(report: Any, whole: int, part: int, part_name: str, whole_name: str) -> int:
    if part > whole:
        raise UsageUnreadable(
            f"cannot read usage: {part} {part_name} are more than the {whole} {whole_name}"
            f" they are part of, in {seen(report)}"
        )
    return whole - part


def _count(report: Any, *paths: str) -> int:
    """The first of these fields that is there, as a count; 0 where none is."""
    for path in paths:
        value = at(report, path)
        if value is not None:
            return _checked(value, path)
    return 0


def _checked(value: Any, path: str) -> int:
    number = value
    if isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdigit():
        number = int(value)  # attributes arrive as text from some exporters
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= COUNT_MOST:
        return number
    name = path.replace("/", ".")
    raise UsageUnreadable(
        f"cannot read usage: {name} is {short(value)}; a count is a whole number"
        f" from 0 to {COUNT_MOST}"
    )
