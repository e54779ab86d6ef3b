"""A bar on the terminal that says how far a run is; silent elsewhere."""

import shutil
import sys
from typing import TextIO

__all__ = ["Progress"]

BAR_WIDTH = 24


class Progress:
    """One line, drawn over itself."""

    def __init__(self, questions: int, stream: TextIO = sys.stderr) -> None:
        self._questions = max(1, questions)
        self._done = 0
        self._name = ""
        self._stream = stream
        self._shows = stream.isatty()

    def begin(self, question: str) -> None:
        """Say which question comes now."""
        self._name = question
        self.tell(0.0, "")

    def end(self) -> None:
        """Count the question as answered, and clear the line."""
        self._done += 1
        if self._shows:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def tell(self, part: float, doing: str) -> None:
        """Draw the bar: `part` of this question is done."""
        if not self._shows:
            return
        whole = min(1.0, (self._done + part) / self._questions)
        full = int(whole * BAR_WIDTH)
        bar = "█" * full + "░" * (BAR_WIDTH - full)
        line = f"{bar} {whole:4.0%} {self._name} {doing}"
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"\r\x1b[K{line[:width]}")
        self._stream.flush()
