"""Print eventbus/prices.json: what models cost, from the data of genai-prices.

`python -m scripts.generate_prices > eventbus/prices.json` writes the table; a
test holds it. The data are those of https://github.com/pydantic/genai-prices,
under the MIT licence; that package is needed here and in the tests alone.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import version
from typing import Any

from genai_prices import types
from genai_prices.data import providers

PROVIDERS = (
    "anthropic",
    "openai",
    "google",
    "x-ai",
    "deepseek",
    "mistral",
    "groq",
    "cohere",
    "aws",
    "azure",
    "moonshotai",
    "cerebras",
    "perplexity",
    "minimax",
    "zai",
)
"""Whose models are carried: those people's agents call directly, and the three clouds."""

RATES = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write_5m": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "web_search": "web_searches_kcount",
    "reasoning": "output_reasoning_mtok",
    "request": "requests_kcount",
}
"""Our names for what is priced, in the order of a row, and theirs."""

ABOUT = (
    "Made by scripts/generate_prices.py from the data of genai-prices"
    " (MIT, https://github.com/pydantic/genai-prices); not edited by hand."
    " A model is [id, names, periods], a period [rates, from, hours in UTC, tiers],"
    " a tier [input tokens above which it holds, rates]."
    " Rates are dollars per million tokens, and per thousand searches and requests."
    " Names: '=' is, '^' begins with, '$' ends with, '*' contains, '~' matches;"
    " a list is any of them, 'all' is all of them, null is the id."
)


def main() -> None:
    print(table(), end="")


def table() -> str:
    """The whole table as text, a model a line."""
    known = {provider.id: provider for provider in providers}
    lines = [
        f'{{"about":{compact(ABOUT)},',
        f'"source":{compact("genai-prices:" + version("genai-prices"))},',
        f'"rates":{compact(list(RATES))},',
        '"providers":[',
        ",\n".join(provider_text(known[name]) for name in PROVIDERS),
        "]}",
    ]
    return "\n".join(lines) + "\n"


def provider_text(provider: types.Provider) -> str:
    head: dict[str, Any] = {"id": provider.id}
    if provider.provider_match is not None:
        head["named"] = names_of(provider.provider_match)
    if provider.model_match is not None:
        head["models_named"] = names_of(provider.model_match)
    fallbacks = [name for name in provider.fallback_model_providers or () if name in PROVIDERS]
    if fallbacks:
        head["falls_back_to"] = fallbacks
    models = ",\n".join(compact(row_of(model)) for model in provider.models)
    return f'{compact(head)[:-1]},"models":[\n{models}]}}'


def row_of(model: types.ModelInfo) -> list[Any]:
    named = names_of(model.match)
    return [model.id, None if named == f"={model.id}" else named, list(periods_of(model))]


def periods_of(model: types.ModelInfo) -> Iterator[list[Any]]:
    if isinstance(model.prices, types.ModelPrice):
        yield [rates_of(model.prices), *trimmed([None, None, tiers_of(model.prices)])]
        return
    for period in model.prices:
        starts, hours = when(period.constraint)
        yield [rates_of(period.prices), *trimmed([starts, hours, tiers_of(period.prices)])]


def when(constraint: object) -> tuple[str | None, list[str] | None]:
    """The day a period begins, and the hours of the day it holds for."""
    if isinstance(constraint, types.StartDateConstraint):
        return constraint.start_date.isoformat(), None
    if isinstance(constraint, types.TimeOfDateConstraint):
        return None, [in_utc(constraint.start_time), in_utc(constraint.end_time)]
    return None, None


def in_utc(moment: time) -> str:
    if moment.tzinfo is not None:
        moment = datetime.combine(date(1970, 1, 1), moment).astimezone(UTC).time()
    return moment.isoformat("seconds")


def rates_of(prices: types.ModelPrice, *, above: int = -1) -> list[Any]:
    """A row's rates; with `above`, those that hold for more input than that."""
    return trimmed([rate_of(getattr(prices, theirs), above) for theirs in RATES.values()])


def rate_of(price: Decimal | types.TieredPrices | None, above: int) -> float | int | None:
    if isinstance(price, types.TieredPrices):
        reached = [tier.price for tier in price.tiers if tier.start <= above]
        price = reached[-1] if reached else price.base
    if price is None:
        return None
    if price != price.quantize(Decimal("0.000001")):
        raise SystemExit(f"a rate of {price} dollars is finer than a millionth")
    return int(price) if price == int(price) else float(price)


def tiers_of(prices: types.ModelPrice) -> list[Any]:
    tiered = [getattr(prices, theirs) for theirs in RATES.values()]
    starts = {
        tier.start
        for price in tiered
        if isinstance(price, types.TieredPrices)
        for tier in price.tiers
    }
    return [[start, rates_of(prices, above=start)] for start in sorted(starts)]


def names_of(match: object) -> Any:
    """How a model's or provider's names are matched, as one text or several."""
    match match:
        case types.ClauseEquals(equals=text):
            return f"={text.lower()}"
        case types.ClauseStartsWith(starts_with=text):
            return f"^{text.lower()}"
        case types.ClauseEndsWith(ends_with=text):
            return f"${text.lower()}"
        case types.ClauseContains(contains=text):
            return f"*{text.lower()}"
        case types.ClauseRegex(regex=text):
            return f"~{text}"
        case types.ClauseOr(or_=clauses):
            return [names_of(clause) for clause in clauses]
        case types.ClauseAnd(and_=clauses):
            return {"all": [names_of(clause) for clause in clauses]}
    raise SystemExit(f"not known how to match by {match!r}")


def trimmed(values: Iterable[Any]) -> list[Any]:
    """Without what is empty at the end."""
    kept = list(values)
    while kept and kept[-1] in (None, []):
        kept.pop()
    return kept


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


if __name__ == "__main__":
    main()
