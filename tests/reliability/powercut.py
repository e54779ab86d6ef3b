"""A real ext4 file system in a file, whose power can be cut."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["LoopDisk", "loop_disk", "why_no_loop_disk"]

IMAGE_BYTES = 64 * 1024 * 1024
_TOOLS = ("losetup", "mkfs.ext4", "mount", "umount")
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class LoopDisk:
    """A mounted image, and its mounting again."""

    def __init__(self, device: str, mount: Path) -> None:
        self._device = device
        self.mount = mount

    def mount_again(self) -> None:
        """Unmount what was shut down and mount it anew, as after a reboot."""
        _run("umount", str(self.mount))
        _run("mount", self._device, str(self.mount))


@contextmanager
def loop_disk(directory: Path, *, size: int = IMAGE_BYTES) -> Iterator[LoopDisk]:
    """An ext4 of its own, mounted for the length of a block."""
    image, mount = directory / "disk.img", directory / "disk"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(size)
    _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
    device = _run("losetup", "--find", "--show", str(image)).strip()
    try:
        _run("mount", device, str(mount))
        try:
            yield LoopDisk(device, mount)
        finally:
            _run("umount", "--lazy", str(mount))
    finally:
        _run("losetup", "--detach", device)


@cache
def why_no_loop_disk() -> str | None:
    """Why this machine cannot mount a file; None when it can."""
    missing = [tool for tool in _TOOLS if shutil.which(tool, path=_PATH) is None]
    if missing:
        return f"no {', '.join(missing)} here"
    if os.geteuid() != 0:
        return "mounting a file needs root"
    try:
        with TemporaryDirectory() as directory, loop_disk(Path(directory), size=4 * 1024 * 1024):
            return None
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or error
        return f"this machine does not mount files: {str(said).strip()}"


def _run(*arguments: str) -> str:
    return subprocess.run(
        arguments, check=True, capture_output=True, text=True, env={**os.environ, "PATH": _PATH}
    ).stdout
