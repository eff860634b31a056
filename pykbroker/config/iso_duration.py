"""ISO 8601 durations as configs have them, days and smaller. (java.time.Duration.parse)"""

import re
from typing import Final

# Compiled at its first use: few groups have one.
_PATTERN: Final = (
    r"(?ai)(?P<sign>[+-]?)P(?=[+-]?[0-9]|T)(?:(?P<days>[+-]?[0-9]+)D)?"
    r"(?:T(?=[+-]?[0-9])(?:(?P<hours>[+-]?[0-9]+)H)?(?:(?P<minutes>[+-]?[0-9]+)M)?"
    r"(?:(?P<seconds>[+-]?[0-9]+)(?:[.,](?P<fraction>[0-9]{0,9}))?S)?)?"
)
_NANOSECONDS: Final = 10**9
_MAX_SECONDS: Final = 2**63 - 1


def parse_duration(text: str) -> int:
    """Nanoseconds; each part may have a sign, and the whole. Raises ValueError."""
    match = re.fullmatch(_PATTERN, text)
    if match is None:
        raise ValueError(f"no duration: {text!r}")
    days, hours, minutes, seconds = (int(match[unit] or 0) for unit in ("days", "hours", "minutes", "seconds"))
    whole = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if abs(whole) > _MAX_SECONDS:
        raise ValueError(f"too long a duration: {text!r}")
    fraction = int((match["fraction"] or "").ljust(9, "0"))
    if (match["seconds"] or "").startswith("-"):
        fraction = -fraction
    total = whole * _NANOSECONDS + fraction
    return -total if match["sign"] == "-" else total
