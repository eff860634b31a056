"""Lines of a broker's process, marked with its number. Pure."""

READY = "pykbroker ready: "
# A longer line is cut in pieces: nobody holds an endless one in memory.
MAX_LINE = 64 * 1024


class Lines:
    """Bytes in, whole lines out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE:
            whole.append(self._rest)
            self._rest = b""
        return [_text(line) for line in whole]

    def end(self) -> list[str]:
        """What came without an end of line, when nothing more comes."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")


def marked(line: str, number: int, *, as_json: bool) -> str:
    """A JSON object gets the number as a field, any other line in front."""
    if as_json and line.startswith("{"):
        return f'{{"broker": {number}, {line[1:]}'
    return f"[{number}] {line}"


def ready_address(line: str) -> str | None:
    """HOST:PORT of the line by which a broker says that it serves; None for any other line."""
    return line.removeprefix(READY).strip() if line.startswith(READY) else None
