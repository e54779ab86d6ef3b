"""Reports of usage, as each provider makes them, and streams of them."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.errors import EventBusError, UsageUnreadable
from eventbus.events import ModelAnswered, Usage
from eventbus.reports import COUNT_MOST, SHAPES
from eventbus.usage import StreamedUsage, read_usage, usage_or_none, used_since

ANTHROPIC = {
    "input_tokens": 10,
    "output_tokens": 50,
    "cache_creation_input_tokens": 100,
    "cache_read_input_tokens": 7,
    "cache_creation": {"ephemeral_5m_input_tokens": 40, "ephemeral_1h_input_tokens": 60},
    "output_tokens_details": {"thinking_tokens": 20},
    "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 3},
    "service_tier": "standard",
}
ANTHROPIC_USAGE = Usage(
    input_uncached=10,
    cache_read=7,
    cache_write_5m=40,
    cache_write_1h=60,
    output_visible=30,
    reasoning=20,
    web_search=2,
    web_fetch=3,
)
CHAT = {
    "prompt_tokens": 100,
    "completion_tokens": 50,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 20, "rejected_prediction_tokens": 4},
}
INCLUSIVE_USAGE = Usage(
    input_uncached=30, cache_read=60, cache_write_5m=10, output_visible=30, reasoning=20
)
RESPONSES = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "output_tokens": 50,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 150,
}
GEMINI = {
    "promptTokenCount": 90,
    "cachedContentTokenCount": 60,
    "candidatesTokenCount": 30,
    "thoughtsTokenCount": 20,
    "toolUsePromptTokenCount": 5,
    "totalTokenCount": 145,
}
GEMINI_USAGE = Usage(input_uncached=35, cache_read=60, output_visible=30, reasoning=20)

REPORTS = [
    ("anthropic", ANTHROPIC, ANTHROPIC_USAGE),
    ("openai chat", CHAT, INCLUSIVE_USAGE),
    ("openai responses", RESPONSES, INCLUSIVE_USAGE),
    ("gemini", GEMINI, GEMINI_USAGE),
    (
        "gemini, as its library spells it",
        {"prompt_token_count": 9, "candidates_token_count": 3, "thoughts_token_count": None},
        Usage(input_uncached=9, output_visible=3),
    ),
    (
        "deepseek",
        {"prompt_tokens": 9, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5},
        Usage(input_uncached=5, cache_read=4),
    ),
    (
        "bedrock",
        {
            "inputTokens": 10,
            "outputTokens": 5,
            "totalTokens": 122,
            "cacheReadInputTokens": 7,
            "cacheWriteInputTokens": 100,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 60}, {"ttl": "5m", "inputTokens": 40}],
        },
        Usage(
            input_uncached=10, cache_read=7, cache_write_5m=40, cache_write_1h=60, output_visible=5
        ),
    ),
    (
        "ollama",
        {"model": "llama3", "done": True, "prompt_eval_count": 26, "eval_count": 298},
        Usage(input_uncached=26, output_visible=298),
    ),
    (
        "cohere",
        {"billed_units": {"input_tokens": 4, "output_tokens": 3}, "tokens": {"input_tokens": 70}},
        Usage(input_uncached=4, output_visible=3),
    ),
    (
        "claude code's api_request, numbers as text",
        {
            "input_tokens": "2",
            "output_tokens": "9",
            "cache_read_tokens": "15273",
            "cache_creation_tokens": "30",
        },
        Usage(input_uncached=2, cache_read=15273, cache_write_5m=30, output_visible=9),
    ),
    (
        "claude code's modelUsage",
        {
            "inputTokens": 1,
            "outputTokens": 8,
            "thinkingTokens": 3,
            "cacheReadInputTokens": 4,
            "cacheCreationInputTokens": 9,
            "cacheCreationEphemeral5mInputTokens": 2,
            "cacheCreationEphemeral1hInputTokens": 7,
            "webSearchRequests": 1,
            "costUSD": 0.1,
        },
        Usage(
            input_uncached=1,
            cache_read=4,
            cache_write_5m=2,
            cache_write_1h=7,
            output_visible=5,
            reasoning=3,
            web_search=1,
        ),
    ),
    (
        "codex's last call, not its running total",
        {
            "type": "event_msg",
            "payload": {
                "type": "token_count",
                "info": {
                    "total_token_usage": {"input_tokens": 900, "output_tokens": 700},
                    "last_token_usage": {
                        "input_tokens": 100,
                        "cached_input_tokens": 70,
                        "output_tokens": 50,
                        "reasoning_output_tokens": 20,
                        "total_tokens": 150,
                    },
                },
            },
        },
        Usage(input_uncached=30, cache_read=70, output_visible=30, reasoning=20),
    ),
    (
        "langchain",
        {
            "usage_metadata": {
                "input_tokens": 100,
                "output_tokens": 50,
                "total_tokens": 150,
                "input_token_details": {"cache_read": 60, "cache_creation": 10},
                "output_token_details": {"reasoning": 20},
            }
        },
        INCLUSIVE_USAGE,
    ),
    ("our own buckets", msgspec.to_builtins(ANTHROPIC_USAGE), ANTHROPIC_USAGE),
    ("an event of ours", ModelAnswered(model="m", usage=ANTHROPIC_USAGE), ANTHROPIC_USAGE),
]


def as_object(value: Any) -> Any:
    """A report as a provider's library hands it out: attributes instead of keys."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(inner) for name, inner in value.items()})
    return [as_object(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("report", "usage"), [pytest.param(*case, id=name) for name, *case in REPORTS]
)
def test_every_providers_report_is_read(report: Any, usage: Usage) -> None:
    assert read_usage(report) == usage
    assert read_usage(msgspec.json.encode(report)) == usage
    assert read_usage({"id": "r", "model": "m", "usage": report}) == usage
    assert read_usage(as_object(report)) == usage


class Loose(pydantic.BaseModel, extra="allow"):
    """As the libraries of Anthropic and OpenAI make theirs."""

    input_tokens: int
    server_tool_use: Any = None


def test_an_object_of_pydantic_is_read_with_what_it_was_not_told_of() -> None:
    report = Loose(**ANTHROPIC)

    assert read_usage(report) == ANTHROPIC_USAGE
    assert read_usage(SimpleNamespace(usage=report)) == ANTHROPIC_USAGE


OTEL_NAMES = [
    ("input_tokens", "output_tokens", "cache_read.input_tokens", "cache_write.input_tokens"),
    ("input_tokens", "output_tokens", "cache_read.input_tokens", "cache_creation.input_tokens"),
    (
        "prompt_tokens",
        "completion_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
    ),
    ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
    ("input_tokens", "output_tokens", "details.cache_read_tokens", "details.cache_write_tokens"),
    ("input_tokens", "output_tokens", "prompt_details.cache_read", "prompt_details.cache_write"),
    ("input_tokens", "output_tokens", "input_cached_tokens", "input_cache_creation"),
]


@pytest.mark.parametrize("names", OTEL_NAMES, ids=lambda names: names[2])
def test_attributes_are_read_in_every_spelling(names: tuple[str, ...]) -> None:
    counts = dict(zip((f"gen_ai.usage.{name}" for name in names), (100, 50, 60, 10), strict=True))
    counts["gen_ai.usage.reasoning.output_tokens"] = 20

    assert read_usage(counts) == INCLUSIVE_USAGE
    assert read_usage({"name": "chat m", "attributes": counts}) == INCLUSIVE_USAGE


def test_attributes_of_openinference_are_read() -> None:
    counts = {
        "llm.token_count.prompt": 100,
        "llm.token_count.completion": 50,
        "llm.token_count.prompt_details.cache_read": 60,
        "llm.token_count.prompt_details.cache_write": 10,
        "llm.token_count.completion_details.reasoning": 20,
        "llm.token_count.total": 150,
    }

    assert read_usage(counts) == INCLUSIVE_USAGE


def test_cache_writes_beyond_the_split_live_five_minutes() -> None:
    split = {"ephemeral_5m_input_tokens": 40, "ephemeral_1h_input_tokens": 50}
    report = {"input_tokens": 1, "cache_creation_input_tokens": 100, "cache_creation": split}

    usage = read_usage(report)

    assert (usage.cache_write_5m, usage.cache_write_1h) == (50, 50)


def test_a_split_replaces_a_smaller_flat_count() -> None:
    split = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 50}
    report = {"input_tokens": 1, "cache_creation_input_tokens": 0, "cache_creation": split}

    usage = read_usage(report)

    assert (usage.cache_write_5m, usage.cache_write_1h) == (0, 50)


