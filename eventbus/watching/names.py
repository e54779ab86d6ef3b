"""Paths as they are told: file names may be any bytes, and text may not."""

__all__ = ["is_text", "told_path"]


def is_text(path: str) -> bool:
    """Whether every byte of it is part of a character."""
    if path.isascii():
        return True
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def told_path(path: str) -> str:
    r"""The path as JSON and the flat log take it: a stray byte as `\xff`."""
    if is_text(path):
        return path
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")
