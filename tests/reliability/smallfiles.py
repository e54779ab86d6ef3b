"""A file system of a few megabytes, in memory, mounted for the length of a block."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["small_file_system", "why_no_small_file_system"]


@contextmanager
def small_file_system(mount: Path, size: str = "1m") -> Iterator[None]:
    """A tmpfs of that size."""
    mount.mkdir(exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", mount],
        check=True,
        capture_output=True,
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", mount], check=True)


@cache
def why_no_small_file_system() -> str | None:
    """Why this machine mounts none; None when it does."""
    if os.geteuid() != 0:
        return "mounting a small file system needs root"
    try:
        with TemporaryDirectory() as directory, small_file_system(Path(directory) / "small"):
            return None
    except (OSError, subprocess.CalledProcessError) as error:
        return f"this machine mounts no tmpfs: {error}"
