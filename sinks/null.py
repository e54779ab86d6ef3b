"""A sink that takes everything and keeps nothing."""

from eventbus.sink import Batch, Sink

__all__ = ["NullSink"]


class NullSink(Sink):
    """Takes every batch; what a lane costs by itself."""

    async def write(self, batch: Batch) -> None:
        """Take a batch, and forget it."""
