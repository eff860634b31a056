"""Files that somebody damaged while the broker was stopped in order: what is served when it starts again on them.

With --oracle the real Kafka is asked the same. Where it loses or skips records, or does not start, both answers stand
side by side: we keep what is there.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compat_tests.disk import served
from compat_tests.disk.handover import SETTINGS, asking
from compat_tests.disk.restartable import Restartable, restartable
from compat_tests.wire.conftest import SocketAsker
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from pykbroker.record.batch import MAGIC_OFFSET, crc_is_valid, iterate_frames
from tests.handlers.broker.asker import TIMESTAMP, Topic, batch, fetch, produce, wants
from tools.oracle.jars import OracleError

BATCHES = 24  # nine to a segment
SECOND = 1000
EPOCHS = "leader-epoch-checkpoint"


@pytest.fixture
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Restartable]:
    with restartable(request, tmp_path, SETTINGS) as broker:
        yield broker


@pytest.fixture
def is_oracle(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--oracle"))


def name_of(damage: Callable[[Path], None]) -> str:
    return damage.__name__.replace("_", ".")


def damaged(broker: Restartable, kinds: list[Callable[[Path], None]]) -> dict[str, Topic]:
    """A topic for each kind of damage, filled, and damaged behind a stop in order. The broker is not started again."""
    with asking(broker.bootstrap) as asker:
        topics = {}
        for kind in kinds:
            configs = {"internal_segment_bytes": "1200", "index_interval_bytes": "100", "retention_ms": "-1"}
            topic = topics[kind.__name__] = asker.create(1, name_of(kind), **configs)
            for number in range(BATCHES):
                row = produce(asker, topic, [(0, batch(size=60, timestamp=TIMESTAMP + number * SECOND))])[0]
                assert (row.error_code, row.base_offset) == (0, number)
    broker.stop()
    for kind in kinds:
        kind(broker.data_dir / f"{name_of(kind)}-0")
    return topics


def told(asker: SocketAsker, topic: Topic) -> dict[str, Any]:
    """`at`: for each offset the first offset served with a right checksum, or the error code, or None for nothing."""
    return {
        "end": served.offset_for(asker, topic, 0, served.LATEST).offset,
        "newest": served.offset_for(asker, topic, 0, served.MAX_TIMESTAMP).offset,
        "times": [served.offset_for(asker, topic, 0, TIMESTAMP + each * SECOND).offset for each in (0, 9, 14, 23)],
        "at": [first_served(asker, topic, offset) for offset in range(BATCHES)],
    }


def first_served(asker: SocketAsker, topic: Topic, offset: int) -> object:
    (row,) = fetch(asker, (topic, [wants(0, offset)]), max_wait_ms=1).responses[0].partitions
    if row.error_code:
        return ErrorCode(row.error_code).name
    data = bytes(row.records or b"")
    frame = next(iterate_frames(data), None)
    if frame is None:
        return None
    return int.from_bytes(data[:8], "big") if crc_is_valid(data) else "wrong checksum"


WHOLE = {"end": BATCHES, "newest": BATCHES - 1, "times": [0, 9, 14, 23], "at": list(range(BATCHES))}


def whole_but(**changes: Any) -> dict[str, Any]:
    """`at_12` and such name single offsets."""
    at = dict(enumerate(range(BATCHES))) | {int(key[3:]): changes.pop(key) for key in list(changes) if key[:3] == "at_"}
    return {**WHOLE, "at": list(at.values()), **changes}


def segments(folder: Path, suffix: str = ".log") -> list[Path]:
    return sorted(folder.glob(f"*{suffix}"))


def edit(path: Path, position: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        file.write(data)


def behind(path: Path, data: bytes) -> None:
    path.write_bytes(path.read_bytes() + data)


def batch_at(path: Path, index: int) -> tuple[int, int]:
    return list(iterate_frames(path.read_bytes()))[index]


# Borne alike


def few_bytes_behind(folder: Path) -> None:
    behind(segments(folder)[-1], bytes(9))


def length_in_the_middle(folder: Path) -> None:
    edit(segments(folder)[1], batch_at(segments(folder)[1], 3)[0] + 8, bytes(4))


def longer_in_the_middle(folder: Path) -> None:
    """It seems to reach beyond the end, so that nothing in the file is behind it."""
    edit(segments(folder)[1], batch_at(segments(folder)[1], 3)[0] + 8, b"\x10")


def checksum_in_the_middle(folder: Path) -> None:
    position, size = batch_at(segments(folder)[1], 3)
    edit(segments(folder)[1], position + size - 1, b"y")


def cut_in_the_middle(folder: Path) -> None:
    os.truncate(segments(folder)[1], segments(folder)[1].stat().st_size - 7)


def no_offset_index(folder: Path) -> None:
    for path in segments(folder, ".index"):
        path.unlink()


def odd_offset_index(folder: Path) -> None:
    for path in segments(folder, ".index"):
        os.truncate(path, path.stat().st_size - 3)


def short_offset_index(folder: Path) -> None:
    for path in segments(folder, ".index"):
        os.truncate(path, 8)


def unsorted_offset_index(folder: Path) -> None:
    for path in segments(folder, ".index"):
        data = path.read_bytes()
        path.write_bytes(data[8:16] + data[:8] + data[16:])


def zeros_behind_offset_index(folder: Path) -> None:
    for path in segments(folder, ".index"):
        behind(path, bytes(400))


def no_snapshots(folder: Path) -> None:
    for path in segments(folder, ".snapshot"):
        path.unlink()


def epoch_behind_the_end(folder: Path) -> None:
    (folder / EPOCHS).write_text("0\n2\n0 0\n3 99\n")


def epoch_with_a_wrong_digit(folder: Path) -> None:
    (folder / EPOCHS).write_text("0\n1\n7 0\n")


def epoch_at_a_wrong_offset(folder: Path) -> None:
    (folder / EPOCHS).write_text("0\n1\n0 9\n")


ALIKE: list[tuple[Callable[[Path], None], dict[str, Any]]] = [
    (few_bytes_behind, WHOLE),
    (length_in_the_middle, whole_but(at_12="CORRUPT_MESSAGE")),
    (longer_in_the_middle, whole_but(at_12=18)),
    (checksum_in_the_middle, whole_but(at_12="wrong checksum")),
    (cut_in_the_middle, whole_but(at_17=18)),
    (no_offset_index, WHOLE),
    (odd_offset_index, WHOLE),
    (short_offset_index, WHOLE),
    (unsorted_offset_index, WHOLE),
    (zeros_behind_offset_index, WHOLE),
    (no_snapshots, WHOLE),
    (epoch_behind_the_end, WHOLE),
    (epoch_with_a_wrong_digit, WHOLE),
    (epoch_at_a_wrong_offset, WHOLE),
]
# (asked, largest epoch not above it, its end) once a leader of epoch 2 has begun behind the damage.
AS_IT_WAS = [(0, 0, BATCHES), (1, 0, BATCHES), (2, 2, BATCHES), (3, -1, -1)]
EPOCHS_TOLD = {
    no_snapshots: AS_IT_WAS,
    epoch_behind_the_end: AS_IT_WAS,
    epoch_with_a_wrong_digit: [(0, 0, BATCHES), (1, 1, BATCHES), (2, 2, BATCHES), (3, -1, -1)],
    epoch_at_a_wrong_offset: AS_IT_WAS,
}


@pytest.mark.timeout(150)
def test_borne_alike(broker: Restartable, is_oracle: bool) -> None:
    topics = damaged(broker, [kind for kind, _ in ALIKE])
    broker.start()
    with asking(broker.bootstrap) as asker:
        for kind, expected in ALIKE:
            assert told(asker, topics[kind.__name__]) == expected, kind.__name__
        for kind, rows in EPOCHS_TOLD.items():
            assert epochs_told(asker, topics[kind.__name__]) == rows, kind.__name__
        # Kafka writes behind a few bytes that are no batch, acknowledges, and cannot find what it wrote.
        check_appends(asker, topics, [kind for kind, _ in ALIKE if not (is_oracle and kind is few_bytes_behind)])


def epochs_told(asker: SocketAsker, topic: Topic) -> list[tuple[int, int, int]]:
    def told_of(epoch: int) -> tuple[int, int, int]:
        row = OffsetForLeaderPartition(partition=0, current_leader_epoch=-1, leader_epoch=epoch)
        request = OffsetForLeaderEpochRequest(
            replica_id=-1, topics=[OffsetForLeaderTopic(topic=topic.name, partitions=[row])]
        )
        (answer,) = asker.ask(request, 4).topics[0].partitions
        assert answer.error_code == 0, answer
        return epoch, answer.leader_epoch, answer.end_offset

    return [told_of(epoch) for epoch in range(4)]


def check_appends(asker: SocketAsker, topics: dict[str, Topic], kinds: list[Callable[[Path], None]]) -> None:
    """Whatever was damaged, the log goes on at its end."""
    for kind in kinds:
        topic = topics[kind.__name__]
        row = produce(asker, topic, [(0, batch(size=60, timestamp=TIMESTAMP + BATCHES * SECOND))])[0]
        assert (row.error_code, row.base_offset) == (0, BATCHES), kind.__name__
        assert first_served(asker, topic, BATCHES) == BATCHES, kind.__name__


# Borne better


def last_batch_cut(folder: Path) -> None:
    """Kafka takes the log's end from an index entry that leads nowhere: the whole segment is gone, and written over."""
    os.truncate(segments(folder)[-1], segments(folder)[-1].stat().st_size - 7)


