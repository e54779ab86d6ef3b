"""Who is held to have made a change."""

from datetime import timedelta

import pytest

from eventbus.events import CommandStarted
from eventbus.scope import Scope
from eventbus.watching.attribution import AMBIGUOUS, TICK, actor_of, span_of
from eventbus.watching.change import NOBODY, Actor, Change
from eventbus.watching.phases import Phases
from tests.store.given import at
from tests.watching.acted import ROOT, SCOUT, change, finished, phases, started

GRACE = timedelta(seconds=0.5)


def who(told: Phases, made: Change, *, stamped: float | None = None) -> Actor:
    stamp = None if stamped is None else at(stamped)
    return actor_of(made, told, span_of(made, grace=GRACE, stamped=stamp))


def test_an_open_call_that_names_the_path_did_it() -> None:
    told = phases(started("t1", 1, {"path": "a.py"}, name="edit", cwd="/elsewhere"))

    assert who(told, change("a.py", 2)) == Actor(
        actor="edit", agent_name="scout", trace="t1", scope=SCOUT, cause="t1"
    )


def test_an_open_call_that_works_in_a_directory_above_did_it() -> None:
    told = phases(started("t1", 1, {"command": "make"}))

    assert who(told, change("deep/down/a.py", 2)).trace == "t1"


def test_one_that_works_beside_did_not() -> None:
    told = phases(started("t1", 1, {"command": "make"}, cwd=str(ROOT / "docs")))

    assert who(told, change("src/a.py", 2)) == NOBODY
    assert who(told, change("docs2/a.py", 2)) == NOBODY


def test_with_no_call_open_nobody_did_it() -> None:
    told = phases(started("t1", 1, {"path": "a.py"}), finished("t1", 2))

    assert who(told, change("a.py", 0.5)) == NOBODY
    assert who(told, change("a.py", 2.5)) == NOBODY


