"""Bits flipped and files cut while no broker ran, seen by the broker's own load: what is derived is made anew, what is
not a record any more is said and never counts as one.

How far Kafka goes, and we: below the recovery point and after a clean stop checksums of batches are not read at the
start, for that means reading everything; fetches pass stored bytes on, checksum and all, and every client refuses the
batch. Whoever makes something of a batch checks it first: recovery ends the log there, the cleaner leaves the log
alone, `pykbroker check-dir` names the byte.
"""

import os
import shutil
from pathlib import Path
from random import Random

import pytest

from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.log.partition_metadata import write_partition_metadata
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.batch import MAGIC_OFFSET, crc_is_valid, parse_header
from tests.log.cleaners import clean, end_transaction, put_transactional
from tests.log.logs import NOW, Unsynced, append, batch, open_log, read_all

SMALL = {"segment_bytes": 900, "index_interval_bytes": 100, "cleanup_policy": ["compact"]}
SUFFIXES = [".index", ".timeindex", ".txnindex", ".snapshot", "leader-epoch-checkpoint", "partition.metadata"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a killed broker leaves it."""
    directory = tmp_path_factory.mktemp("whole") / "t-0"
    directory.mkdir()
    write_partition_metadata(Unsynced(), str(directory), Uuid(bytes(range(16))))
    log = open_log(directory, segment_bytes=900, index_interval_bytes=100)
    for sequence in range(5):
        put_transactional(log, 9, (b"a", b"1" * 100), sequence=sequence)
        end_transaction(log, 9, commit=sequence % 2 == 0)
    for sequence in range(10):
        records = batch((NOW + sequence,), producer_id=7, producer_epoch=0, base_sequence=sequence)
        append(log, records, leader_epoch=sequence // 2)
    assert len(log.segments) > 2
    return directory


def state(log: UnifiedLog) -> object:
    log.update_high_watermark(log.log_end_offset)
    return (
        [data for _, data in read_all(log)],
        {producer_id: entry.last_sequence for producer_id, entry in log.producer_state.producers.items()},
        log.aborted_transactions(0, log.log_end_offset),
        [log.offset_for_timestamp(NOW + at) for at in range(11)],
        log.leader_epochs.entries,
        log.last_stable_offset,
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_derived_is_made_anew(suffix: str, seed: int, whole: Path, tmp_path: Path) -> None:
    random = Random(seed)
    expected = state(open_log(Path(shutil.copytree(whole, tmp_path / "good" / "t-0")), clean=False))
    directory = Path(shutil.copytree(whole, tmp_path / "bad" / "t-0"))
    for path in sorted(directory.iterdir()):
        if path.name.endswith(suffix):
            damage(path, random)
    log = open_log(directory, clean=False)
    assert state(log) == expected
    log.close()
    assert state(open_log(directory)) == expected


def damage(path: Path, random: Random) -> None:
    data = bytearray(path.read_bytes())
    if not data:
        return
    if random.random() < 0.3 or path.name.endswith("checkpoint"):  # another digit is another epoch: check-dir tells
        del data[random.randrange(len(data)) :]
    else:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    path.write_bytes(data)


def flip_last_bit(log: UnifiedLog, index: int) -> None:
    """Of the first batch of a segment."""
    segment = log.segments[index]
    first = next(segment.batches(0))
    path = Path(segment.path(".log"))
    data = bytearray(path.read_bytes())
    data[first.position + first.size - 1] ^= 1
    path.write_bytes(data)


def three_segments(directory: Path) -> UnifiedLog:
    log = open_log(directory, **SMALL)  # type: ignore[arg-type]
    for _ in range(3):
        for _ in range(3):
            append(log, batch())
        log.roll(NOW)
    append(log, batch())
    return log


def test_recovery_ends_the_log_before_a_damaged_batch_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = three_segments(tmp_path / "t-0")
    flip_last_bit(log, 1)
    recovered = open_log(tmp_path / "t-0", clean=False)
    assert recovered.log_end_offset == 3
    assert "Cutting" in caplog.text
    assert f"{3:020d}.log" in caplog.text


def test_it_is_served_with_its_wrong_checksum_only(tmp_path: Path) -> None:
    log = three_segments(tmp_path / "t-0")
    flip_last_bit(log, 1)
    log.close()
    log = open_log(tmp_path / "t-0")
    assert [crc_is_valid(data, 0) for _, data in read_all(log)] == [True] * 3 + [False] + [True] * 6


def test_the_cleaner_gives_it_no_new_checksum(tmp_path: Path) -> None:
    log = three_segments(tmp_path / "t-0")
    flip_last_bit(log, 1)
    before = [data for _, data in read_all(log)]
    with pytest.raises(KafkaError, match="checksum"):
        clean(log)
    assert [data for _, data in read_all(log)] == before


def test_a_search_for_a_time_goes_on_behind_it(tmp_path: Path) -> None:
    log = three_segments(tmp_path / "t-0")
    flip_last_bit(log, 1)
    assert log.offset_for_timestamp(NOW) is not None


def test_nothing_is_written_behind_half_a_batch(tmp_path: Path) -> None:
    """A clean stop, and then somebody cut the file."""
    log = three_segments(tmp_path / "t-0")
    append(log, batch())
    path, size = log.active.path(".log"), log.active.size
    log.close()
    os.truncate(path, size - 1)
    log = open_log(tmp_path / "t-0")
    assert (log.log_end_offset, log.active.size) == (10, size // 2)
    append(log, batch())
    assert len(list(read_all(log))) == 11


@pytest.mark.parametrize("tail", [b"\xff" * 100, bytes(500), bytes(9)], ids=["noise", "zeros", "few zeros"])
def test_what_somebody_put_behind_a_clean_log_is_cut(tail: bytes, tmp_path: Path) -> None:
    """Kafka 4.3.1 does not start on the first two, and recovers when it is started once more."""
    log = three_segments(tmp_path / "t-0")
    path, size, before = Path(log.active.path(".log")), log.active.size, [data for _, data in read_all(log)]
    log.close()
    path.write_bytes(path.read_bytes() + tail)
    log = open_log(tmp_path / "t-0")
    assert (log.log_end_offset, log.active.size, path.stat().st_size) == (10, size, size)
    assert log.recovery_point == log.active.base_offset  # what was made anew is not synced
    assert [data for _, data in read_all(log)] == before
    append(log, batch())
    assert len(list(read_all(log))) == 11


@pytest.mark.parametrize("field", [8, MAGIC_OFFSET], ids=["length", "magic"])
def test_a_last_batch_that_is_none_any_more_is_cut(field: int, tmp_path: Path) -> None:
    log = three_segments(tmp_path / "t-0")
    append(log, batch())
    path, last = Path(log.active.path(".log")), list(log.active.batches(0))[-1]
    log.close()
    write_at(path, last.position + field, b"\xff")
    log = open_log(tmp_path / "t-0")
    assert (log.log_end_offset, log.active.size) == (10, last.position)


@pytest.mark.parametrize("field", [8, MAGIC_OFFSET], ids=["length", "magic"])
def test_a_batch_in_the_middle_that_is_none_any_more_is_refused(field: int, tmp_path: Path) -> None:
    """As by Kafka: CORRUPT_MESSAGE at its offset; what is before is served, and what an index entry leads to behind."""
    log = three_segments(tmp_path / "t-0")
    broken = list(log.segments[1].batches(0))[1]
    path = Path(log.segments[1].path(".log"))
    log.close()
    write_at(path, broken.position + field, b"\xff")
    log = open_log(tmp_path / "t-0")
    assert log.log_end_offset == 10
    with pytest.raises(KafkaError) as refused:
        log.read(4, 1000, upper_bound=10, min_one=True)
    assert refused.value.code == ErrorCode.CORRUPT_MESSAGE
    for offset in (3, 6):
        (region,) = log.read(offset, 1, upper_bound=10, min_one=True).segments
        data = os.pread(region.file.fileno(), region.length, region.position)
        assert parse_header(data).base_offset == offset
        assert crc_is_valid(data, 0)


def write_at(path: Path, position: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        file.write(data)


def indexed(directory: Path) -> UnifiedLog:
    """Two segments of 20 batches with an entry for nearly each, the times a second apart."""
    log = open_log(directory, segment_bytes=1 << 20, index_interval_bytes=1)
    for number in range(40):
        append(log, batch((NOW + number * 1000,)))
        if number == 19:
            log.roll(NOW)
    log.close()
    return log


def served_by(log: UnifiedLog) -> object:
    """What each offset and each time lead to."""
    log.update_high_watermark(log.log_end_offset)
    found = []
    for offset in range(40):
        (region,) = log.read(offset, 1, upper_bound=40, min_one=True).segments
        found.append(parse_header(os.pread(region.file.fileno(), region.length, region.position)).base_offset)
    times = [log.offset_for_timestamp(NOW + number * 1000 - 1) for number in range(41)]
    return found, times, log.offset_of_max_timestamp()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("suffix", [".index", ".timeindex"])
def test_no_index_entry_leads_astray(suffix: str, seed: int, tmp_path: Path) -> None:
    """After a clean stop nobody reads the middle of an index, nor does Kafka, which then skips records: here an entry
    counts only if it is true of the batch that it tells. Time indexes that are too short are completed."""
    random = Random(seed)
    directory = tmp_path / "t-0"
    indexed(directory)
    expected = served_by(open_log(directory))
    for path in directory.glob(f"*{suffix}"):
        random.choice(WRONGS)(path, 8 if suffix == ".index" else 12, random)
    log = open_log(directory)
    assert served_by(log) == expected
    for _ in range(5):
        log.roll(NOW)
        append(log, batch((NOW + 100_000,)))
    assert log.offset_for_timestamp(NOW + 50_000) == (NOW + 100_000, 40, 0)


def flip_a_bit(path: Path, width: int, random: Random) -> None:
    data = bytearray(path.read_bytes())
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    path.write_bytes(data)


def swap_entries(path: Path, width: int, random: Random) -> None:
    data = path.read_bytes()
    entries = [data[at : at + width] for at in range(0, len(data), width)]
    random.shuffle(entries)
    path.write_bytes(b"".join(entries))


def keep_some(path: Path, width: int, random: Random) -> None:
    entries = len(path.read_bytes()) // width
    os.truncate(path, random.randrange(entries) * width)


def cut_anywhere(path: Path, width: int, random: Random) -> None:
    os.truncate(path, random.randrange(path.stat().st_size))


def put_behind(path: Path, width: int, random: Random) -> None:
    """Longer than the log, and leading beyond it."""
    path.write_bytes(path.read_bytes() + random.randbytes(width * random.randint(1, 100)))


def remove(path: Path, width: int, random: Random) -> None:
    path.unlink()


WRONGS = (flip_a_bit, flip_a_bit, flip_a_bit, swap_entries, keep_some, cut_anywhere, put_behind, remove)
