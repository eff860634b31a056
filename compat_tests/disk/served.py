"""What a broker serves of what lies in its directory, in the form of the golden manifests (`served`)."""

from collections.abc import Iterable, Iterator
from typing import Any

from compat_tests.wire.conftest import SocketAsker
from pykbroker.protocol.messages.api_versions import ApiVersionsRequest
from pykbroker.protocol.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from pykbroker.protocol.messages.describe_producers import DescribeProducersRequest, TopicRequest
from pykbroker.protocol.messages.describe_transactions import DescribeTransactionsRequest
from pykbroker.protocol.messages.list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from pykbroker.protocol.messages.list_transactions import ListTransactionsRequest
from pykbroker.protocol.messages.metadata import MetadataRequest
from pykbroker.protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup
from pykbroker.record.batch import BatchHeader, iterate_batches
from pykbroker.record.control import ControlType, control_type_of
from pykbroker.record.reader import iterate_records
from tests.handlers.broker.asker import Topic, fetch, wants
from tests.handlers.cluster_asker import eventually
from tests.handlers.transaction_dialogue import find_coordinator

EARLIEST, LATEST, MAX_TIMESTAMP = -2, -1, -3
READ_COMMITTED = 1
BROKER, TOPIC = 4, 2
# Sources of a config that somebody set: on the topic, the broker, all brokers.
SET_BY_SOMEBODY = (1, 2, 3)
GROUP_COORDINATOR, TRANSACTION_COORDINATOR = 0, 1


def topics(asker: SocketAsker) -> dict[str, Any]:
    """Every topic by its name: (topic, {partition: leader epoch}), once all have a leader."""

    def asked() -> Any:
        return asker.ask(MetadataRequest(topics=None, allow_auto_topic_creation=False), 12).topics

    rows = eventually(asked, lambda rows: all(part.leader_id == 1 for row in rows for part in row.partitions))
    return {
        row.name: (Topic(row.name, row.topic_id), {part.partition_index: part.leader_epoch for part in row.partitions})
        for row in rows
    }


def partition(asker: SocketAsker, topic: Topic, number: int, timestamps: Iterable[int] = ()) -> dict[str, Any]:
    """One partition as the manifests tell it; the leader epoch of now is told by `topics`."""
    fetched = list(fetch_all(asker, topic, number))
    latest = offset_for(asker, topic, number, LATEST)
    stable = offset_for(asker, topic, number, LATEST, READ_COMMITTED)
    newest = offset_for(asker, topic, number, MAX_TIMESTAMP)
    return {
        "log_start_offset": offset_for(asker, topic, number, EARLIEST).offset,
        "high_watermark": latest.offset,
        "last_stable_offset": stable.offset,
        "max_timestamp": {"offset": newest.offset, "timestamp": newest.timestamp},
        "records": [record for header, data in fetched if not header.is_control for record in told(header, data)],
        "read_committed_offsets": read_committed(asker, topic, number),
        "offset_for_time": [time_found(asker, topic, number, timestamp) for timestamp in timestamps],
        "active_producers": producers(asker, topic, number),
    }


def offset_for(asker: SocketAsker, topic: Topic, number: int, timestamp: int, isolation: int = 0) -> Any:
    asked = [ListOffsetsPartition(partition_index=number, timestamp=timestamp)]
    request = ListOffsetsRequest(
        replica_id=-1, isolation_level=isolation, topics=[ListOffsetsTopic(name=topic.name, partitions=asked)]
    )
    # A broker that has just started leads its partitions a moment later.
    return eventually(lambda: asker.ask(request, 8).topics[0].partitions[0], lambda row: row.error_code == 0)


def time_found(asker: SocketAsker, topic: Topic, number: int, timestamp: int) -> dict[str, int]:
    row = offset_for(asker, topic, number, timestamp)
    return {
        "timestamp": timestamp,
        "offset": row.offset,
        "found_timestamp": row.timestamp,
        "leader_epoch": row.leader_epoch,
    }


def fetched_rows(asker: SocketAsker, topic: Topic, number: int, isolation: int) -> Iterator[Any]:
    """The answers of a consumer that reads from the log start offset to the end."""
    position = offset_for(asker, topic, number, EARLIEST).offset
    end = offset_for(asker, topic, number, LATEST, isolation).offset
    while position < end:
        response = fetch(asker, (topic, [wants(number, position)]), isolation_level=isolation)
        (row,) = response.responses[0].partitions
        assert row.error_code == 0, row
        assert row.records, f"nothing at {position} of {topic.name}-{number}, which ends at {end}"
        yield position, row
        *_, (header, _) = iterate_batches(row.records)
        position = header.last_offset + 1


