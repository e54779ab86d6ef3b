"""A text leads to the keys it is about, quickly the second time, whatever the text or the cache."""

import gc
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventbus import EventBus, RelevanceIndex, SettingsError
from eventbus.event import Event
from eventbus.events import RelevanceCacheHit, RelevanceScored
from eventbus.store import document_keys, ranking, relevance, score_cache
from eventbus.store.document_keys import key_texts, words_of
from eventbus.store.embedding import small_model
from eventbus.store.ranking import Words
from eventbus.testing import FaultyDisk
from tests.store.labelled import DOCUMENT, TEXTS

TEXT = "llm:error agent cut off: max tokens reached"


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "agent.json"
    path.write_text(json.dumps(DOCUMENT))
    return path


@pytest.fixture(scope="module")
def index() -> RelevanceIndex:
    return RelevanceIndex(DOCUMENT)


class Told(list[Event]):
    """What an index emits."""

    def classes(self) -> list[type[Event]]:
        return [type(event) for event in self]


def reopened(document: Path) -> tuple[RelevanceIndex, Told]:
    told = Told()
    return RelevanceIndex.from_json_file(document, emit=told.append), told


def firsts(index: RelevanceIndex) -> int:
    """For how many of the labelled texts the key a person named comes first."""
    return sum(next(iter(index.score_text(text)), None) == key for text, key in TEXTS.items())


def test_the_key_a_person_would_name_comes_first(
    index: RelevanceIndex, record_property: Callable[[str, object], None]
) -> None:
    """The one that words alone miss is about `spending`, and the key says `cost`."""
    first = firsts(index)

    record_property("figure", f"{first} of {len(TEXTS)} texts: the named key first")
    assert first >= 14


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("maxTokens max_tokens max-tokens", ["max", "Tokens", "max", "tokens", "max", "tokens"]),
        ("HTTPServer parseJSON", ["HTTP", "Server", "parse", "JSON"]),
        ("s3Bucket gpt4", ["s3", "Bucket", "gpt4"]),
        ("максТокенов", ["макс", "Токенов"]),
        ("日志 ログ log", ["日", "志", "ロ", "グ", "log"]),
        ("\x00 \ud800 👩 __ ''\"", []),
    ],
)
def test_words_are_taken_apart_however_they_are_written(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize("written", ["max tokens", "maxTokens", "MAX_TOKENS", "max-token"])
@pytest.mark.parametrize("key", ["maxTokens", "max_tokens", "max-tokens", "MaxToken"])
def test_a_key_is_found_however_it_is_written(key: str, written: str) -> None:
    index = RelevanceIndex({key: 1, "other": 2})

    assert list(index.score_text(f"the {written} were reached")) == [key]


@pytest.mark.parametrize(
    ("key", "text"),
    [("größe", "GRÖSSE"), ("straße", "strasse"), ("café", "cafe"), ("日志", "写日志失败")],
)
def test_words_of_other_scripts_are_found(key: str, text: str) -> None:
    assert list(RelevanceIndex({key: 1, "other": 2}).score_text(text)) == [key]


def test_a_path_leads_through_objects_and_past_the_items_of_lists() -> None:
    document = {"a": {"b": [{"c": "x"}, {"c": "y", "d": None}, [True, 1.5]]}, "e": {}, "f": []}

    assert key_texts(document) == {
        "a.b.c": "a b c x y",
        "a.b.d": "a b d",
        "a.b": "a b true 1 5",
        "e": "e",
        "f": "f",
    }


def test_a_word_under_every_key_still_counts() -> None:
    scores = RelevanceIndex({"agent.name": 1, "agent.home": 2}).score_text("agent")

    assert list(scores) == ["agent.name", "agent.home"]


def test_a_document_of_one_key_is_scored() -> None:
    assert RelevanceIndex({"budget": 10}).score_text("budget")["budget"] > 0.05


def test_equals_come_in_the_documents_order() -> None:
    keys = [f"k{number}.word" for number in (3, 1, 2)]

    assert list(RelevanceIndex(dict.fromkeys(keys, 0)).score_text("word")) == keys


@pytest.mark.parametrize("text", ["", " ", "\x00", "\ud800", '" OR *', "NEAR(a b)", "a" * 10**6])
def test_text_without_a_known_word_is_about_nothing(index: RelevanceIndex, text: str) -> None:
    assert index.score_text(text) == {}


def test_an_empty_document_has_no_keys() -> None:
    index = RelevanceIndex({}, embed=by_letters)

    assert (index.keys, index.score_text("anything")) == ((), {})


def test_only_the_beginning_of_a_huge_text_counts(index: RelevanceIndex) -> None:
    beginning = "telegram ".ljust(relevance.TEXT_MOST)

    assert index.score_text(beginning + "shell") == index.score_text(beginning)


def test_only_so_many_words_of_a_text_count(index: RelevanceIndex) -> None:
    words = " ".join(f"word{number}" for number in range(ranking.WORDS_MOST - 1))

    assert index.score_text(f"telegram {words} shell") == index.score_text("telegram")


@given(st.text(st.characters()) | st.lists(st.sampled_from(sorted(TEXTS))).map(" ".join))
def test_any_text_has_scores_from_0_to_1_highest_first(index: RelevanceIndex, text: str) -> None:
    scores = index.score_text(text)

    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    assert all(0 < score <= 1 for score in scores.values())
    assert set(scores) <= set(index.keys)
    assert list(RelevanceIndex(DOCUMENT).score_text(text).items()) == list(scores.items())


NAMES = st.text(st.characters(), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, JSON, max_size=5), st.text(st.characters()))
def test_any_document_has_an_index(document: dict[str, Any], text: str) -> None:
    index = RelevanceIndex(document, embed=by_letters)
    asked = f"{text} {' '.join(index.keys)}"

    assert all(0 < score <= 1 for score in index.score_text(asked).values())
    assert index.score_text(asked) == RelevanceIndex(document, embed=by_letters).score_text(asked)