def magic_in_the_middle(folder: Path) -> None:
    """Kafka serves it, and no client can read it."""
    edit(segments(folder)[1], batch_at(segments(folder)[1], 3)[0] + MAGIC_OFFSET, b"\x09")


def no_time_index(folder: Path) -> None:
    for path in segments(folder, ".timeindex"):
        path.unlink()


def empty_time_index(folder: Path) -> None:
    for path in segments(folder, ".timeindex"):
        os.truncate(path, 0)


def odd_time_index(folder: Path) -> None:
    for path in segments(folder, ".timeindex"):
        os.truncate(path, path.stat().st_size - 3)


def offset_index_that_leads_beyond(folder: Path) -> None:
    for path in segments(folder, ".index"):
        edit(path, path.stat().st_size - 4, (60_000).to_bytes(4, "big"))


def offset_index_that_leads_beyond_in_the_middle(folder: Path) -> None:
    for path in segments(folder, ".index"):
        edit(path, 12, (60_000).to_bytes(4, "big"))


OUT_OF_RANGE = {f"at_{offset}": "OFFSET_OUT_OF_RANGE" for offset in range(19, BATCHES)}
LOST = whole_but(end=18, newest=-1, times=[0, 9, 14, -1], at_18=None, **OUT_OF_RANGE)
LOST_AND_SKIPPED = whole_but(end=18, newest=-1, times=[0, 9, 14, -1], at_8=9, at_17=18, at_18=None, **OUT_OF_RANGE)
CUT = whole_but(end=23, newest=22, times=[0, 9, 14, -1], at_23=None)
NO_TIMES = whole_but(newest=-1, times=[0, -1, -1, -1])
BETTER: list[tuple[Callable[[Path], None], dict[str, Any], dict[str, Any]]] = [
    (last_batch_cut, CUT, LOST),
    (magic_in_the_middle, whole_but(at_12="CORRUPT_MESSAGE"), whole_but(at_12="unreadable")),
    (no_time_index, WHOLE, NO_TIMES),
    (empty_time_index, WHOLE, NO_TIMES),
    (odd_time_index, WHOLE, whole_but(newest=22, times=[0, 9, 14, -1])),
    (offset_index_that_leads_beyond, WHOLE, LOST_AND_SKIPPED),
    (
        offset_index_that_leads_beyond_in_the_middle,
        WHOLE,
        whole_but(at_2=9, at_11=18, at_20=None),
    ),
]


