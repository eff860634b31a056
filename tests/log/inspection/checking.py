"""What the tests of inspections share: damage to files, and what a report says of it."""

from collections.abc import Sequence
from pathlib import Path

from pykbroker.log.inspection.batches import BadBytes, ByteFile, FoundBatch
from pykbroker.log.inspection.report import Finding, Report, Severity
from pykbroker.raft.inspection.data_check import DataCheck


class Findings(list[Finding]):
    """A report and what came of it."""

    def __init__(self) -> None:
        super().__init__()
        self.report = Report(self.append)

    def of(self, severity: Severity) -> list[Finding]:
        return [finding for finding in self if finding.severity is severity]

    @property
    def defects(self) -> list[Finding]:
        return self.of(Severity.DEFECT)

    def only(self) -> Finding:
        (finding,) = self
        return finding


class Inspected:
    """A data directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self, *more: Path, is_deep: bool = False) -> Findings:
        findings = Findings()
        DataCheck([str(self.path), *map(str, more)], findings.report, is_deep=is_deep).run()
        return findings

    def file(self, name: str) -> Path:
        path = self.path / name
        path.chmod(0o600)  # snapshots of the metadata log are read-only
        return path

    def flip(self, name: str, position: int, bit: int = 1) -> None:
        flip(self.file(name), position, bit)

    def cut(self, name: str, size: int) -> None:
        path = self.file(name)
        path.write_bytes(path.read_bytes()[:size])

    def replace(self, name: str, old: str, new: str) -> None:
        path = self.file(name)
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))


def flip(path: Path, position: int, bit: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= bit
    path.write_bytes(data)


def found_batch(path: Path, data: bytes, base_offset: int = 0) -> FoundBatch:
    """The first batch of a file with these bytes."""
    from pykbroker.log.inspection.batches import scan

    path.write_bytes(data)
    batch = next(scan(ByteFile(str(path)), base_offset))
    assert isinstance(batch, FoundBatch)
    return batch


def spans(found: Sequence[FoundBatch | BadBytes]) -> list[tuple[str, int, int]]:
    """(batch or the kind of damage, position, length)."""
    return [
        ("batch", each.position, each.size) if isinstance(each, FoundBatch) else (each.kind, each.position, each.length)
        for each in found
    ]