@pytest.mark.parametrize(
    ("named", "merely"),
    [
        ({"path": "src/a.py"}, {"command": "make"}),
        ({"path": "src/a.py"}, {"command": "rm -rf src"}),
        ({"command": "rm -rf src"}, {"command": "make"}),
        ({"command": "touch src/*.py"}, {"command": "make"}),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_who_names_it_more_closely_wins(named: object, merely: object, is_first: bool) -> None:
    starts = [started("right", 1, named), started("wrong", 1, merely)]
    told = phases(*(starts if is_first else reversed(starts)))

    assert who(told, change("src/a.py", 2)).trace == "right"


def test_two_that_nothing_tells_apart_are_both_named() -> None:
    told = phases(started("t1", 1), started("t2", 1.5))

    actor = who(told, change("a.py", 2))

    assert (actor.actor, actor.trace, actor.candidates) == (AMBIGUOUS, None, ("t1", "t2"))
    assert (actor.agent_name, actor.scope) == ("scout", SCOUT)


def test_what_two_candidates_do_not_share_is_not_said() -> None:
    told = phases(started("t1", 1), started("t2", 1, scope=Scope(session="s2", agent="other")))

    actor = who(told, change("a.py", 2))

    assert (actor.agent_name, actor.scope) == (AMBIGUOUS, Scope())


def test_of_a_call_inside_another_the_inner_did_it() -> None:
    told = phases(started("outer", 1), started("inner", 1.5, cause="outer"), started("x", 9))

    assert who(told, change("a.py", 2)).trace == "inner"


def test_a_command_of_a_call_leads_to_the_call() -> None:
    command = CommandStarted(id="c", argv=("make",), cwd=str(ROOT), cause="t1", ts=at(1))

    actor = who(phases(started("t1", 1), command), change("a.py", 2))

    assert (actor.actor, actor.trace, actor.candidates) == ("shell", "t1", ())


def test_one_that_reads_by_its_name_gives_way_to_one_that_may_write() -> None:
    told = phases(started("t1", 1, name="read_file"), started("t2", 1, name="bash"))

    assert who(told, change("a.py", 2)).trace == "t2"


def test_alone_it_is_held_to_have_written_all_the_same() -> None:
    told = phases(started("t1", 1, {"path": "a.py"}, name="read_file"))

    assert who(told, change("a.py", 2)).trace == "t1"


def test_a_change_made_inside_and_noticed_late_is_the_calls() -> None:
    told = phases(started("t1", 1), finished("t1", 2), started("t2", 2.1))

    assert who(told, change("a.py", 1.9, noticed=2.3)).trace == "t1"


def test_a_change_made_right_after_is_not_the_calls() -> None:
    told = phases(started("t1", 1), finished("t1", 2))

    assert who(told, change("a.py", 2.02, noticed=2.1)) == NOBODY


def test_a_file_whose_time_lags_by_the_kernels_tick_is_the_calls() -> None:
    told = phases(started("t1", 1 + TICK.total_seconds() / 2))

    assert who(told, change("a.py", 1.0)).trace == "t1"


def test_a_change_whose_time_nobody_knows_is_a_calls_within_the_grace() -> None:
    told = phases(started("t1", 1), finished("t1", 2))

    assert who(told, change("a.py", None, noticed=2.49)).trace == "t1"
    assert who(told, change("a.py", None, noticed=2.51)) == NOBODY


def test_a_time_that_is_yet_to_come_is_not_believed() -> None:
    told = phases(started("t1", 1), finished("t1", 2), started("t2", 99))

    assert who(told, change("a.py", 99, noticed=2.1)).trace == "t1"


def test_when_it_was_changed_counts_however_late_that_is_noticed() -> None:
    told = phases(started("t1", 1), finished("t1", 2), started("t2", 3))

    assert who(told, change("a.py", 1.5, noticed=60)).trace == "t1"
    assert who(told, change("a.py", 2.5, noticed=60)) == NOBODY


def test_a_deletion_is_of_when_its_directory_changed() -> None:
    told = phases(started("t1", 1), finished("t1", 2), started("t2", 2.1))
    gone = change("a.py", None, noticed=2.3, op="delete")

    assert who(told, gone, stamped=1.9).trace == "t1"
    assert who(told, gone, stamped=2.05) == NOBODY
    assert who(told, gone, stamped=2.2).trace == "t2"


def test_a_deletion_is_not_of_the_call_that_made_the_file_shortly_before() -> None:
    made, deleted = started("t1", 1, {"path": "a.py"}), started("t2", 1.3, "rm a.py")
    told = phases(made, finished("t1", 1.1), deleted, finished("t2", 1.4))
    gone = change("a.py", None, noticed=1.45, op="delete")

    for stamped in (1.35, 1.43, None):
        assert who(told, gone, stamped=stamped).trace == "t2"


def test_what_a_directory_took_with_it_is_not_of_the_call_that_had_made_it() -> None:
    made, deleted = started("t1", 1, "mkdir -p d/in"), started("t2", 1.3, "rm -rf d")
    told = phases(made, finished("t1", 1.1), deleted, finished("t2", 1.31))
    gone = change("d/in", None, noticed=1.45, op="delete")

    for stamped in (1.305, 1.44, None):
        assert who(told, gone, stamped=stamped).trace == "t2"


def test_of_two_at_once_that_name_what_is_gone_neither_is_taken_for_the_other() -> None:
    told = phases(started("t1", 1, "rm a.py"), started("t2", 1.3, "rm a.py"))
    gone = change("a.py", None, noticed=1.45, op="delete")

    assert who(told, gone, stamped=1.4).candidates == ("t1", "t2")
    assert who(told, gone).candidates == ("t1", "t2")


def test_a_directory_is_of_when_it_was_made_not_of_what_came_into_it_later() -> None:
    told = phases(started("t1", 1), finished("t1", 1.1), started("t2", 1.3))

    made = change("d", 1.35, noticed=1.4, op="mkdir")

    assert who(told, made, stamped=1.05).trace == "t1"


def test_a_deletion_is_the_calls_that_names_it_though_another_changed_the_directory() -> None:
    told = phases(started("t1", 1, "rm a.py"), finished("t1", 2), started("t2", 2.1, "touch b"))

    assert who(told, change("a.py", None, noticed=2.3, op="delete"), stamped=2.2).trace == "t1"


@pytest.mark.parametrize("fields", [{"moved_from": "a.py"}, {"op": "delete", "moved_to": "a.py"}])
def test_both_ends_of_a_move_are_who_names_one(fields: dict[str, str]) -> None:
    told = phases(started("t1", 1, {"path": "a.py"}, cwd="/elsewhere"), started("t2", 1))

    assert who(told, change("b.py", 2, **fields)).trace == "t1"


def test_without_an_agent_it_is_the_component() -> None:
    told = phases(started("t1", 1, scope=Scope(component="brain")))

    assert who(told, change("a.py", 2)).agent_name == "brain"