def test_what_compacting_used_is_counted_too() -> None:
    steps = [
        {"type": "compaction", "input_tokens": 180, "output_tokens": 35},
        {"type": "message", "input_tokens": 23, "output_tokens": 10},
    ]

    usage = read_usage({"input_tokens": 23, "output_tokens": 10, "iterations": steps})

    assert usage == Usage(input_uncached=203, output_visible=45)


def test_reasoning_beside_the_output_is_told_by_the_total() -> None:
    report = {
        "prompt_tokens": 32,
        "completion_tokens": 9,
        "total_tokens": 135,
        "completion_tokens_details": {"reasoning_tokens": 94},
    }

    assert read_usage(report) == Usage(input_uncached=32, output_visible=9, reasoning=94)


def test_the_provider_settles_what_the_fields_leave_open() -> None:
    report = {"input_tokens": 100, "output_tokens": 5, "cache_read_input_tokens": 60}
    beside = {"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 94}}

    assert read_usage(report).input_uncached == 100
    assert read_usage(report, provider="anthropic").input_uncached == 100
    assert read_usage(report, provider="openai").input_uncached == 40
    assert read_usage(beside, provider="xai") == Usage(output_visible=9, reasoning=94)


def test_a_line_of_a_transcript_is_read() -> None:
    line = {"type": "assistant", "sessionId": "s", "message": {"id": "m", "usage": ANTHROPIC}}

    assert read_usage(line) == ANTHROPIC_USAGE


# --- what cannot be read ---------------------------------------------------------


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        ({"tokens": 5}, r"cannot read usage from a report of tokens; known are .* Anthropic"),
        ({}, r"a report of nothing"),
        (None, r"cannot read usage from None; known are"),
        (7, r"cannot read usage from 7; known are"),
        ([1], r"cannot read usage from an object list; known are"),
        (b"{", r"cannot read usage from b'{': it is no JSON"),
        ({"prompt_tokens": -1}, r"prompt_tokens is -1; a count is a whole number from 0 to"),
        ({"prompt_tokens": 1.5}, r"prompt_tokens is 1.5"),
        ({"prompt_tokens": float("nan")}, r"prompt_tokens is nan"),
        ({"prompt_tokens": True}, r"prompt_tokens is True"),
        ({"prompt_tokens": "many"}, r"prompt_tokens is 'many'"),
        ({"prompt_tokens": "9" * 5000}, r"prompt_tokens is '9999"),
        ({"prompt_tokens": COUNT_MOST + 1}, r"prompt_tokens is 1000000000001"),
        ({"prompt_tokens": 10**5000}, r"prompt_tokens is a number of 16610 bits"),
        ({"prompt_tokens": []}, r"prompt_tokens is an object list"),
        (
            {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": -4}},
            r"prompt_tokens_details.cached_tokens is -4",
        ),
        (
            {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}},
            r"4 cache tokens are more than the 3 prompt_tokens they are part of",
        ),
        (
            {"output_tokens": 3, "output_tokens_details": {"thinking_tokens": 4}},
            r"4 reasoning tokens are more than the 3 output tokens they are part of",
        ),
    ],
)
def test_what_cannot_be_read_is_named(report: Any, sentence: str) -> None:
    with pytest.raises(UsageUnreadable, match=sentence):
        read_usage(report)

    assert usage_or_none(report) is None


