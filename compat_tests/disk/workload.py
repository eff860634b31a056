"""What a directory must hold to be worth handing over, written by single requests to either broker; and all it serves.

Every round writes more of the same, so that each broker goes on with what the other began.
"""

import time
from random import Random
from typing import Any

from compat_tests.disk import served
from compat_tests.wire.conftest import SocketAsker
from pykbroker.ids import ZERO_UUID
from pykbroker.protocol.messages.create_partitions import CreatePartitionsRequest, CreatePartitionsTopic
from pykbroker.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from pykbroker.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)
from pykbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from pykbroker.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from pykbroker.record.builder import build_batch
from tests.handlers.broker.asker import Topic, codes, produce
from tests.handlers.cluster_asker import eventually
from tests.handlers.transaction_dialogue import TransactionalProducer

CODECS = range(5)
SMALL_SEGMENTS = {"internal_segment_bytes": "3000", "index_interval_bytes": "300", "retention_ms": "-1"}
# Not long ago, as producers are forgotten that wrote nothing for a day.
T0 = time.time_ns() // 1_000_000 - 5_000_000
PER_BATCH = 8
GROUPS = ("group-a", "group-b")
COMPACTED = "compacted"
STAYS_OPEN = "open"


def create_everything(asker: SocketAsker) -> None:
    asker.create(3, "codecs", **SMALL_SEGMENTS)
    asker.create(2, "txn", **SMALL_SEGMENTS)
    asker.create(1, "append-time", message_timestamp_type="LogAppendTime", **SMALL_SEGMENTS)
    asker.create(1, "recompressed", compression_type="zstd", **SMALL_SEGMENTS)
    asker.create(1, "trimmed", **SMALL_SEGMENTS)
    asker.create(2, "grown", **SMALL_SEGMENTS)
    asker.create(
        1,
        COMPACTED,
        cleanup_policy="compact",
        min_cleanable_dirty_ratio="0.01",
        **SMALL_SEGMENTS,
    )
    asker.create(2, "again", **SMALL_SEGMENTS)
    asker.create(1, "empty")


def write_round(asker: SocketAsker, number: int) -> None:
    found = {name: topic for name, (topic, _) in served.topics(asker).items()}
    for name in ("codecs", "append-time", "recompressed", "trimmed", "grown", COMPACTED):
        producer_id = new_producer_id(asker)
        for sequence, codec in enumerate([*CODECS, *CODECS]):
            for partition in range(3 if name == "codecs" else 1):
                write(asker, found[name], partition, producer_id, sequence, codec, number)
    trim(asker, found["trimmed"])
    transactions(asker, found, number)
    commit_offsets(asker, found, number)
    change_settings(asker, number)
    create_again(asker, found["again"])
    grow(asker, 2 + number)


def new_producer_id(asker: SocketAsker) -> int:
    answer = eventually(
        lambda: asker.ask(InitProducerIdRequest(transactional_id=None), 4), lambda answer: answer.error_code == 0
    )
    return int(answer.producer_id)


def write(
    asker: SocketAsker, topic: Topic, partition: int, producer_id: int, sequence: int, codec: int, number: int
) -> None:
    """One batch: keys come again, some values are null, timestamps go back and forth."""
    records = [
        (
            b"key-%d" % (each % 5),
            None if each == 3 else Random(f"{number} {sequence} {each}").randbytes(90),
            [("header", b"x" * each), ("null", None)] if each % 2 else [],
            T0 + number * 1_000_000 + sequence * 1000 + (each * 7) % 5,
        )
        for each in range(PER_BATCH)
    ]
    batch = build_batch(
        records, codec=codec, producer_id=producer_id, producer_epoch=0, base_sequence=sequence * PER_BATCH
    )
    assert codes(produce(asker, topic, [(partition, bytes(batch))])) == {partition: 0}


