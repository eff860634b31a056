"""A progress bar on a terminal, and nothing elsewhere."""

import time
from typing import TextIO

WIDTH = 30
_INTERVAL_SECONDS = 0.1
_MEBIBYTE = 1 << 20


class Progress:
    """Counts bytes up to `total`. Whoever else writes to the terminal calls clear() before."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total = total
        self._stream = stream
        self._is_shown = stream.isatty()
        self._done = 0
        self._drawn_at = 0.0

    def add(self, count: int) -> None:
        self._done += count
        if self._is_shown and time.monotonic() - self._drawn_at >= _INTERVAL_SECONDS:
            self._draw()

    def _draw(self) -> None:
        self._drawn_at = time.monotonic()
        part = min(self._done / self._total, 1.0) if self._total else 1.0
        bar = "#" * int(part * WIDTH)
        sizes = f"{self._done / _MEBIBYTE:.0f} of {self._total / _MEBIBYTE:.0f} MiB"
        self._stream.write(f"\r[{bar:.<{WIDTH}}] {part:4.0%}  {sizes} ")
        self._stream.flush()

    def clear(self) -> None:
        if self._is_shown and self._drawn_at:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