class Broken:
    """What a library may hand out once its connection is gone."""

    @property
    def usage(self) -> Any:
        raise RuntimeError("closed")

    def __repr__(self) -> str:
        raise RuntimeError("closed")


def test_an_object_that_raises_has_no_usage() -> None:
    assert usage_or_none(Broken()) is None
    assert usage_or_none({"prompt_tokens": Broken()}) is None


def test_an_unreadable_report_is_an_error_of_ours_and_a_value_error() -> None:
    assert issubclass(UsageUnreadable, EventBusError)
    assert issubclass(UsageUnreadable, ValueError)


# --- sums ------------------------------------------------------------------------

counts = st.integers(0, 10**6)
parts = st.tuples(*[counts] * 6)


def buckets(usage: Usage) -> tuple[int, ...]:
    return msgspec.structs.astuple(usage)


@given(parts)
def test_anthropics_buckets_sum_to_its_total(parts: tuple[int, ...]) -> None:
    uncached, read, write_5m, write_1h, visible, thinking = parts
    report = {
        "input_tokens": uncached,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": write_5m + write_1h,
        "cache_creation": {
            "ephemeral_5m_input_tokens": write_5m,
            "ephemeral_1h_input_tokens": write_1h,
        },
        "output_tokens": visible + thinking,
        "output_tokens_details": {"thinking_tokens": thinking},
    }

    usage = read_usage(report)

    assert buckets(usage) == (*parts, 0, 0)
    assert usage.tokens_in == (
        report["input_tokens"]
        + report["cache_read_input_tokens"]
        + report["cache_creation_input_tokens"]
    )
    assert usage.tokens_out == report["output_tokens"]


