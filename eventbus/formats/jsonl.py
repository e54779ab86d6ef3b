"""An event as its full-fidelity line: the journal's own form.

A batch has these lines already (`batch.lines`), unknown fields and all;
`encode` is for an event that stands alone.
"""

from eventbus.event import decode, encode

__all__ = ["decode", "encode"]