@pytest.mark.timeout(150)
def test_borne_better_than_by_kafka(broker: Restartable, is_oracle: bool) -> None:
    topics = damaged(broker, [kind for kind, _, _ in BETTER])
    broker.start()
    with asking(broker.bootstrap) as asker:
        for kind, ours, kafkas in BETTER:
            if is_oracle and kind is magic_in_the_middle:
                continue  # nothing here can read what it serves
            assert told(asker, topics[kind.__name__]) == (kafkas if is_oracle else ours), kind.__name__


def zeros_behind(folder: Path) -> None:
    behind(segments(folder)[-1], bytes(500))


def noise_behind(folder: Path) -> None:
    behind(segments(folder)[-1], b"\xff" * 100)


def last_length(folder: Path) -> None:
    edit(segments(folder)[-1], batch_at(segments(folder)[-1], -1)[0] + 8, bytes(4))


@pytest.mark.timeout(150)
def test_a_tail_that_kafka_dies_of_and_then_recovers(broker: Restartable, is_oracle: bool) -> None:
    """Its first start ends with CorruptRecordException. By then the mark of the clean stop is gone, so that the second
    recovers: so do we at once, and the outcome is the same."""
    topics = damaged(broker, [zeros_behind, noise_behind, last_length])
    if is_oracle:
        with pytest.raises(OracleError, match="CorruptRecordException"):
            broker.start()
    broker.start()
    with asking(broker.bootstrap) as asker:
        assert told(asker, topics["zeros_behind"]) == WHOLE
        assert told(asker, topics["noise_behind"]) == WHOLE
        assert told(asker, topics["last_length"]) == CUT
        check_appends(asker, topics, [zeros_behind, noise_behind])