@given(parts, st.sampled_from(["chat", "responses", "otel", "codex"]))
def test_inclusive_buckets_sum_to_the_providers_total(parts: tuple[int, ...], shape: str) -> None:
    uncached, read, write, _, visible, reasoning = parts
    write = 0 if shape == "codex" else write
    whole_in, whole_out = uncached + read + write, visible + reasoning
    report = {
        "chat": {
            "prompt_tokens": whole_in,
            "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": write},
            "completion_tokens": whole_out,
            "completion_tokens_details": {"reasoning_tokens": reasoning},
            "total_tokens": whole_in + whole_out,
        },
        "responses": {
            "input_tokens": whole_in,
            "input_tokens_details": {"cached_tokens": read, "cache_write_tokens": write},
            "output_tokens": whole_out,
            "output_tokens_details": {"reasoning_tokens": reasoning},
            "total_tokens": whole_in + whole_out,
        },
        "otel": {
            "gen_ai.usage.input_tokens": whole_in,
            "gen_ai.usage.output_tokens": whole_out,
            "gen_ai.usage.cache_read.input_tokens": read,
            "gen_ai.usage.cache_write.input_tokens": write,
            "gen_ai.usage.reasoning.output_tokens": reasoning,
        },
        "codex": {
            "input_tokens": whole_in,
            "cached_input_tokens": read,
            "output_tokens": whole_out,
            "reasoning_output_tokens": reasoning,
            "total_tokens": whole_in + whole_out,
        },
    }[shape]

    usage = read_usage(report)

    assert buckets(usage) == (uncached, read, write, 0, visible, reasoning, 0, 0)
    assert usage.tokens_in + usage.tokens_out == whole_in + whole_out


@given(parts)
def test_geminis_buckets_sum_to_its_total(parts: tuple[int, ...]) -> None:
    uncached, read, tools, _, visible, thoughts = parts
    report = {
        "promptTokenCount": uncached + read,
        "cachedContentTokenCount": read,
        "toolUsePromptTokenCount": tools,
        "candidatesTokenCount": visible,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": uncached + read + tools + visible + thoughts,
    }

    usage = read_usage(report)

    assert usage.tokens_in + usage.tokens_out == report["totalTokenCount"]
    assert (usage.cache_read, usage.reasoning) == (read, thoughts)


@given(parts)
def test_bedrocks_buckets_sum_to_its_total(parts: tuple[int, ...]) -> None:
    uncached, read, write_5m, write_1h, output, _ = parts
    report = {
        "inputTokens": uncached,
        "outputTokens": output,
        "cacheReadInputTokens": read,
        "cacheWriteInputTokens": write_5m + write_1h,
        "cacheDetails": [{"ttl": "1h", "inputTokens": write_1h}],
    }

    assert buckets(read_usage(report)) == (uncached, read, write_5m, write_1h, output, 0, 0, 0)


FIELDS = sorted({mark for shape in SHAPES for mark in shape.marks})
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(FIELDS), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(FIELDS), values))
def test_whatever_is_reported_no_bucket_is_negative(report: dict[str, Any]) -> None:
    usage = usage_or_none(report)

    assert usage is None or min(buckets(usage)) >= 0


def test_between_two_readings_of_a_running_total_is_what_came_since() -> None:
    earlier = Usage(input_uncached=5, output_visible=7)
    later = Usage(input_uncached=6, output_visible=9, cache_read=3)

    assert used_since(earlier, later) == Usage(input_uncached=1, output_visible=2, cache_read=3)
    assert used_since(later, earlier) == earlier


# --- streams ---------------------------------------------------------------------


def stream(*events: object, provider: str | None = None) -> StreamedUsage:
    streamed = StreamedUsage(provider=provider)
    for event in events:
        streamed.feed(event)
    return streamed


