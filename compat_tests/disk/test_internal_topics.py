"""The cleaner on __consumer_offsets and __transaction_state: what it leaves is what the coordinators load, ours and
Kafka's; what was deleted or has expired goes for good."""

from pathlib import Path
from typing import Any

import pytest

from compat_tests.disk import served
from compat_tests.disk.dumps import check_dir_complaints
from compat_tests.disk.handover import SETTINGS, asking, data_of, kafka_on, ours_on
from compat_tests.wire.conftest import SocketAsker
from pykbroker.ids import Uuid
from pykbroker.protocol.messages.delete_groups import DeleteGroupsRequest
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pykbroker.protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from tests.handlers.broker.asker import Topic
from tests.handlers.cluster_asker import eventually
from tests.handlers.config_dialogue import DONE, SET, TOPIC, incremental
from tests.handlers.transaction_dialogue import TransactionalProducer

pytestmark = pytest.mark.own_broker
OFFSETS, TRANSACTIONS = "__consumer_offsets", "__transaction_state"
ONE_OF_EACH = {
    **SETTINGS,
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "offsets.retention.check.interval.ms": "100",
}
EAGER = (
    ("internal.segment.bytes", SET, "10000"),
    ("min.cleanable.dirty.ratio", SET, "0.01"),
    ("delete.retention.ms", SET, "0"),
)
PARTITIONS = 20
DELETED = range(5)
STAYS, GOES, EXPIRES = "stays", "goes", "expires"
TRANSACTIONAL_IDS = ("one", "two")


def commit(asker: SocketAsker, group: str, offset: int, version: int = 8, **fields: Any) -> None:
    """Of all partitions, outside any generation."""
    rows = [
        OffsetCommitRequestPartition(
            partition_index=index, committed_offset=offset + index, committed_metadata=f"{group} {offset}"
        )
        for index in range(PARTITIONS)
    ]
    topics = [OffsetCommitRequestTopic(name="t", partitions=rows)]
    request = OffsetCommitRequest(group_id=group, topics=topics, **fields)
    (topic,) = asker.ask(request, version).topics
    assert {row.error_code for row in topic.partitions} == {0}


def delete_offsets(asker: SocketAsker) -> None:
    rows = [OffsetDeleteRequestPartition(index) for index in DELETED]
    answer = asker.ask(OffsetDeleteRequest(group_id=STAYS, topics=[OffsetDeleteRequestTopic("t", rows)]), 0)
    assert answer.error_code == 0
    assert {row.error_code for row in answer.topics[0].partitions} == {0}


def delete_group(asker: SocketAsker) -> None:
    (row,) = asker.ask(DeleteGroupsRequest(groups_names=[GOES]), 2).results
    assert row.error_code == 0


def keys(asker: SocketAsker, name: str) -> list[str]:
    """Of all records that are left in the topic's one partition, tombstones included."""
    topic, _ = served.topics(asker)[name]
    return [row["key"] for row in served.partition(asker, Topic(name, Uuid(topic.id)), 0)["records"]]


def mentions(found: list[str], group: str) -> bool:
    return any(group.encode().hex() in key for key in found)


def write(asker: SocketAsker) -> int:
    """Offsets that stay, are deleted and expire; the last one committed."""
    asker.create(PARTITIONS, "t")
    for group in (STAYS, GOES, EXPIRES):
        served.committed(asker, group)
    assert incremental(asker, TOPIC, OFFSETS, *EAGER) == DONE
    commit(asker, GOES, 100)
    commit(asker, EXPIRES, 100, version=4, retention_time_ms=1)
    commit(asker, STAYS, 1)
    delete_group(asker)
    eventually(lambda: served.committed(asker, EXPIRES), lambda found: not found)
    offset = 1
    for offset in range(1000, 1050):
        commit(asker, STAYS, offset)
        if offset == 1020:
            delete_offsets(asker)
    return offset


def await_cleaned_offsets(asker: SocketAsker, offset: int) -> int:
    """Until nothing is left of what was deleted, and next to nothing superseded; more commits seal segments.

    The last offset committed.
    """
    last = offset

    def found() -> list[str]:
        nonlocal last
        last += 1
        commit(asker, STAYS, last)
        return keys(asker, OFFSETS)

    eventually(
        found, lambda found: len(found) < 15 * PARTITIONS and not mentions(found, GOES) and not mentions(found, EXPIRES)
    )
    return last


def transact(asker: SocketAsker, times: int, *, first: bool) -> None:
    topic, _ = served.topics(asker)["t"]
    for name in TRANSACTIONAL_IDS:
        producer = TransactionalProducer(asker, name)
        assert producer.init() == 0
        if first and name == TRANSACTIONAL_IDS[0]:
            assert incremental(asker, TOPIC, TRANSACTIONS, *EAGER) == DONE
        for number in range(times):
            assert producer.produce(topic, number % PARTITIONS).error_code == 0
            assert producer.end(number % 3 > 0) == 0
            producer.at_rest()


def state(asker: SocketAsker, name: str) -> object:
    return eventually(lambda: served.transaction(asker, name), lambda row: "Prepare" not in row["state"])


def states(asker: SocketAsker) -> dict[str, object]:
    return {name: state(asker, name) for name in TRANSACTIONAL_IDS}


@pytest.mark.timeout(120)
def test_what_the_cleaner_leaves_is_loaded(tmp_path: Path) -> None:
    with ours_on(tmp_path, ONE_OF_EACH) as broker:
        with asking(broker.bootstrap) as asker:
            last = await_cleaned_offsets(asker, write(asker))
            transact(asker, 25, first=True)
            eventually(lambda: keys(asker, TRANSACTIONS), lambda found: len(found) < 100)
            expected = {f"t-{index}": last + index for index in range(PARTITIONS)}
            assert offsets(asker) == expected
            known = states(asker)
        for end in (broker.stop, broker.kill):
            end()
            broker.start()
            with asking(broker.bootstrap) as asker:
                assert offsets(asker) == expected
                assert (served.committed(asker, GOES), served.committed(asker, EXPIRES)) == ({}, {})
                assert states(asker) == known
                transact(asker, 1, first=False)
                known = states(asker)
    assert not check_dir_complaints(data_of(tmp_path))
    with kafka_on(tmp_path, ONE_OF_EACH) as kafka, asking(kafka.bootstrap) as asker:
        assert offsets(asker) == expected
        assert (served.committed(asker, GOES), served.committed(asker, EXPIRES)) == ({}, {})
        assert states(asker) == known
        transact(asker, 1, first=False)


def offsets(asker: SocketAsker) -> dict[str, int]:
    rows = served.committed(asker, STAYS)
    assert {row["metadata"].split()[0] for row in rows.values()} == {STAYS}
    return {name: row["offset"] for name, row in rows.items()}