def test_a_document_may_be_nested_deeply() -> None:
    document: Any = "pool"
    for _ in range(20_000):
        document = [document]

    assert list(RelevanceIndex({"size": document}).score_text("pool")) == ["size"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no JSON document"),
        (b'{"a": 1', "no JSON document"),
        (b'{"a": "\xff"}', "no JSON document"),
        (b"[" * 100_000, "no JSON document"),
        (b"[1]", "a document of list has no keys; give an object"),
        (b"null", "a document of NoneType has no keys; give an object"),
        (b" " * (relevance.DOCUMENT_MOST + 1), "at most 16,777,216 bytes are allowed"),
    ],
    ids=["empty", "torn", "no text", "deep", "list", "null", "large"],
)
def test_what_is_no_document_is_refused(document: Path, content: bytes, sentence: str) -> None:
    document.write_bytes(content)

    with pytest.raises(SettingsError, match=sentence):
        RelevanceIndex.from_json_file(document)


def test_a_document_with_too_many_keys_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_keys, "KEYS_MOST", 2)

    with pytest.raises(SettingsError, match="too many keys; at most 2 are allowed"):
        RelevanceIndex({"a": 1, "b": {"c": 2, "d": 3}})


def test_only_the_beginning_of_a_huge_value_counts() -> None:
    values = ["early", "x" * document_keys.VALUE_MOST, "late"]

    assert key_texts({"key": values})["key"].split()[:2] == ["key", "early"]
    assert "late" not in key_texts({"key": values})["key"]


def test_a_document_may_begin_with_a_byte_order_mark(document: Path) -> None:
    document.write_bytes(b"\xef\xbb\xbf" + b'{"pool": 8}')

    assert RelevanceIndex.from_json_file(document).keys == ("pool",)


def test_without_fts5_a_sentence_says_so() -> None:
    with pytest.raises(SettingsError, match=r"is built without FTS5 \(no such module: fts0\)"):
        Words(["a text"], module="fts0")


# What is told


def test_the_first_time_is_a_score_and_the_second_a_hit() -> None:
    told = Told()
    index = RelevanceIndex(DOCUMENT, emit=told.append)

    assert index.score_text(TEXT) == index.score_text(TEXT)
    scored, hit = told

    assert isinstance(scored, RelevanceScored)
    assert isinstance(hit, RelevanceCacheHit)
    for event in (scored, hit):
        assert event.keys == len(index.keys)
        assert event.top == tuple(index.score_text(TEXT))[: relevance.TOP]
        assert event.duration_ms is not None
        assert event.duration_ms >= 0


async def test_a_bus_takes_what_is_told() -> None:
    async with EventBus(None) as bus, bus.subscribe("relevance:*") as events:
        RelevanceIndex(DOCUMENT, emit=bus.emit_nowait).score_text(TEXT)

        event = await anext(events)

    assert isinstance(event, RelevanceScored)


