"""What can go wrong, as types."""

import pickle
from datetime import UTC, datetime
from typing import Literal

import pytest

from eventbus import CostLimitReached


@pytest.mark.parametrize(
    ("window", "message"),
    [("daily", "Daily cost limit reached."), ("monthly", "Monthly cost limit reached.")],
)
def test_whoever_is_past_a_limit_is_told_which(
    window: Literal["daily", "monthly"], message: str
) -> None:
    assert str(CostLimitReached(limit=10, spent=10.5, window=window)) == message


def test_a_refusal_comes_whole_out_of_another_process() -> None:
    refused = CostLimitReached(
        limit=10, spent=11, window="daily", scope="all", resets_at=datetime(2026, 1, 2, tzinfo=UTC)
    )

    back = pickle.loads(pickle.dumps(refused))

    assert str(back) == str(refused)
    assert vars(back) == vars(refused)
