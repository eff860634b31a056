"""What an inspection finds: where exactly, what kind, and whether a broker's next start repairs it."""

from collections import Counter
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple


class Severity(Enum):
    DEFECT = "defect"
    # The broker was not stopped in order; its next start repairs this by itself.
    RECOVERY = "needs recovery"
    # A file that nobody needs, or that tells of an interrupted operation: named, not blamed.
    NOTE = "note"


class Finding(NamedTuple):
    """`position` in bytes and `offset` of a record are -1 where there is none."""

    severity: Severity
    kind: str
    path: str
    position: int
    offset: int
    message: str

    def __str__(self) -> str:
        place = self.path
        if self.position >= 0:
            place += f", byte {self.position}"
        if self.offset >= 0:
            place += f", offset {self.offset}"
        return f"{self.severity.value}: {place}: {self.kind}: {self.message}"


class Report:
    """Passes findings on as they come; of one kind in one file only so many, for a broken disk has millions."""

    PER_FILE_AND_KIND = 20

    def __init__(self, on_finding: Callable[[Finding], None]) -> None:
        self.counts: Counter[Severity] = Counter()
        self.suppressed = 0
        self._on_finding = on_finding
        self._per_file: Counter[tuple[str, str]] = Counter()

    def add(
        self, severity: Severity, kind: str, path: str, message: str, *, position: int = -1, offset: int = -1
    ) -> None:
        self.counts[severity] += 1
        self._per_file[path, kind] += 1
        if self._per_file[path, kind] > self.PER_FILE_AND_KIND:
            self.suppressed += 1
            return
        self._on_finding(Finding(severity, kind, path, position, offset, message))

    def defect(self, kind: str, path: str, message: str, *, position: int = -1, offset: int = -1) -> None:
        self.add(Severity.DEFECT, kind, path, message, position=position, offset=offset)

    def note(self, kind: str, path: str, message: str) -> None:
        self.add(Severity.NOTE, kind, path, message)


class Flaw(NamedTuple):
    """What is wrong at one byte of one file, before anybody judges it."""

    position: int
    message: str