def fetch_all(asker: SocketAsker, topic: Topic, number: int) -> Iterator[tuple[BatchHeader, bytes]]:
    """Every batch; records before the log start offset, which a batch may begin with, are cut off by `told`."""
    for position, row in fetched_rows(asker, topic, number, 0):
        for header, place in iterate_batches(row.records):
            if header.last_offset >= position:
                yield header, bytes(row.records[place : place + header.size_in_bytes])


def told(header: BatchHeader, data: bytes) -> Iterator[dict[str, Any]]:
    for record in iterate_records(data):
        row: dict[str, Any] = {
            "offset": record.offset,
            "timestamp": record.timestamp,
            "timestamp_type": "LogAppendTime" if header.is_log_append_time else "CreateTime",
            "leader_epoch": header.partition_leader_epoch,
            "key": hexed(record.key),
            "value": hexed(record.value),
        }
        if record.headers:
            row["headers"] = [[name, hexed(value)] for name, value in record.headers]
        yield row


def hexed(data: bytes | None) -> str | None:
    return None if data is None else bytes(data).hex()


def read_committed(asker: SocketAsker, topic: Topic, number: int) -> list[int]:
    """The offsets that a consumer is given which leaves out aborted transactions, as the Java client does it."""
    offsets = []
    for position, row in fetched_rows(asker, topic, number, READ_COMMITTED):
        coming = sorted(row.aborted_transactions or (), key=lambda item: item.first_offset)
        aborted: set[int] = set()
        for header, place in iterate_batches(row.records):
            while coming and coming[0].first_offset <= header.last_offset:
                aborted.add(coming.pop(0).producer_id)
            records = list(iterate_records(row.records, place))
            if header.is_control:
                if records and control_type_of(records[0].key) == ControlType.ABORT:
                    aborted.discard(header.producer_id)
            elif not (header.is_transactional and header.producer_id in aborted):
                offsets += [record.offset for record in records if position <= record.offset < row.last_stable_offset]
    return offsets


def producers(asker: SocketAsker, topic: Topic, number: int) -> list[dict[str, int]]:
    request = DescribeProducersRequest(topics=[TopicRequest(name=topic.name, partition_indexes=[number])])
    (row,) = asker.ask(request, 0).topics[0].partitions
    assert row.error_code == 0, row
    fields = "producer_id producer_epoch last_sequence last_timestamp coordinator_epoch current_txn_start_offset"
    found = [{field: getattr(each, field) for field in fields.split()} for each in row.active_producers]
    return sorted(found, key=lambda each: each["producer_id"])


def committed(asker: SocketAsker, group: str) -> dict[str, dict[str, Any]]:
    """All offsets of a group by "topic-partition"."""
    find_coordinator(asker, group, GROUP_COORDINATOR)
    request = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=group, topics=None)])
    answer = eventually(lambda: asker.ask(request, 8).groups[0], lambda answer: answer.error_code == 0)
    return {
        f"{topic.name}-{row.partition_index}": {
            "offset": row.committed_offset,
            "metadata": row.metadata,
            "leader_epoch": row.committed_leader_epoch,
        }
        for topic in answer.topics
        for row in topic.partitions
    }


def transaction(asker: SocketAsker, transactional_id: str) -> dict[str, Any]:
    find_coordinator(asker, transactional_id, TRANSACTION_COORDINATOR)
    request = DescribeTransactionsRequest(transactional_ids=[transactional_id])
    row = eventually(lambda: asker.ask(request, 0).transaction_states[0], lambda row: row.error_code == 0)
    return {
        "state": row.transaction_state,
        "producer_id": row.producer_id,
        "producer_epoch": row.producer_epoch,
        "timeout_ms": row.transaction_timeout_ms,
        "partitions": [f"{topic.topic}-{number}" for topic in row.topics for number in topic.partitions],
    }


def transactional_ids(asker: SocketAsker) -> set[str]:
    answer = eventually(lambda: asker.ask(ListTransactionsRequest(), 1), lambda answer: answer.error_code == 0)
    return {row.transactional_id for row in answer.transaction_states}


def configs(asker: SocketAsker, resource_type: int, name: str) -> dict[str, str | None]:
    """What somebody set dynamically; of secrets the value is not told."""
    request = DescribeConfigsRequest(
        resources=[DescribeConfigsResource(resource_type=resource_type, resource_name=name, configuration_keys=None)],
        include_synonyms=True,
    )
    (row,) = asker.ask(request, 4).results
    assert row.error_code == 0, row
    return {
        config.name: synonym.value
        for config in row.configs
        for synonym in config.synonyms[:1]
        if synonym.source in SET_BY_SOMEBODY
    }


def features(asker: SocketAsker) -> dict[str, int]:
    answer = asker.ask(ApiVersionsRequest(client_software_name="raw", client_software_version="1"), 3)
    return {row.name: row.max_version_level for row in answer.finalized_features}
