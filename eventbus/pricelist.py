"""The prices that ship with the package, and how a model's name finds its row."""

import re
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["Listed", "Model", "Period", "PriceList", "canonical_provider", "shipped_prices"]

FILE_NAME = "prices.json"

ALIASES = {
    "amazon-bedrock": "aws",
    "aws.bedrock": "aws",
    "azure-openai": "azure",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "azure_ai": "azure",
    "bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "gemini": "google",
    "grok": "x-ai",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "moonshot": "moonshotai",
    "moonshot_ai": "moonshotai",
    "vertex": "google",
    "vertex_ai": "google",
    "x_ai": "x-ai",
    "xai": "x-ai",
    "z-ai": "zai",
}
"""What others call the providers of the list."""

GATEWAYS = ("litellm",)
"""Providers that put the real one before the model's name."""

_AT_BEDROCK = re.compile(r"([a-z]{2,6}\.)?(amazon|anthropic|cohere|deepseek|meta|mistral|openai)\.")
_NOTE = re.compile(r"\[\w+\]$")
"""How some write a model's longer context: `claude-opus-4-6[1m]`."""
_COMPACT_DATE = re.compile(r"-(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")

Row = tuple[Decimal | None, ...]
"""Rates, in the order the list gives."""


class Period(msgspec.Struct, frozen=True, array_like=True):
    """Rates, and when they hold."""

    rates: Row
    since: date | None = None
    hours: tuple[time, time] | None = None
    """The hours of each day it holds for, in UTC; the second is not in it."""
    tiers: tuple[tuple[int, Row], ...] = ()
    """More input than that, and all of a call's tokens cost these rates; ascending."""

    @property
    def is_always_on(self) -> bool:
        """Whether it needs no clock."""
        return self.since is None and self.hours is None

    def is_on(self, at: datetime) -> bool:
        """Whether it holds at a moment in UTC."""
        if self.since is not None and at.date() < self.since:
            return False
        if self.hours is None:
            return True
        start, end = self.hours
        now = at.time()
        return start <= now < end if start <= end else now >= start or now < end


class Model(msgspec.Struct, frozen=True, array_like=True):
    """One model's row."""

    id: str
    named: Any
    """How its names are matched; None: by its id."""
    periods: tuple[Period, ...]
    """The last that holds counts; where none does, the first."""

    def is_named(self, text: str) -> bool:
        """Whether a name in small letters is one of its own."""
        return text == self.id.lower() if self.named is None else _matches(self.named, text)


class Provider(msgspec.Struct, frozen=True):
    """A provider's rows, in the order they are tried."""

    id: str
    models: tuple[Model, ...]
    named: Any = None
    """How its own names are matched."""
    models_named: Any = None
    """How a model is known for one of its, where no provider is said."""
    falls_back_to: tuple[str, ...] = ()
    """Whose models it offers besides."""


class Listed(msgspec.Struct, frozen=True):
    """A row that was found, and whose it is."""

    provider: str
    model: Model


class PriceList(msgspec.Struct, frozen=True):
    """Every row that ships, by provider."""

    source: str
    rates: tuple[str, ...]
    """What the numbers of a row are, in order."""
    providers: tuple[Provider, ...]

    def find(self, model: str, provider: str | None = None) -> Listed | None:
        """The row of a model, however it is spelled; None where there is none."""
        for text in _spellings(model.lower()):
            for owner, name in self._owners(text, provider):
                found = self._in(owner, name)
                if found is not None:
                    return found
        return None

    def _owners(self, text: str, provider: str | None) -> Iterator[tuple[Provider, str]]:
        """Whose the model may be, and what it is called there."""
        if provider is not None and provider.lower() not in GATEWAYS:
            named = self._named(canonical_provider(provider))
            if named is not None:
                yield named, text
            return
        head, slash, tail = text.partition("/")
        said = self._with_id(canonical_provider(head)) if slash else None
        if said is not None:
            yield said, tail
            return
        yield from self._guesses(text)

    def _guesses(self, text: str) -> Iterator[tuple[Provider, str]]:
        for owner in self.providers:
            if owner.models_named is not None and _matches(owner.models_named, text):
                yield owner, text
                break
        cloud = self._with_id("aws")
        if cloud is not None and _AT_BEDROCK.match(text):
            yield cloud, text

    def _in(self, owner: Provider, text: str) -> Listed | None:
        others = [self._with_id(name) for name in owner.falls_back_to]
        for provider in (owner, *others):
            for model in provider.models if provider is not None else ():
                if provider is not None and model.is_named(text):
                    return Listed(provider.id, model)
        return None

    def _named(self, name: str) -> Provider | None:
        known = self._with_id(name)
        if known is not None:
            return known
        fitting = (one for one in self.providers if one.named and _matches(one.named, name))
        return next(fitting, None)

    def _with_id(self, name: str) -> Provider | None:
        return next((one for one in self.providers if one.id == name), None)


@cache
def shipped_prices() -> PriceList:
    """The list that ships, read when it is first needed."""
    content = Path(__file__).with_name(FILE_NAME).read_bytes()
    return msgspec.json.decode(content, type=PriceList)


def canonical_provider(name: str) -> str:
    """A provider by the name it has in the list; others stay as they are."""
    name = name.lower().strip()
    return ALIASES.get(name, name)


def _spellings(text: str) -> Iterator[str]:
    """A model's name as it is, and as it may be written elsewhere."""
    dated = _COMPACT_DATE.sub(r"-\1-\2-\3", text)
    yield from dict.fromkeys((text, dated, _NOTE.sub("", text), text.removeprefix("models/")))


def _matches(named: Any, text: str) -> bool:
    if isinstance(named, list):
        return any(_matches(one, text) for one in named)
    if isinstance(named, dict):
        return all(_matches(one, text) for one in named["all"])
    how, word = str(named[0]), str(named[1:])
    match how:
        case "=":
            return text == word
        case "^":
            return text.startswith(word)
        case "$":
            return text.endswith(word)
        case "*":
            return word in text
        case _:
            return re.search(word, text) is not None
