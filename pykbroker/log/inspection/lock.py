"""Keeps a broker from starting on a directory while it is read, and finds the one that runs on it."""

import fcntl
import os
from types import TracebackType
from typing import Self

from pykbroker.log.log_dir import LOCK, LogDirError


class ReadLock:
    """A shared lock on .lock, where there is such a file: nothing is made. Brokers, ours and Kafka's, want it alone."""

    def __init__(self, directory: str) -> None:
        """Raises LogDirError when a broker has it, OSError."""
        self._fd = -1
        try:
            self._fd = os.open(f"{directory}/{LOCK}", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise LogDirError(f"the data directory {directory} is in use by a running broker: stop it first") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd >= 0:
            os.close(self._fd)
