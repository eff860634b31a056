"""The unix socket in the data directory, by which `pykbroker cluster` talks to the console of its owner."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

NAME = "console.sock"
_BACKLOG = 16
# Of sun_path, with the zero at its end.
_MAX_PATH = 107


def listen(directory: str) -> socket.socket:
    """For the owner alone (0600). One that an earlier console left is replaced: it is known to be gone.

    Raises OSError.
    """
    with _short(directory) as path:
        if os.path.lexists(path):
            os.unlink(path)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.bind(path)
            # Before listen(): nobody can have connected yet.
            os.chmod(path, 0o600)
            made.listen(_BACKLOG)
        except OSError:
            made.close()
            raise
        return made


def connect(directory: str) -> socket.socket:
    """Raises OSError: FileNotFoundError or ConnectionRefusedError when no console runs on `directory`."""
    with _short(directory) as path:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.connect(path)
        except OSError:
            made.close()
            raise
        return made


def remove(directory: str) -> None:
    """Raises OSError."""
    path = os.path.join(directory, NAME)
    if os.path.lexists(path):
        os.unlink(path)


@contextmanager
def _short(directory: str) -> Iterator[str]:
    """A path of the socket that fits into an address, however deep the directory lies."""
    path = os.path.join(directory, NAME)
    if len(os.fsencode(path)) <= _MAX_PATH:
        yield path
        return
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{NAME}"
    finally:
        os.close(fd)