START = {"type": "message_start", "message": {"usage": {**ANTHROPIC, "output_tokens": 1}}}
del START["message"]["usage"]["output_tokens_details"]


def test_anthropics_deltas_overwrite_and_never_add() -> None:
    streamed = stream(
        START,
        {"type": "ping"},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}},
        {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": 20}},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {
                "output_tokens": 50,
                "input_tokens": None,
                "cache_read_input_tokens": 7,
                "output_tokens_details": {"thinking_tokens": 20},
            },
        },
        {"type": "message_stop"},
    )

    assert streamed.usage == ANTHROPIC_USAGE
    assert streamed.state == "complete"


def test_objects_and_json_are_fed_alike() -> None:
    last = {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 50, "output_tokens_details": {"thinking_tokens": 20}},
    }

    for form in (as_object, msgspec.json.encode):
        streamed = stream(form(START), form(last))
        assert streamed.usage == ANTHROPIC_USAGE
        assert streamed.state == "complete"


def test_a_message_cut_short_is_partial() -> None:
    streamed = stream(START)

    assert streamed.state == "partial"
    assert streamed.usage is not None
    assert streamed.usage.tokens_in == ANTHROPIC_USAGE.tokens_in
    assert streamed.usage.output_visible == 1


def test_openais_last_chunk_tells_the_usage() -> None:
    word = {"choices": [{"delta": {"content": "a"}, "finish_reason": None}], "usage": None}
    stop = {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": None}

    streamed = stream(word, stop)
    assert (streamed.usage, streamed.state) == (None, "partial")

    streamed.feed({"choices": [], "usage": CHAT})
    streamed.feed(b"[DONE]")
    assert (streamed.usage, streamed.state) == (INCLUSIVE_USAGE, "complete")


def test_the_last_chunk_alone_is_enough() -> None:
    streamed = stream({"choices": [], "usage": CHAT})

    assert (streamed.usage, streamed.state) == (INCLUSIVE_USAGE, "complete")


def test_usage_in_every_chunk_is_the_latest() -> None:
    first = {"choices": [{"finish_reason": None}], "usage": {**CHAT, "completion_tokens": 21}}
    streamed = stream(first)
    assert streamed.state == "partial"

    streamed.feed({"choices": [{"finish_reason": "stop"}], "usage": CHAT})
    assert (streamed.usage, streamed.state) == (INCLUSIVE_USAGE, "complete")


@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete"])
def test_responses_tell_their_usage_at_the_end(kind: str) -> None:
    streamed = stream({"type": "response.created", "response": {"usage": None}})
    assert (streamed.usage, streamed.state) == (None, "partial")

    streamed.feed({"type": kind, "response": {"usage": RESPONSES}})
    assert (streamed.usage, streamed.state) == (INCLUSIVE_USAGE, "complete")


@pytest.mark.parametrize(
    ("events", "usage"),
    [
        (
            [
                {"candidates": [{"content": {}}], "usageMetadata": {"promptTokenCount": 90}},
                {"candidates": [{"finishReason": "STOP"}], "usageMetadata": GEMINI},
            ],
            GEMINI_USAGE,
        ),
        (
            [{"done": False}, {"done": True, "prompt_eval_count": 26, "eval_count": 298}],
            Usage(input_uncached=26, output_visible=298),
        ),
        (
            [{"messageStop": {}}, {"metadata": {"usage": {"inputTokens": 3, "outputTokens": 4}}}],
            Usage(input_uncached=3, output_visible=4),
        ),
        (
            [
                {"choices": [{"finish_reason": None}], "x_groq": {"id": "r"}},
                {"choices": [{"finish_reason": "stop"}], "x_groq": {"usage": CHAT}},
            ],
            INCLUSIVE_USAGE,
        ),
    ],
    ids=["gemini", "ollama", "bedrock", "groq"],
)
def test_other_streams_end_in_their_own_way(events: list[Any], usage: Usage) -> None:
    assert stream(*events[:-1]).state == "partial"

    streamed = stream(*events)
    assert (streamed.usage, streamed.state) == (usage, "complete")


def test_what_a_stream_holds_besides_is_passed_over() -> None:
    streamed = stream(b": keep-alive", b"", "[DONE", 7, None, {"type": "error"}, [])

    assert (streamed.usage, streamed.state) == (None, "partial")
