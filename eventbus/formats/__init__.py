"""Events as text and back: pure functions, no files."""

from eventbus.formats.shapes import SHAPES, Shape

__all__ = ["SHAPES", "Shape"]
