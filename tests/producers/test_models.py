"""The event of a model's answer."""

from datetime import UTC, datetime

import pytest

from eventbus.event import decode, encode
from eventbus.events import Usage
from eventbus.prices import OwnPrice, PriceTable
from eventbus.producers.models import answered, cloud_cost_equivalent
from eventbus.usage import StreamedUsage

ANSWER = {"usage": {"input_tokens": 10_000, "cache_read_input_tokens": 100_000}}
CHEAP = PriceTable({"mine": OwnPrice(input=1, output=3)})


def test_an_answer_carries_its_usage_its_cost_and_the_price() -> None:
    event = answered(
        "claude-sonnet-4-5",
        ANSWER,
        provider="anthropic",
        latency_ms=900,
        first_token_ms=120,
        finish_reason="end_turn",
        request_id="req_1",
    )

    assert event.usage == Usage(input_uncached=10_000, cache_read=100_000)
    assert event.cost == 0.06
    assert event.price is not None
    assert event.price.endswith("/anthropic/claude-sonnet-4-5")
    assert event.state == "complete"
    assert (event.provider, event.latency_ms, event.first_token_ms) == ("anthropic", 900, 120)
    assert (event.finish_reason, event.request_id) == ("end_turn", "req_1")
    assert decode(encode(event)) == event


def test_a_stream_cut_short_is_partial() -> None:
    streamed = StreamedUsage()
    streamed.feed({"type": "message_start", "message": ANSWER})

    event = answered("mine", streamed, prices=CHEAP)

    assert event.state == "partial"
    assert event.cost == 0.11


def test_a_guess_says_that_it_is_one() -> None:
    event = answered("mine", Usage(output_visible=1_000), state="estimated", prices=CHEAP)

    assert (event.state, event.cost) == ("estimated", 0.003)


@pytest.mark.parametrize("report", [None, {}, b"{", {"input_tokens": -1}, object()])
def test_a_report_that_cannot_be_read_costs_nothing_known(report: object) -> None:
    event = answered("mine", report, prices=CHEAP)

    assert (event.usage, event.cost, event.price) == (None, None, None)


def test_a_model_without_a_price_is_not_free() -> None:
    event = answered("llama3", {"prompt_eval_count": 5, "eval_count": 6}, provider="ollama")

    assert event.usage == Usage(input_uncached=5, output_visible=6)
    assert (event.cost, event.price) == (None, None)


def test_a_call_of_the_past_has_the_price_of_its_day() -> None:
    at = datetime(2026, 3, 12, tzinfo=UTC)

    event = answered("claude-opus-4-6", Usage(input_uncached=300_000), at=at)

    assert event.ts == at
    assert event.cost == 3.0
    assert decode(encode(answered("m", at=at.replace(tzinfo=None)))).ts == at


def test_what_a_local_call_would_have_cost_in_the_cloud() -> None:
    usage = Usage(input_uncached=1_000_000, output_visible=100_000)

    saved = cloud_cost_equivalent(usage, "claude-haiku-4-5", provider="anthropic")

    assert saved is not None
    assert saved.usd == 1.5
    assert cloud_cost_equivalent(usage, "not-known") is None
