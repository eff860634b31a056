"""A log directory that fails: KAFKA_STORAGE_ERROR from every data API, and the broker goes on."""

import pytest

from pykbroker.handlers.broker import describe_log_dirs
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.describe_log_dirs import DescribeLogDirsRequest
from tests.handlers.broker.asker import MemoryAsker, Topic, batch, codes, fetch, produce, rows_of, wants
from tests.handlers.broker.test_alter_replica_log_dirs import alter
from tests.handlers.broker.test_delete_records import delete
from tests.handlers.broker.test_list_offsets import one
from tests.handlers.broker.test_offset_for_leader_epoch import end_offsets

FAILED = ErrorCode.KAFKA_STORAGE_ERROR


@pytest.fixture
def topic(asker: MemoryAsker) -> Topic:
    """A topic with a record, whose directory is gone."""
    topic = asker.create()
    produce(asker, topic, [(0, batch())])
    asker.stand.logs.fail(asker.stand.logs.directories[0], OSError(5, "gone"))
    return topic


def test_every_api_says_so(asker: MemoryAsker, topic: Topic) -> None:
    for version in (9, 13):
        assert codes(produce(asker, topic, [(0, batch()), (9, batch())], version)) == {0: FAILED, 9: 3}
    assert codes(produce(asker, topic, [(0, b"")])) == {0: ErrorCode.INVALID_RECORD}, (
        "what is wrong with it comes first"
    )
    assert rows_of(fetch(asker, (topic, [wants(0, 0)]))) == [(0, FAILED, -1, -1, 0)]
    assert one(asker, topic, -1) == (0, FAILED, -1, -1, -1)
    assert delete(asker, topic, [(0, 1)]) == [(0, FAILED, -1)]
    assert end_offsets(asker, (topic, [(0, -1, 0)])) == [(0, FAILED, -1, -1)]


def test_no_replica_moves_there(asker: MemoryAsker, topic: Topic) -> None:
    path = asker.stand.logs.directories[0].path
    assert alter(asker, (path, topic.name, [0])) == {(topic.name, 0): FAILED}


def test_the_directory_is_described_as_failed(asker: MemoryAsker, topic: Topic) -> None:
    (result,) = asker.ask(DescribeLogDirsRequest(topics=None), 5).results
    assert (result.error_code, result.topics, result.total_bytes) == (FAILED, [], -1)


def test_a_directory_that_cannot_be_measured_has_failed(asker: MemoryAsker, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = asker.create()

    def fail(_: str) -> None:
        raise OSError(5, "gone")

    monkeypatch.setattr(describe_log_dirs, "disk_space", fail)
    (result,) = asker.ask(DescribeLogDirsRequest(topics=None), 5).results
    assert result.error_code == FAILED
    assert codes(produce(asker, topic, [(0, batch())])) == {0: FAILED}


def test_a_write_that_fails_takes_the_directory_offline(asker: MemoryAsker, monkeypatch: pytest.MonkeyPatch) -> None:
    topic, other = asker.create(), asker.create()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(asker.stand.logs.files, "pwrite", fail)
    assert codes(produce(asker, topic, [(0, batch())])) == {0: FAILED}
    assert codes(produce(asker, other, [(0, batch())])) == {0: FAILED}
    assert not asker.stand.logs.directories[0].is_online
