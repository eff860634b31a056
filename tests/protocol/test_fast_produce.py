"""The hand-written Produce codec says what the generated one says: on all golden lines and on random messages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.errors import MalformedFrame
from pykbroker.ids import Uuid
from pykbroker.protocol.damage import MAX_ELEMENTS
from pykbroker.protocol.fast_produce import TopicKey, decode_produce_request, encode_produce_response
from pykbroker.protocol.messages.produce import (
    LeaderIdAndEpoch,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from tests.protocol.vectors import label, lines_of

VERSIONS = range(ProduceRequest.MIN_VERSION, ProduceRequest.MAX_VERSION + 1)
LINES = lines_of("wire/Produce.jsonl.gz")
int16, int32, int64 = (st.integers(-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (16, 32, 64))
names = st.text(max_size=200)
uuids = st.binary(min_size=16, max_size=16).map(Uuid)
tags = st.lists(st.tuples(st.integers(100, 200), st.binary(max_size=9)), max_size=2, unique_by=lambda tag: tag[0]).map(
    lambda found: sorted(found) or None
)


def assert_decodes_alike(raw: bytes, version: int) -> None:
    expected, expected_end = ProduceRequest.decode(raw, version)
    query, end = decode_produce_request(memoryview(raw), version)
    assert end == expected_end
    assert (query.transactional_id, query.acks, query.timeout_ms) == (
        expected.transactional_id,
        expected.acks,
        expected.timeout_ms,
    )
    assert query.topics == [
        (topic.name if version < 13 else topic.topic_id, [(row.index, row.records) for row in topic.partition_data])
        for topic in expected.topic_data
    ]


def test_decodes_all_golden_requests() -> None:
    requests = [line for line in LINES if line["kind"] == "request"]
    assert requests
    for line in requests:
        assert_decodes_alike(bytes.fromhex(line["hex"]), line["version"])


def test_refuses_every_strict_prefix() -> None:
    for line in LINES:
        if line["kind"] != "request":
            continue
        raw = bytes.fromhex(line["hex"])
        for size in range(len(raw)):
            with pytest.raises(MalformedFrame):
                decode_produce_request(memoryview(raw[:size]), line["version"])


def test_encodes_all_golden_responses_that_have_only_plain_rows() -> None:
    compared = 0
    for line in LINES:
        if line["kind"] == "response":
            version = line["version"]
            response, _ = ProduceResponse.decode(bytes.fromhex(line["hex"]), version)
            make_plain(response)
            assert encode_produce_response(version, rows_of(response, version)) == response.encode(version), label(line)
            compared += 1
    assert compared >= len(VERSIONS)


def make_plain(response: ProduceResponse) -> None:
    """Takes away what the fast codec leaves to the generated one."""
    response.throttle_time_ms = 0
    response.node_endpoints = []
    response.unknown_tags = None
    for topic in response.responses:
        topic.unknown_tags = None
        for row in topic.partition_responses:
            row.record_errors, row.error_message, row.unknown_tags = [], None, None
            row.current_leader = LeaderIdAndEpoch()


def rows_of(response: ProduceResponse, version: int) -> list[tuple[TopicKey, list[tuple[int, int, int, int, int]]]]:
    return [
        (
            topic.name if version < 13 else topic.topic_id,
            [
                (row.index, row.error_code, row.base_offset, row.log_append_time_ms, row.log_start_offset)
                for row in topic.partition_responses
            ],
        )
        for topic in response.responses
    ]


@settings(max_examples=200)
@given(st.data(), st.sampled_from(VERSIONS))
def test_decodes_random_requests(data: st.DataObject, version: int) -> None:
    partitions = st.builds(
        PartitionProduceData,
        index=int32,
        records=st.none() | st.binary(max_size=300),
        unknown_tags=tags if version >= 9 else st.none(),
    )
    topics = st.builds(
        TopicProduceData,
        name=names if version < 13 else st.just(""),
        topic_id=uuids if version >= 13 else st.just(Uuid(16)),
        partition_data=st.lists(partitions, max_size=4),
        unknown_tags=tags if version >= 9 else st.none(),
    )
    request = data.draw(
        st.builds(
            ProduceRequest,
            transactional_id=st.none() | names,
            acks=int16,
            timeout_ms=int32,
            topic_data=st.lists(topics, max_size=4),
            unknown_tags=tags if version >= 9 else st.none(),
        )
    )
    assert_decodes_alike(bytes(request.encode(version)), version)


@settings(max_examples=200)
@given(st.data(), st.sampled_from(VERSIONS))
def test_encodes_random_responses(data: st.DataObject, version: int) -> None:
    rows = st.builds(
        PartitionProduceResponse,
        index=int32,
        error_code=int16,
        base_offset=int64,
        log_append_time_ms=int64,
        log_start_offset=int64 if version >= 5 else st.just(-1),
    )
    topics = st.builds(
        TopicProduceResponse,
        name=names if version < 13 else st.just(""),
        topic_id=uuids if version >= 13 else st.just(Uuid(16)),
        partition_responses=st.lists(rows, max_size=200),
    )
    response = ProduceResponse(responses=data.draw(st.lists(topics, max_size=4)))
    assert encode_produce_response(version, rows_of(response, version)) == response.encode(version)


@given(st.binary(max_size=200), st.sampled_from(VERSIONS))
def test_garbage_is_malformed_or_decodes_alike(raw: bytes, version: int) -> None:
    try:
        ProduceRequest.decode(raw, version)
    except MalformedFrame:
        with pytest.raises(MalformedFrame):
            decode_produce_request(memoryview(raw), version)
    else:
        assert_decodes_alike(raw, version)


def test_records_are_views_of_the_frame() -> None:
    request = ProduceRequest(
        acks=1, topic_data=[TopicProduceData(name="t", partition_data=[PartitionProduceData(index=0, records=b"abc")])]
    )
    frame = request.encode(9)
    query, _ = decode_produce_request(memoryview(frame), 9)
    records = query.topics[0][1][0][1]
    assert records is not None
    records[0:1] = b"x"
    assert b"xbc" in frame


@pytest.mark.parametrize("version", [8, 9])
def test_more_partitions_than_anybody_produces_to(version: int) -> None:
    """A hundred megabytes of partitions without records are ten millions of them."""
    rows = [PartitionProduceData(index=0, records=None)] * (MAX_ELEMENTS // 2 + 1)
    request = ProduceRequest(acks=1, timeout_ms=1, topic_data=[TopicProduceData(name="t", partition_data=rows)] * 2)
    with pytest.raises(MalformedFrame, match=f"more than {MAX_ELEMENTS}"):
        decode_produce_request(memoryview(request.encode(version)), version)
