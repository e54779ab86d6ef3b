"""How the journal is kept, as settings say it."""

import msgspec

__all__ = ["JournalSettings", "SealSettings"]


class JournalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the journal is kept."""

    segment_bytes: int = 64 * 1024 * 1024
    """A segment is closed at this size, or when the UTC day ends."""
    keep_days: float = 30
    """Segments older than this are pruned once every lane has passed them; 0: never."""
    keep_bytes: int | None = None
    """Above this, the oldest are pruned even if a lane has not passed; None: no bound."""
    sync_every: float = 1.0
    """Seconds between syncs."""
    linger: float = 0.005
    """Seconds the writer waits for company while traffic is sparse."""
    seal: bool = True
    """Whether lines are sealed, from the first critical one of a segment on."""


class SealSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is done with seals beyond making them."""

    sign_with: str | None = None
    """The SSH key that signs anchors, or its `.pub` if an agent holds it; None: not signed."""
