"""The hand-written Fetch response encoder writes what the generated one writes."""

from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.ids import Uuid
from pykbroker.protocol.fast_fetch import encode_fetch_response
from pykbroker.protocol.messages.fetch import (
    AbortedTransaction,
    EpochEndOffset,
    FetchableTopicResponse,
    FetchResponse,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionData,
    SnapshotId,
)
from tests.protocol.test_fast_produce import int16, int32, int64, names, uuids
from tests.protocol.vectors import label, lines_of

VERSIONS = range(FetchResponse.MIN_VERSION, FetchResponse.MAX_VERSION + 1)


class Row(NamedTuple):
    partition_index: int
    error_code: int
    high_watermark: int
    last_stable_offset: int
    log_start_offset: int
    aborted: list[AbortedTransaction] | None
    regions: list[bytes]
    size: int
    preferred_read_replica: int
    diverging: tuple[int, int] | None
    current_leader: tuple[int, int] | None


def row_of(data: PartitionData) -> Row:
    records = bytes(data.records or b"")
    half = len(records) // 2
    diverging, leader = data.diverging_epoch, data.current_leader
    return Row(
        data.partition_index,
        data.error_code,
        data.high_watermark,
        data.last_stable_offset,
        data.log_start_offset,
        data.aborted_transactions,
        [records[:half], records[half:]] if records else [],
        len(records),
        data.preferred_read_replica,
        (diverging.epoch, diverging.end_offset) if diverging != EpochEndOffset() else None,
        (leader.leader_id, leader.leader_epoch) if leader != LeaderIdAndEpoch() else None,
    )


def encode(response: FetchResponse, version: int) -> bytes:
    parts, size = encode_fetch_response(
        version,
        [
            (topic.topic if version < 13 else topic.topic_id, [row_of(data) for data in topic.partitions])
            for topic in response.responses
        ],
        error_code=response.error_code,
        session_id=response.session_id,
        endpoints=[(node.node_id, node.host, node.port) for node in response.node_endpoints],
    )
    joined = b"".join(parts)  # type: ignore[arg-type]
    assert len(joined) == size
    return joined


def make_plain(response: FetchResponse) -> None:
    """Takes away what this broker never says: throttling, snapshots, racks, null records."""
    response.throttle_time_ms = 0
    response.unknown_tags = None
    for node in response.node_endpoints:
        node.rack = node.unknown_tags = None
    for topic in response.responses:
        topic.unknown_tags = None
        for data in topic.partitions:
            make_plain_row(data)


def make_plain_row(data: PartitionData) -> None:
    data.unknown_tags = None
    data.snapshot_id = SnapshotId()
    data.records = data.records or b""
    data.diverging_epoch.unknown_tags = data.current_leader.unknown_tags = None
    for transaction in data.aborted_transactions or ():
        transaction.unknown_tags = None


def test_encodes_all_golden_responses() -> None:
    compared = 0
    for line in lines_of("wire/Fetch.jsonl.gz"):
        if line["kind"] == "response":
            version = line["version"]
            response, _ = FetchResponse.decode(bytes.fromhex(line["hex"]), version)
            make_plain(response)
            assert encode(response, version) == response.encode(version), label(line)
            compared += 1
    assert compared >= len(VERSIONS)


@settings(max_examples=300)
@given(st.data(), st.sampled_from(VERSIONS))
def test_encodes_random_responses(data: st.DataObject, version: int) -> None:
    flexible = version >= 12
    no_epoch: dict[str, Any] = {}
    tagged: dict[str, Any] = {
        "diverging_epoch": st.builds(EpochEndOffset, int32, int64),
        "current_leader": st.builds(LeaderIdAndEpoch, int32, int32),
    }
    rows = st.builds(
        PartitionData,
        partition_index=int32,
        error_code=int16,
        high_watermark=int64,
        last_stable_offset=int64,
        log_start_offset=int64 if version >= 5 else st.just(-1),
        preferred_read_replica=int32 if version >= 11 else st.just(-1),
        aborted_transactions=st.none() | st.lists(st.builds(AbortedTransaction, int64, int64), max_size=3),
        records=st.binary(max_size=300),
        **(tagged if flexible else no_epoch),
    )
    topics = st.builds(
        FetchableTopicResponse,
        topic=names if version < 13 else st.just(""),
        topic_id=uuids if version >= 13 else st.just(Uuid(16)),
        partitions=st.lists(rows, max_size=4),
    )
    nodes = st.lists(st.builds(NodeEndpoint, int32, names, int32), max_size=2, unique_by=lambda node: node.node_id)
    response = FetchResponse(
        error_code=data.draw(int16) if version >= 7 else 0,
        session_id=data.draw(int32) if version >= 7 else 0,
        responses=data.draw(st.lists(topics, max_size=4)),
        node_endpoints=data.draw(nodes) if version >= 16 else [],
    )
    assert encode(response, version) == response.encode(version)


def test_records_are_passed_through_untouched() -> None:
    region = b"records"
    row = Row(0, 0, 5, 5, 0, None, [region], len(region), -1, None, None)
    parts, size = encode_fetch_response(12, [("t", [row])])
    assert any(part is region for part in parts)
    assert size == sum(len(part) for part in parts)  # type: ignore[arg-type]