def test_what_is_done_to_a_result_does_not_reach_the_next(index: RelevanceIndex) -> None:
    index.score_text(TEXT).clear()

    assert index.score_text(TEXT)


def test_threads_share_an_index() -> None:
    index = RelevanceIndex(DOCUMENT, embed=by_letters)
    fresh = RelevanceIndex(DOCUMENT, embed=by_letters)
    expected = {text: fresh.score_text(text) for text in TEXTS}
    wrong: list[str] = []

    def score() -> None:
        wrong.extend(text for text in TEXTS if index.score_text(text) != expected[text])

    threads = [threading.Thread(target=score) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


# The cache


def test_scores_are_found_again_by_the_next_index(document: Path) -> None:
    index, _ = reopened(document)
    fresh = {text: list(index.score_text(text).items()) for text in TEXTS}
    index.save()

    again, told = reopened(document)

    assert {text: list(again.score_text(text).items()) for text in TEXTS} == fresh
    assert set(told.classes()) == {RelevanceCacheHit}


def test_the_cache_holds_no_text(document: Path) -> None:
    index, _ = reopened(document)
    index.score_text("the password of pool is hunter2")
    index.save()

    content = document.with_name("log_index.json").read_text()

    assert "database.pool_size" in content
    assert "hunter2" not in content


def test_the_cache_may_lie_elsewhere(document: Path, tmp_path: Path) -> None:
    logs = tmp_path / ".state" / "logs"
    index = RelevanceIndex.from_json_file(document, cache=logs)
    index.score_text(TEXT)
    index.save()

    assert (logs / "log_index.json").exists()
    assert not document.with_name("log_index.json").exists()


@pytest.mark.parametrize(
    ("change", "classes"),
    [
        ({**DOCUMENT, "max": "tokens"}, [RelevanceScored]),
        ({**DOCUMENT, "heartbeat": {}}, [RelevanceScored]),
        (DOCUMENT, [RelevanceCacheHit]),
    ],
    ids=["a key more", "a value less", "only other spaces"],
)
def test_a_changed_document_is_scored_anew(
    document: Path, change: dict[str, Any], classes: list[type[Event]]
) -> None:
    index, _ = reopened(document)
    index.score_text(TEXT)
    index.save()

    document.write_text(json.dumps(change, indent=4))
    again, told = reopened(document)

    assert again.score_text(TEXT) == RelevanceIndex(change).score_text(TEXT)
    assert told.classes() == classes


@pytest.mark.parametrize(
    ("name", "value"), [("FORM", relevance.FORM + 1), ("sqlite3.sqlite_version", "4.0.0")]
)
def test_another_form_or_another_sqlite_is_scored_anew(
    document: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    index, _ = reopened(document)
    index.score_text(TEXT)
    index.save()

    monkeypatch.setattr(f"eventbus.store.relevance.{name}", value)
    again, told = reopened(document)
    again.score_text(TEXT)

    assert told.classes() == [RelevanceScored]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A document, and its cache as it was written."""
    document = tmp_path_factory.mktemp("saved") / "agent.json"
    document.write_text(json.dumps(DOCUMENT))
    index, _ = reopened(document)
    for text in TEXTS:
        index.score_text(text)
    index.save()
    return document, document.with_name("log_index.json").read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_a_damaged_cache_never_changes_a_score(
    saved: tuple[Path, bytes], index: RelevanceIndex, data: st.DataObject
) -> None:
    document, whole = saved
    at = data.draw(st.integers(0, len(whole) - 1))
    torn, flipped = whole[:at], bytearray(whole)
    flipped[at] ^= data.draw(st.integers(1, 255))

    for content in (torn, bytes(flipped)):
        document.with_name("log_index.json").write_bytes(content)
        damaged, _ = reopened(document)
        for text in TEXTS:
            assert damaged.score_text(text) == index.score_text(text)


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"of": 1, "sum": 2, "texts": 3}',
        b"\x00" * 9,
    ],
    ids=["list", "null", "deep", "foreign", "nulls"],
)
def test_a_foreign_cache_is_replaced(document: Path, content: bytes) -> None:
    cache = document.with_name("log_index.json")
    cache.write_bytes(content)

    index, _ = reopened(document)
    assert index.score_text(TEXT)
    index.save()
    again, told = reopened(document)
    again.score_text(TEXT)

    assert index.cache_trouble is None
    assert cache.stat().st_size < 10_000
    assert told.classes() == [RelevanceCacheHit]


def test_a_huge_cache_is_not_read(saved: tuple[Path, bytes]) -> None:
    document, whole = saved
    document.with_name("log_index.json").write_bytes(whole.ljust(score_cache.FILE_MOST + 1))

    again, told = reopened(document)
    again.score_text(next(iter(TEXTS)))

    assert told.classes() == [RelevanceScored]


def make_directory(cache: Path) -> None:
    (cache / "inside").mkdir(parents=True)


def make_pipe(cache: Path) -> None:
    os.mkfifo(cache)


def make_link(cache: Path) -> None:
    cache.symlink_to("nowhere.json")


@pytest.mark.parametrize("make", [make_directory, make_pipe, make_link])
def test_what_is_no_file_is_no_cache(document: Path, make: Callable[[Path], None]) -> None:
    make(document.with_name("log_index.json"))

    index, _ = reopened(document)
    scores = index.score_text(TEXT)
    index.save()

    assert scores == RelevanceIndex(DOCUMENT).score_text(TEXT)


@pytest.mark.parametrize("operation", ["open", "write", "rename"])
def test_a_cache_that_cannot_be_written_is_kept_in_memory(document: Path, operation: str) -> None:
    disk, told = FaultyDisk(), Told()
    index = RelevanceIndex.from_json_file(document, emit=told.append, disk=disk)
    disk.fail(operation, for_good=True)

    for _ in range(2):
        index.score_text(TEXT)
        index.save()

    assert isinstance(index.cache_trouble, OSError)
    assert told.classes() == [RelevanceScored, RelevanceCacheHit]
    disk.heal()
    index.save()
    assert index.cache_trouble is None


def test_nothing_new_is_not_written(document: Path) -> None:
    disk = FaultyDisk()
    index = RelevanceIndex.from_json_file(document, disk=disk)
    index.score_text(TEXT)
    for _ in range(2):
        index.save()

    assert disk.calls.count("rename") == 1


def test_a_cache_without_a_directory_is_told(document: Path) -> None:
    index = RelevanceIndex.from_json_file(document, cache=document / "not a directory")
    index.score_text(TEXT)
    index.save()

    assert isinstance(index.cache_trouble, NotADirectoryError)


def test_the_texts_not_used_for_longest_are_forgotten(
    document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_cache, "TEXTS_MOST", 3)
    index, told = reopened(document)
    for text in ("pool 1", "pool 2", "pool 3", "pool 1", "pool 4"):
        index.score_text(text)
    index.save()

    again, told = reopened(document)
    for text in ("pool 1", "pool 3", "pool 4", "pool 2"):
        again.score_text(text)

    assert told.classes() == [*[RelevanceCacheHit] * 3, RelevanceScored]


def test_all_scores_together_are_bounded(document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_cache, "SCORES_MOST", 10)
    index, _ = reopened(document)
    for text in TEXTS:
        index.score_text(text)
    index.save()

    kept = json.loads(document.with_name("log_index.json").read_text())["texts"]

    assert 0 < sum(map(len, kept.values())) <= 10


def test_the_file_is_written_by_and_by(document: Path) -> None:
    index, _ = reopened(document)
    for number in range(score_cache.SAVE_EVERY):
        assert not document.with_name("log_index.json").exists()
        index.score_text(f"pool {number}")

    assert document.with_name("log_index.json").exists()


def test_what_nobody_holds_any_more_is_written(document: Path) -> None:
    index, _ = reopened(document)
    index.score_text(TEXT)
    del index
    gc.collect()

    again, told = reopened(document)
    again.score_text(TEXT)

    assert told.classes() == [RelevanceCacheHit]


SCORE = """
import os, sys
from eventbus import RelevanceIndex
index = RelevanceIndex.from_json_file(sys.argv[1])
index.score_text(sys.argv[2])
"""
FORK = """
if (child := os.fork()) == 0:
    sys.exit()
os.waitpid(child, 0)
assert not os.path.exists(sys.argv[3]), "the child has written"
"""


@pytest.mark.parametrize("program", [SCORE, SCORE + FORK], ids=["alone", "with a child"])
def test_a_process_leaves_its_scores_to_the_next(document: Path, program: str) -> None:
    """A forked child writes nothing: it could wait for a lock for ever."""
    words = [document, TEXT, document.with_name("log_index.json")]
    subprocess.run([sys.executable, "-W", "error", "-c", program, *words], check=True)

    again, told = reopened(document)
    again.score_text(TEXT)

    assert told.classes() == [RelevanceCacheHit]


def test_two_that_write_one_cache_keep_both_ones_scores(document: Path) -> None:
    one, _ = reopened(document)
    other, _ = reopened(document)
    one.score_text("pool")
    other.score_text("shell")
    one.save()
    other.save()

    again, told = reopened(document)
    again.score_text("pool")
    again.score_text("shell")

    assert told.classes() == [RelevanceCacheHit, RelevanceCacheHit]


# Meaning


def by_letters(texts: list[str]) -> list[list[float]]:
    """A model that takes texts of the same letters for the same."""
    return [[float(text.lower().count(letter)) for letter in "abcdefghij"] for text in texts]


def constantly(*vectors: list[float]) -> Callable[[list[str]], list[list[float]]]:
    return lambda texts: list(vectors)[: max(1, len(texts))]


def test_a_key_of_the_same_meaning_is_found_without_a_common_word() -> None:
    index = RelevanceIndex({"abc": "", "fgh": ""}, embed=by_letters)

    assert index.score_text("bca") == {"abc": 0.5}


def test_meaning_and_words_count_half_each() -> None:
    words = RelevanceIndex({"abc": "", "fgh": ""}).score_text("abc")["abc"]

    mixed = RelevanceIndex({"abc": "", "fgh": ""}, embed=by_letters).score_text("abc")["abc"]

    assert mixed == pytest.approx((words + 1) / 2, abs=1e-5)


def test_a_text_of_the_opposite_meaning_is_not_about_the_key() -> None:
    signs = {"up": [1.0], "down": [-1.0]}

    index = RelevanceIndex({"up": ""}, embed=lambda texts: [signs[text] for text in texts])

    assert index.score_text("down") == {}


def test_meaning_never_lessens_what_words_say() -> None:
    words = RelevanceIndex({"up": "is"}).score_text("up")["up"]
    signs = {"up is": [1.0], "up": [-1.0]}

    index = RelevanceIndex({"up": "is"}, embed=lambda texts: [signs[text] for text in texts])

    assert index.score_text("up")["up"] == pytest.approx(words / 2, abs=1e-5)


def test_a_model_is_given_the_beginning_of_a_huge_text() -> None:
    asked: list[str] = []

    def embed(texts: list[str]) -> list[list[float]]:
        asked.extend(texts)
        return by_letters(texts)

    RelevanceIndex({"a": "b " * 8_000}, embed=embed).score_text("c " * 8_000)

    assert [len(text) for text in asked] == [ranking.EMBED_MOST, ranking.EMBED_MOST]


def test_a_hit_asks_the_model_nothing() -> None:
    asked: list[list[str]] = []

    def embed(texts: list[str]) -> list[list[float]]:
        asked.append(texts)
        return by_letters(texts)

    index = RelevanceIndex({"maxTokens": 4096}, embed=embed)
    index.score_text("max_tokens")
    index.score_text("max_tokens")

    assert asked == [["max Tokens 4096"], ["max tokens"]]


def test_another_model_is_scored_anew(document: Path) -> None:
    for embed in (None, by_letters, lambda texts: [[1.0, 2.0] for _ in texts]):
        told = Told()
        index = RelevanceIndex.from_json_file(document, embed=embed, emit=told.append)
        index.score_text(TEXT)
        index.save()

        assert told.classes() == [RelevanceScored]


@pytest.mark.parametrize(
    ("vectors", "sentence"),
    [
        ([[1.0]], "embed gave 1 vectors for 2 texts"),
        ([[1.0], [1.0, 2.0]], "embed gave vectors of 1 and of 2 numbers"),
        ([[1.0], [float("nan")]], "a number that is not finite"),
        ([[1.0], [float("inf")]], "a number that is not finite"),
    ],
)
def test_what_is_no_model_is_refused(vectors: list[list[float]], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        RelevanceIndex({"a": 1, "b": 2}, embed=constantly(*vectors))


def test_the_small_model_knows_what_words_alone_do_not() -> None:
    pytest.importorskip("wordllama", reason="the extra `embed` is not installed")
    index = RelevanceIndex(DOCUMENT, embed=small_model())

    assert firsts(index) == len(TEXTS)


def test_without_the_extra_a_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "wordllama", None)

    with pytest.raises(SettingsError, match=r"install eventbus-recorder\[embed\]"):
        small_model()