def trim(asker: SocketAsker, topic: Topic) -> None:
    """Half of what is there, in the middle of a batch."""
    end = served.offset_for(asker, topic, 0, served.LATEST).offset
    rows = [DeleteRecordsPartition(partition_index=0, offset=end // 2 + 3)]
    request = DeleteRecordsRequest(topics=[DeleteRecordsTopic(name=topic.name, partitions=rows)], timeout_ms=10_000)
    (answer,) = asker.ask(request, 2).topics[0].partitions
    assert (answer.error_code, answer.low_watermark) == (0, end // 2 + 3)


def transactions(asker: SocketAsker, found: dict[str, Topic], number: int) -> None:
    """Two producers, interleaved; one commits offsets with it; a third leaves its transaction open."""
    served.committed(asker, GROUPS[1])  # from now on its coordinator is there
    first, second = TransactionalProducer(asker, "first"), TransactionalProducer(asker, "second")
    assert first.init() == second.init() == 0
    for commits in (True, False, True):
        for producer in (first, second):
            for partition in (0, 1):
                assert producer.produce(found["txn"], partition).error_code == 0
        assert second.commit_offset(GROUPS[1], found["txn"], number * 10 + commits, partition=1) == 0
        assert first.end(commits) == second.end(not commits) == 0
        first.at_rest(), second.at_rest()
    opened = TransactionalProducer(asker, STAYS_OPEN)
    assert opened.init(timeout_ms=800_000) == 0  # aborts what it left open before
    assert opened.produce(found["txn"], 1).error_code == 0


def commit_offsets(asker: SocketAsker, found: dict[str, Topic], number: int) -> None:
    served.committed(asker, GROUPS[0])
    rows = [
        OffsetCommitRequestPartition(
            partition_index=partition,
            committed_offset=number * 10 + partition,
            committed_leader_epoch=0,
            committed_metadata=f"round {number} ünïcødé",
        )
        for partition in range(3)
    ]
    topics = [OffsetCommitRequestTopic(name="codecs", partitions=rows)]
    answer = eventually(
        lambda: asker.ask(OffsetCommitRequest(group_id=GROUPS[0], topics=topics), 8),
        lambda answer: {row.error_code for row in answer.topics[0].partitions} == {0},
    )
    assert len(answer.topics[0].partitions) == len(rows)


def change_settings(asker: SocketAsker, number: int) -> None:
    def resource(kind: int, name: str, **settings: str) -> AlterConfigsResource:
        rows = [AlterableConfig(name=key.replace("_", "."), value=value) for key, value in settings.items()]
        return AlterConfigsResource(resource_type=kind, resource_name=name, configs=rows)

    request = IncrementalAlterConfigsRequest(
        resources=[
            resource(served.TOPIC, "codecs", max_message_bytes=str(500_000 + number)),
            resource(served.BROKER, "", log_flush_interval_messages=str(100_000 + number)),
            resource(served.BROKER, "1", message_max_bytes=str(900_000 + number)),
        ]
    )
    answer = asker.ask(request, 1)
    assert [row.error_code for row in answer.responses] == [0, 0, 0], answer


def create_again(asker: SocketAsker, old: Topic) -> None:
    """A topic of the same name, without anything of the one before."""
    assert codes(produce(asker, old, [(0, bytes(build_batch([(None, b"old", [], T0)])))])) == {0: 0}
    asker.delete(old)
    new = asker.create(2, old.name, **SMALL_SEGMENTS)
    assert new.id not in (old.id, ZERO_UUID)
    assert codes(produce(asker, new, [(1, bytes(build_batch([(None, b"new", [], T0)])))])) == {1: 0}


def grow(asker: SocketAsker, partitions: int) -> None:
    request = CreatePartitionsRequest(
        topics=[CreatePartitionsTopic(name="grown", count=partitions, assignments=None)], timeout_ms=10_000
    )
    (row,) = asker.ask(request, 3).results
    assert row.error_code == 0, row
    eventually(lambda: served.topics(asker)["grown"][1], lambda epochs: len(epochs) == partitions)


def await_compaction(asker: SocketAsker) -> None:
    """Until records have gone whose keys have newer ones."""
    topic, _ = served.topics(asker)[COMPACTED]

    def offsets() -> list[int]:
        return served.read_committed(asker, topic, 0)

    eventually(offsets, lambda found: len(found) <= found[-1])


def everything(asker: SocketAsker) -> dict[str, Any]:
    """All that outlives a broker. Leader epochs do not: each start has its own."""
    found = served.topics(asker)
    own = {name: row for name, row in found.items() if not name.startswith("__")}
    return {
        "ids": {name: str(topic.id) for name, (topic, _) in found.items()},
        "partitions": {
            f"{name}-{number}": of_partition(asker, topic, number)
            for name, (topic, epochs) in own.items()
            for number in epochs
        },
        "groups": {group: served.committed(asker, group) for group in GROUPS},
        "transactions": {name: at_rest(asker, name) for name in served.transactional_ids(asker)},
        "topic configs": {name: served.configs(asker, served.TOPIC, name) for name in own},
        "broker configs": [served.configs(asker, served.BROKER, name) for name in ("", "1")],
        "features": served.features(asker),
    }


def at_rest(asker: SocketAsker, name: str) -> dict[str, Any]:
    return dict(eventually(lambda: served.transaction(asker, name), lambda row: not row["state"].startswith("Prepare")))


def of_partition(asker: SocketAsker, topic: Topic, number: int) -> dict[str, Any]:
    # In segments before the log start offset Kafka finds a time, and then no record: until they are deleted, we differ.
    times = [] if topic.name == "trimmed" else [T0 + 1_000_000 * step + 2500 for step in range(4)]
    row = served.partition(asker, topic, number, times)
    if topic.name != COMPACTED:
        return row
    # Compaction goes on when it likes: what it may not change.
    newest = {record["key"]: record for record in row["records"]}
    return {"newest": newest, "producers": row["active_producers"], "end": row["high_watermark"]}
