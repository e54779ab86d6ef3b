"""Prices that ship, prices of one's own, and what a call costs by them."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import genai_prices
import pytest
from genai_prices import types
from genai_prices.data import providers
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

import eventbus
from eventbus.errors import SettingsError
from eventbus.events import Usage
from eventbus.pricelist import (
    Model,
    Period,
    PriceList,
    Provider,
    canonical_provider,
    shipped_prices,
)
from eventbus.prices import (
    MOST_REMEMBERED,
    OwnPrice,
    PriceTable,
    cost_of,
    price_of,
    prices_in_use,
    use_prices,
)
from scripts.generate_prices import PROVIDERS, table

MILLION = 1_000_000
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

MIXES = {
    "uncached": Usage(input_uncached=12_345, output_visible=678),
    "cache read": Usage(input_uncached=11, cache_read=54_321, output_visible=77),
    "cache written": Usage(
        input_uncached=13, cache_write_5m=4_001, cache_write_1h=2_003, output_visible=5
    ),
    "reasoning": Usage(input_uncached=7, output_visible=3, reasoning=9_001),
    "searches": Usage(input_uncached=7, output_visible=3, web_search=5),
    "beyond every tier": Usage(
        input_uncached=1_900_001,
        cache_read=70_007,
        cache_write_5m=20_002,
        cache_write_1h=10_001,
        output_visible=60_013,
        reasoning=17,
        web_search=1,
    ),
}


@pytest.fixture(autouse=True)
def the_shipped_prices_again() -> Iterator[None]:
    yield
    use_prices({})


# --- against the source ------------------------------------------------------------


def test_the_table_is_the_one_the_script_makes() -> None:
    """After a new release of the data: make pages."""
    shipped = Path(eventbus.__file__).with_name("prices.json")

    assert shipped.read_text() == table()
    assert 35_000 < shipped.stat().st_size < 60_000


def theirs(usage: Usage) -> genai_prices.Usage:
    """Our buckets as their totals: cache within the input, reasoning within the output."""
    return genai_prices.Usage(
        input_tokens=usage.tokens_in,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        cache_write_1h_tokens=usage.cache_write_1h,
        output_tokens=usage.tokens_out,
        output_reasoning_tokens=usage.reasoning,
        web_searches=usage.web_search,
    )


def moments_of(model: types.ModelInfo) -> Iterator[datetime]:
    """Now, and around every moment at which one of its prices begins or ends."""
    yield NOON
    for period in model.prices if isinstance(model.prices, list) else ():
        match period.constraint:
            case types.StartDateConstraint(start_date=day):
                midnight = datetime.combine(day, time(), UTC)
                yield from (midnight - timedelta(microseconds=1), midnight)
            case types.TimeOfDateConstraint(start_time=start, end_time=end):
                for edge in (start, end):
                    moment = datetime.combine(NOON, edge, edge.tzinfo or UTC)
                    yield from (moment - timedelta(microseconds=1), moment)


def thresholds_of(prices: types.ModelPrice) -> set[int]:
    tiered = [value for value in vars(prices).values() if isinstance(value, types.TieredPrices)]
    return {tier.start for value in tiered for tier in value.tiers}


def usages_for(prices: types.ModelPrice) -> Iterator[Usage]:
    yield from MIXES.values()
    for start in thresholds_of(prices):  # the last call of a tier, and the first of the next
        yield from (Usage(input_uncached=start + more, output_visible=9) for more in (0, 1))


def has_token_price(prices: types.ModelPrice) -> bool:
    words = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")
    return any(getattr(prices, word) is not None for word in words)


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_sum_is_the_sources_own(name: str) -> None:
    provider = next(provider for provider in providers if provider.id == name)
    compared = 0

    for model in provider.models:
        listed = next(one for one in shipped_prices().providers if one.id == name)
        own = PriceTable(listed=only(listed.id, model.id))
        for at in moments_of(model):
            prices = model.get_prices(at)
            for usage in usages_for(prices):
                cost = own.cost_of(usage, model.id, provider=name, at=at)
                if not has_token_price(prices):
                    assert cost is None, model.id
                    continue
                expected = model.calc_price(theirs(usage), provider, genai_request_timestamp=at)
                assert cost is not None, model.id
                assert cost.usd_micros == expected.total_price * MILLION, (model.id, at, usage)
                compared += 1

    assert compared >= len(MIXES)


def only(provider: str, model: str) -> Any:
    """The shipped list with one row, found by its id: an id may name another row first."""
    whole = shipped_prices()
    owner = next(one for one in whole.providers if one.id == provider)
    row = next(one for one in owner.models if one.id == model)
    renamed = type(row)(row.id, None, row.periods)
    return type(whole)(whole.source, whole.rates, (type(owner)(provider, (renamed,)),))


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_name_finds_the_row_the_source_finds(name: str) -> None:
    snapshot = get_snapshot()
    provider = snapshot.find_provider(None, name, None)
    names = [model.id for model in provider.models]
    for suffix in ("-20251211", "@20250929", "-latest", "-preview", ":free", "-x"):
        names += [f"{model.id}{suffix}" for model in provider.models]

    for model in names:
        expected = provider.find_model(model, all_providers=snapshot.providers)
        found = shipped_prices().find(model, name)
        assert (found and found.model.id) == (expected and expected.id), model


def test_a_name_alone_finds_its_provider_as_the_source_does() -> None:
    snapshot = get_snapshot()
    for model in ("claude-sonnet-4-5-20250929", "gpt-5-mini", "gemini-2.5-pro", "grok-4"):
        _, expected = snapshot.find_provider_model(model, None, None, None)
        found = shipped_prices().find(model)
        assert found is not None
        assert found.model.id == expected.id


# --- finding -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "provider", "row"),
    [
        ("claude-sonnet-4-5", None, "anthropic/claude-sonnet-4-5"),
        ("Claude-Sonnet-4-5", "Anthropic", "anthropic/claude-sonnet-4-5"),
        ("claude-sonnet-4-5[1m]", "anthropic", "anthropic/claude-sonnet-4-5"),
        ("anthropic/claude-haiku-4-5", None, "anthropic/claude-haiku-4-5"),
        ("anthropic/claude-haiku-4-5", "litellm", "anthropic/claude-haiku-4-5"),
        ("claude-haiku-4-5@20251001", "gcp.vertex_ai", "google/claude-haiku-4-5"),
        ("gpt-4o", "azure.ai.openai", "openai/gpt-4o"),
        ("gpt-5.2-20251211", None, "openai/gpt-5.2"),
        ("models/gemini-2.5-pro", None, "google/gemini-2.5-pro"),
        ("x_ai/grok-4", None, "x-ai/grok-4-0709"),
        (
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            None,
            "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
    ],
)
def test_a_model_is_found_however_it_is_called(model: str, provider: str | None, row: str) -> None:
    price = price_of(model, provider=provider)

    assert price is not None
    assert price.id.partition("@")[0].partition("/")[2] == row


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("llama3", None),
        ("llama3", "ollama"),
        ("claude-sonnet-4-5", "ollama"),
        ("openrouter/anthropic/claude-sonnet-4.5", None),
        ("gpt-of-tomorrow", "openai"),
        ("", None),
    ],
)
def test_what_is_not_known_has_no_price_rather_than_none_to_pay(
    model: str, provider: str | None
) -> None:
    assert price_of(model, provider=provider) is None
    assert cost_of(Usage(input_uncached=1), model, provider=provider) is None


def test_aliases_lead_to_providers_that_are_there() -> None:
    from eventbus.pricelist import ALIASES

    assert set(ALIASES.values()) <= set(PROVIDERS)
    assert canonical_provider(" AWS.Bedrock ") == "aws"
    assert canonical_provider("ollama") == "ollama"


# --- sums worked out by hand -------------------------------------------------------


def test_a_call_costs_what_each_bucket_costs() -> None:
    usage = Usage(
        input_uncached=10_000, cache_read=100_000, cache_write_5m=1_000, output_visible=2_000
    )

    cost = cost_of(usage, "claude-sonnet-4-5", at=NOON)

    # 10k at $3, 100k at $0.30, 1k at $3.75 and 2k at $15 a million
    assert cost is not None
    assert cost.usd == 0.09375
    assert cost.usd_micros == Decimal(93_750)


def test_a_tier_holds_for_every_token_of_the_call() -> None:
    at, above = (Usage(input_uncached=200_000), Usage(input_uncached=300_000))

    costs = [cost_of(usage, "claude-sonnet-4-5", at=NOON) for usage in (at, above)]

    assert [cost and cost.usd for cost in costs] == [0.6, 1.8]


def test_a_price_holds_from_its_day_on_and_is_named_by_it() -> None:
    usage = Usage(input_uncached=300_000)
    before = datetime(2026, 3, 12, 23, 59, 59, tzinfo=UTC)
    from_then = datetime(2026, 3, 13, tzinfo=UTC)
    source = shipped_prices().source

    early = cost_of(usage, "claude-opus-4-6", at=before)
    late = cost_of(usage, "claude-opus-4-6", at=from_then)

    assert (early and early.usd, late and late.usd) == (3.0, 1.5)
    assert early is not None
    assert early.price == f"{source}/anthropic/claude-opus-4-6"
    assert late is not None
    assert late.price == f"{source}/anthropic/claude-opus-4-6@2026-03-13"


def test_a_day_is_a_day_in_utc_wherever_the_moment_was_written() -> None:
    east = timezone(timedelta(hours=14))
    usage = Usage(input_uncached=300_000)

    early = cost_of(usage, "claude-opus-4-6", at=datetime(2026, 3, 13, 10, tzinfo=east))
    naive = cost_of(usage, "claude-opus-4-6", at=datetime(2026, 3, 13))  # noqa: DTZ001

    assert (early and early.usd, naive and naive.usd) == (3.0, 1.5)


def listed(*period: Any) -> PriceTable:
    """A list of one model, `m`, with one price beside the first."""
    plain = Period((Decimal(1), Decimal(1)))
    model = Model("m", None, (plain, Period((Decimal(2), Decimal(2)), *period)))
    return PriceTable(listed=PriceList("list", ("input", "output"), (Provider("p", (model,)),)))


def test_the_highest_tier_that_is_passed_holds() -> None:
    tiers = ((10, (Decimal(3), Decimal(3))), (20, (Decimal(4), Decimal(4))))
    table = listed(None, None, tiers)

    costs = [
        table.cost_of(Usage(input_uncached=tokens), "m", provider="p") for tokens in (10, 20, 21)
    ]

    assert [cost and cost.usd_micros for cost in costs] == [10 * 2, 20 * 3, 21 * 4]


@pytest.mark.parametrize(("hour", "rate"), [(22, 1), (23, 2), (3, 2), (4, 1)])
def test_hours_of_a_price_may_go_past_midnight(hour: int, rate: int) -> None:
    table = listed(None, (time(23), time(4)))

    cost = table.cost_of(
        Usage(input_uncached=1), "m", provider="p", at=datetime(2026, 11, 20, hour, tzinfo=UTC)
    )

    assert cost is not None
    assert cost.usd_micros == rate
    assert cost.price == ("list/p/m@23:00-04:00" if rate == 2 else "list/p/m")


def test_a_thousand_small_costs_sum_without_drift() -> None:
    cost = cost_of(Usage(input_uncached=1), "claude-haiku-4-5", at=NOON)

    assert cost is not None
    assert sum(cost.picos for _ in range(1_000)) == 1_000 * MILLION
    assert sum((cost.usd_micros for _ in range(1_000)), Decimal()) == 1_000


usages = st.builds(Usage, **{name: st.integers(0, 10**6) for name in Usage.__struct_fields__})


@given(usages, usages)
def test_two_calls_cost_what_their_sum_does_where_there_are_no_tiers(
    one: Usage, other: Usage
) -> None:
    both = Usage(
        **{name: getattr(one, name) + getattr(other, name) for name in Usage.__struct_fields__}
    )

    costs = [cost_of(usage, "claude-haiku-4-5", at=NOON) for usage in (one, other, both)]

    first, second, whole = (cost.picos if cost else -1 for cost in costs)
    assert min(first, second) >= 0
    assert first + second == whole


# --- prices of one's own -----------------------------------------------------------


def test_an_own_price_has_the_last_word() -> None:
    table = PriceTable({"gpt-5": OwnPrice(input=1, output=2.5)})

    cost = table.cost_of(Usage(input_uncached=10, cache_read=10, output_visible=10), "gpt-5")

    assert cost is not None
    assert cost.usd_micros == 45
    assert cost.price == "eventbus.toml/gpt-5"


def test_a_local_model_is_free_once_that_is_said() -> None:
    table = PriceTable({"ollama/*": OwnPrice(input=0, output=0)})

    cost = table.cost_of(Usage(input_uncached=10), "llama3:8b", provider="Ollama")
    named = table.cost_of(Usage(input_uncached=10), "ollama/llama3:8b")

    assert cost is not None
    assert named is not None
    assert (cost.usd, named.usd) == (0.0, 0.0)
    assert cost.price == "eventbus.toml/ollama/*"
    assert table.cost_of(Usage(input_uncached=10), "llama3:8b") is None


def test_the_nearest_own_price_counts() -> None:
    table = PriceTable(
        {
            "*": OwnPrice(input=1, output=1),
            "local/*": OwnPrice(input=2, output=2),
            "local/big-*": OwnPrice(input=3, output=3),
            "big-one": OwnPrice(input=4, output=4),
            "local/big-one": OwnPrice(input=5, output=5),
        }
    )

    def rate(model: str, provider: str | None = None) -> int:
        price = table.price_of(model, provider=provider)
        assert price is not None
        return price.base.input_uncached // MILLION

    assert rate("big-one", "local") == 5
    assert rate("big-one", "elsewhere") == 4
    assert rate("big-two", "local") == 3
    assert rate("small", "local") == 2
    assert rate("small") == 1


def test_an_own_price_begins_on_its_day() -> None:
    day = datetime(2026, 11, 20, tzinfo=UTC)
    table = PriceTable(
        {
            "gpt-5": OwnPrice(input=1, output=2, since=day.date()),
            "mine": OwnPrice(input=1, output=2, since=day.date()),
        }
    )
    before = day - timedelta(microseconds=1)

    later, earlier = (table.price_of("gpt-5", at=at) for at in (day, before))
    assert later is not None
    assert later.id == "eventbus.toml/gpt-5@2026-11-20"
    assert earlier is not None
    assert earlier.id == f"{shipped_prices().source}/openai/gpt-5"
    assert table.price_of("mine", at=day) is not None
    assert table.price_of("mine", at=before) is None


@pytest.mark.parametrize(
    ("price", "sentence"),
    [
        (OwnPrice(input=1), "prices.m has no output; it needs input and output"),
        (OwnPrice(output=1), "prices.m has no input"),
        (OwnPrice(input=-1, output=1), "prices.m.input cannot be -1; it is dollars from 0 on"),
        (OwnPrice(input=1, output=float("nan")), "prices.m.output cannot be nan"),
        (OwnPrice(input=1, output=float("inf")), "prices.m.output cannot be inf"),
        (OwnPrice(input=1, output=1, cache_read=1e-7), "prices.m.cache_read cannot be 1e-07"),
    ],
)
def test_an_own_price_that_cannot_be_is_named(price: OwnPrice, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        PriceTable({"m": price})


def test_a_process_uses_the_prices_it_was_told() -> None:
    use_prices({"mine": OwnPrice(input=1, output=1)})
    assert price_of("mine") is not None

    use_prices({})
    assert price_of("mine") is None


def test_a_cost_may_be_reckoned_by_another_table() -> None:
    table = PriceTable({"mine": OwnPrice(input=1, output=1)})

    cost = cost_of(Usage(input_uncached=1), "mine", prices=table)

    assert cost is not None
    assert cost.picos == MILLION
    assert prices_in_use() is not table


def test_names_without_end_do_not_fill_the_memory() -> None:
    table = PriceTable({"known": OwnPrice(input=1, output=1)}, listed=only("openai", "gpt-5"))

    for number in range(MOST_REMEMBERED + 10):
        table.price_of(f"made-up-{number}")

    assert len(table._remembered) <= MOST_REMEMBERED
    assert table.price_of("known") is not None


def test_the_list_is_read_when_a_price_is_first_asked_for() -> None:
    program = (
        "import sys, eventbus; assert 'eventbus.prices' not in sys.modules;"
        "from eventbus.pricelist import shipped_prices; import eventbus.prices as prices;"
        "assert shipped_prices.cache_info().currsize == 0;"
        "assert prices.price_of('gpt-5'); assert shipped_prices.cache_info().currsize == 1"
    )

    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
