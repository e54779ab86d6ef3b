"""What a model call costs, by the price that held at its moment."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec

from eventbus.clock import utc_now
from eventbus.errors import SettingsError
from eventbus.events.llm import Usage
from eventbus.pricelist import (
    Listed,
    Period,
    PriceList,
    Row,
    canonical_provider,
    shipped_prices,
)

__all__ = [
    "Cost",
    "OwnPrice",
    "Price",
    "PriceTable",
    "Rates",
    "cost_of",
    "price_of",
    "prices_in_use",
    "use_prices",
]

OWN_SOURCE = "eventbus.toml"
MOST_REMEMBERED = 4_096
"""Names of models whose row is kept at hand; a program has a few."""
MILLIONTHS = 10**6
PER_THOUSAND = 1_000
"""A rate per thousand is a thousand times finer than one per million."""
PICOS = 10**12
"""Parts of a dollar that costs are counted in: a millionth of it, per million tokens."""


class OwnPrice(msgspec.Struct, frozen=True, kw_only=True):
    """A price of your own: dollars per million tokens, per thousand searches."""

    input: int | float | None = None
    output: int | float | None = None
    cache_read: int | float | None = None
    """None: as input; so are cache writes."""
    cache_write_5m: int | float | None = None
    cache_write_1h: int | float | None = None
    """None: as a write for five minutes."""
    web_search: int | float | None = None
    since: date | None = None
    """The first day it holds, in UTC; None: always."""


class Rates(NamedTuple):
    """Picodollars for one of each; none is left open."""

    input_uncached: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output_visible: int
    reasoning: int
    web_search: int
    request: int


class Price(msgspec.Struct, frozen=True):
    """The rates of a model at a moment."""

    id: str
    """The row it is, to be kept with what was reckoned by it."""
    base: Rates
    tiers: tuple[tuple[int, Rates], ...] = ()
    """Above so much input every token costs these; the highest first."""

    def rates_for(self, usage: Usage) -> Rates:
        """The rates of a call of that size: a tier holds for all its tokens."""
        if self.tiers:
            tokens_in = usage.tokens_in
            for above, rates in self.tiers:
                if tokens_in > above:
                    return rates
        return self.base


class Cost(msgspec.Struct, frozen=True):
    """What a call cost, without rounding."""

    picos: int
    """Millionths of a millionth of a dollar."""
    price: str
    """The id of the price it was reckoned by."""

    @property
    def usd(self) -> float:
        """Dollars, as they go on the wire."""
        return self.picos / PICOS

    @property
    def usd_micros(self) -> Decimal:
        """Millionths of a dollar, exactly."""
        return Decimal(self.picos).scaleb(-6)


class PriceTable:
    """The prices that ship under your own ones; remembers the rows it found."""

    def __init__(
        self, own: Mapping[str, OwnPrice] | None = None, *, listed: PriceList | None = None
    ) -> None:
        self._own = {name.lower(): _own_period(name, said) for name, said in (own or {}).items()}
        self._listed = listed
        self._remembered: dict[tuple[str, str | None], tuple[_Dated, ...]] = {}

    def price_of(
        self, model: str, *, provider: str | None = None, at: datetime | None = None
    ) -> Price | None:
        """The price that holds at a moment, by default now; None: not known."""
        dated = self._remembered.get((model, provider))
        if dated is None:
            dated = self._remember(model, provider)
        if not dated:
            return None
        if dated[0].period.is_always_on:
            return dated[0].price
        moment = _in_utc(at)
        return next((one.price for one in dated if one.period.is_on(moment)), dated[-1].price)

    def cost_of(
        self,
        usage: Usage,
        model: str,
        *,
        provider: str | None = None,
        at: datetime | None = None,
    ) -> Cost | None:
        """What a call cost; None where its price is not known."""
        price = self.price_of(model, provider=provider, at=at)
        if price is None:
            return None
        rates = price.rates_for(usage)
        picos = (
            usage.input_uncached * rates.input_uncached
            + usage.cache_read * rates.cache_read
            + usage.cache_write_5m * rates.cache_write_5m
            + usage.cache_write_1h * rates.cache_write_1h
            + usage.output_visible * rates.output_visible
            + usage.reasoning * rates.reasoning
            + usage.web_search * rates.web_search
            + rates.request
        )
        return Cost(picos, price.id)

    def _remember(self, model: str, provider: str | None) -> "tuple[_Dated, ...]":
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered = {}
        dated = self._remembered[model, provider] = self._dated(model, provider)
        return dated

    def _dated(self, model: str, provider: str | None) -> "tuple[_Dated, ...]":
        """All prices of a model, the one to be tried first in front, the last resort behind."""
        own = self._own_of(model, provider)
        if own is not None and own.period.is_always_on:
            return (own,)
        listed = self._listed if self._listed is not None else shipped_prices()
        found = listed.find(model, provider)
        shipped = _shipped(found, listed) if found is not None else ()
        if own is None:
            return shipped
        return (own, *(shipped or (_Dated(_ALWAYS, None),)))

    def _own_of(self, model: str, provider: str | None) -> "_Dated | None":
        names = [model.lower()]
        if provider is not None:
            names = [f"{name}/{names[0]}" for name in _provider_names(provider)] + names
        for name in names:
            if name in self._own:
                return self._own[name]
        begun = [key for key in self._own if key.endswith("*") and _begins(names, key[:-1])]
        return self._own[max(begun, key=len)] if begun else None


class _Dated(NamedTuple):
    """A price and the period it holds for; None: in that period it is not known."""

    period: Period
    price: Price | None


_ALWAYS = Period(())


class _InUse:
    """The table of this process."""

    table = PriceTable()


def use_prices(own: Mapping[str, OwnPrice]) -> PriceTable:
    """Let these have the last word in this process, in place of those before."""
    _InUse.table = PriceTable(own)
    return _InUse.table


def prices_in_use() -> PriceTable:
    """The table `price_of` and `cost_of` look into."""
    return _InUse.table


def price_of(
    model: str, *, provider: str | None = None, at: datetime | None = None
) -> Price | None:
    """The price of a model at a moment, by default now; None: not known."""
    return _InUse.table.price_of(model, provider=provider, at=at)


def cost_of(
    usage: Usage,
    model: str,
    *,
    provider: str | None = None,
    at: datetime | None = None,
    prices: PriceTable | None = None,
) -> Cost | None:
    """What a call cost; None where its price is not known, which is not 0."""
    table = prices if prices is not None else _InUse.table
    return table.cost_of(usage, model, provider=provider, at=at)


# --- from rows to rates ------------------------------------------------------------


def _shipped(found: Listed, listed: PriceList) -> tuple[_Dated, ...]:
    """A row's periods: the last that holds counts, and the first where none does."""
    row = f"{listed.source}/{found.provider}/{found.model.id}"
    return tuple(
        _Dated(period, _price(row, period, listed.rates))
        for period in reversed(found.model.periods)
    )


