"""For tests, ours and yours: the sink contract, a clock to turn by hand, a disk that fails.

    class TestMySink(SinkContract):
        def make(self, state: Path) -> Sink:
            return MySink(path=state / "my.log")

`docs/sinks.md` says in words what `SinkContract` tests.
"""

from eventbus.testing.clock import FakeClock
from eventbus.testing.contract import SinkContract, check_sink
from eventbus.testing.disk import Crashed, FaultyDisk
from eventbus.testing.recorded import Recorded, recorded

__all__ = [
    "Crashed",
    "FakeClock",
    "FaultyDisk",
    "Recorded",
    "SinkContract",
    "check_sink",
    "recorded",
]
