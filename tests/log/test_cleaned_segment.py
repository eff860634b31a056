"""The files of a segment that is being written, and what an aborted cleaning leaves."""

import os
from pathlib import Path

from pykbroker.log.cleaned_segment import CleanedSegment
from pykbroker.log.transaction_index import AbortedTransaction
from tests.log.logs import NOW, Unsynced, topic_config

BASE = "00000000000000000007"
CONFIG = topic_config(index_interval_bytes=100, segment_index_bytes=80)


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


def test_whole_files_under_names_of_their_own(tmp_path: Path) -> None:
    segment = CleanedSegment(Unsynced(), str(tmp_path), 7, CONFIG)
    for number in range(4):
        segment.append(b"%d" % number * 90, 7 + number, NOW - number)
    segment.add_aborted(AbortedTransaction(1, 7, 8, 9))
    segment.finish(123_000_000_000)
    assert names(tmp_path) == [f"{BASE}.{suffix}.cleaned" for suffix in ("index", "log", "timeindex", "txnindex")]
    log = tmp_path / f"{BASE}.log.cleaned"
    assert log.read_bytes() == b"".join(b"%d" % number * 90 for number in range(4))
    assert (log.stat().st_size, log.stat().st_mtime) == (segment.size, 123)
    # One entry behind every 100 bytes, of the third batch, as Kafka's own segments have it.
    assert (tmp_path / f"{BASE}.index.cleaned").read_bytes().hex() == "00000002000000b4"
    assert (tmp_path / f"{BASE}.timeindex.cleaned").read_bytes().hex() == f"{NOW:016x}00000000"


def test_a_full_index_takes_no_more(tmp_path: Path) -> None:
    segment = CleanedSegment(Unsynced(), str(tmp_path), 7, CONFIG)
    for number in range(60):
        segment.append(b"x" * 101, 7 + number, NOW + number)
    segment.finish(0)
    assert (tmp_path / f"{BASE}.index.cleaned").stat().st_size == 80
    assert (tmp_path / f"{BASE}.timeindex.cleaned").stat().st_size == 72
    assert (tmp_path / f"{BASE}.timeindex.cleaned").read_bytes()[-12:].hex() == f"{NOW + 59:016x}0000003b"


def test_what_an_earlier_one_left_is_not_continued(tmp_path: Path) -> None:
    for suffix in ("log", "index", "timeindex", "txnindex"):
        (tmp_path / f"{BASE}.{suffix}.cleaned").write_bytes(b"x" * 340)
    segment = CleanedSegment(Unsynced(), str(tmp_path), 7, CONFIG)
    segment.finish(0)
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [0, 0, 0]


def test_discarded(tmp_path: Path) -> None:
    segment = CleanedSegment(Unsynced(), str(tmp_path), 7, CONFIG)
    segment.append(b"x" * 300_000, 7, NOW)
    segment.discard()
    segment.discard()
    assert names(tmp_path) == []