def _price(row: str, period: Period, names: tuple[str, ...]) -> Price | None:
    if not any(rate is not None for rate in period.rates[:5]):
        return None  # sold by the hour or the page, or free to some: tokens do not tell
    tiers = tuple((above, _rates(rates, names)) for above, rates in reversed(period.tiers))
    return Price(row + _when(period), _rates(period.rates, names), tiers)


def _when(period: Period) -> str:
    if period.hours is not None:
        return "@{:%H:%M}-{:%H:%M}".format(*period.hours)
    return f"@{period.since}" if period.since is not None else ""


def _rates(row: Row, names: tuple[str, ...]) -> Rates:
    """What is not priced apart costs what it is a part of."""
    said = {name: _millionths(rate) for name, rate in zip(names, row, strict=False) if rate}
    known = {name for name, rate in zip(names, row, strict=False) if rate is not None}

    def rate(*choices: str) -> int:
        return next((said.get(name, 0) for name in choices if name in known), 0)

    return Rates(
        input_uncached=rate("input"),
        cache_read=rate("cache_read", "input"),
        cache_write_5m=rate("cache_write_5m", "input"),
        cache_write_1h=rate("cache_write_1h", "cache_write_5m", "input"),
        output_visible=rate("output"),
        reasoning=rate("reasoning", "output"),
        web_search=rate("web_search") * PER_THOUSAND,
        request=rate("request") * PER_THOUSAND,
    )


def _millionths(rate: Decimal) -> int:
    return int(rate * MILLIONTHS)


def _own_period(name: str, said: OwnPrice) -> _Dated:
    for field in ("input", "output"):
        if getattr(said, field) is None:
            raise SettingsError(
                f"prices.{name} has no {field}; it needs input and output,"
                " in dollars per million tokens, and 0 is free"
            )
    names = tuple(field for field in OwnPrice.__struct_fields__ if field != "since")
    row = tuple(_own_rate(name, field, getattr(said, field)) for field in names)
    period = Period(row, said.since)
    return _Dated(period, _price(f"{OWN_SOURCE}/{name}", period, names))


def _own_rate(name: str, field: str, said: float | None) -> Decimal | None:
    if said is None:
        return None
    rate = Decimal(str(said))
    if not 0 <= said < MILLIONTHS or rate * MILLIONTHS % 1:  # NaN fails the first
        raise SettingsError(
            f"prices.{name}.{field} cannot be {said!r}; it is dollars from 0 on,"
            " below a million and no finer than a millionth"
        )
    return rate


def _in_utc(at: datetime | None) -> datetime:
    if at is None:
        return utc_now()
    return at.astimezone(UTC) if at.tzinfo is not None else at


def _provider_names(provider: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((provider.lower(), canonical_provider(provider))))


def _begins(names: list[str], start: str) -> bool:
    return any(name.startswith(start) for name in names)
