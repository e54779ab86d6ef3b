"""What is too long, as its beginning; its length and digest are kept."""

from typing import Any

__all__ = ["cut_mark", "cut_text"]


def cut_text(text: str, most: int) -> str:
    """The text, cut where it is longer, and marked so."""
    if len(text) <= most:
        return text
    mark = cut_mark(text.encode())
    return f"{text[:most]}… [cut: {mark['bytes']} bytes, sha256 {mark['sha256']}]"


def cut_mark(raw: bytes) -> dict[str, Any]:
    """What is kept of bytes that are not."""
    import hashlib  # slow to import, and seldom needed

    return {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
