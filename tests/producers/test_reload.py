"""Hot reloads that fail, and whether the old is in force again."""

import anyio
import pytest

from eventbus import reloading
from eventbus.events import ReloadFailed
from eventbus.testing import Recorded


def the_only(record: Recorded) -> ReloadFailed:
    (event,) = record.of(ReloadFailed)
    assert isinstance(event, ReloadFailed)
    return event


def test_a_reload_that_goes_well_is_nobodys_business(record: Recorded) -> None:
    with reloading("brain", rollback=lambda: pytest.fail("rolled back")):
        pass

    assert record.events == []


def test_one_that_fails_is_rolled_back_and_told(record: Recorded) -> None:
    version = 2

    def back() -> None:
        nonlocal version
        version = 1

    with pytest.raises(SyntaxError), reloading("brain", rollback=back, context="brain.py"):
        raise SyntaxError("line 3")

    event = the_only(record)
    assert version == 1
    assert (event.type, event.message, event.component) == ("SyntaxError", "line 3", "brain")
    assert (event.rolled_back, event.context) == (True, "brain.py")
    assert event.stack is not None


@pytest.mark.parametrize("rolled_back", [True, False])
def test_code_that_rolls_back_itself_says_so(record: Recorded, rolled_back: bool) -> None:
    def take_up() -> None:
        with reloading("brain") as reload:
            reload.rolled_back = rolled_back
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        take_up()

    assert the_only(record).rolled_back is rolled_back


def test_a_rollback_that_fails_goes_on_and_is_told(record: Recorded) -> None:
    def back() -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"), reloading("brain", rollback=back):
        raise ValueError("no")

    event = the_only(record)
    assert (event.type, event.rolled_back) == ("ValueError", False)


@pytest.mark.on_both_backends
async def test_a_rollback_may_be_waited_for(record: Recorded) -> None:
    done = []

    async def back() -> None:
        await anyio.sleep(0)
        done.append(True)

    with pytest.raises(ValueError, match="no"):
        async with reloading("brain", rollback=back):
            raise ValueError("no")

    assert done == [True]
    assert the_only(record).rolled_back


def test_a_block_that_cannot_wait_says_so(record: Recorded) -> None:
    async def back() -> None: ...

    with (
        pytest.raises(TypeError, match="write `async with reloading"),
        reloading("brain", rollback=back),
    ):
        raise ValueError("no")

    assert not the_only(record).rolled_back


def test_one_that_is_cancelled_did_not_fail(record: Recorded) -> None:
    with pytest.raises(KeyboardInterrupt), reloading("brain"):
        raise KeyboardInterrupt

    assert record.of(ReloadFailed) == []
