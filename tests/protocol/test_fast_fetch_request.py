"""The hand-written Fetch request decoder says what the generated one says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.errors import MalformedFrame
from pykbroker.ids import Uuid
from pykbroker.protocol.damage import MAX_ELEMENTS
from pykbroker.protocol.fast_fetch_request import FetchQuery, decode_fetch_request
from pykbroker.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic, ForgottenTopic, ReplicaState
from tests.protocol.test_fast_produce import int32, int64, names, tags, uuids
from tests.protocol.vectors import lines_of

VERSIONS = range(FetchRequest.MIN_VERSION, FetchRequest.MAX_VERSION + 1)
LINES = [line for line in lines_of("wire/Fetch.jsonl.gz") if line["kind"] == "request"]


def flat(request: FetchRequest, version: int) -> FetchQuery:
    by_id = version >= 13
    return FetchQuery(
        request.replica_id if version < 15 else request.replica_state.replica_id,
        request.max_wait_ms,
        request.min_bytes,
        request.max_bytes,
        request.isolation_level,
        request.session_id,
        request.session_epoch,
        [
            (
                topic.topic_id if by_id else topic.topic,
                row.partition,
                row.current_leader_epoch,
                row.fetch_offset,
                row.last_fetched_epoch,
                row.log_start_offset,
                row.partition_max_bytes,
            )
            for topic in request.topics
            for row in topic.partitions
        ],
        [
            (topic.topic_id if by_id else topic.topic, index)
            for topic in request.forgotten_topics_data
            for index in topic.partitions
        ],
        request.rack_id,
        request.replica_state.replica_epoch,
    )


def assert_decodes_alike(raw: bytes, version: int) -> None:
    expected, expected_end = FetchRequest.decode(raw, version)
    assert decode_fetch_request(memoryview(raw), version) == (flat(expected, version), expected_end)


def test_decodes_all_golden_requests() -> None:
    assert {line["version"] for line in LINES} == set(VERSIONS)
    for line in LINES:
        assert_decodes_alike(bytes.fromhex(line["hex"]), line["version"])


def test_refuses_every_strict_prefix() -> None:
    for line in LINES:
        raw = bytes.fromhex(line["hex"])
        for size in range(len(raw)):
            with pytest.raises(MalformedFrame):
                decode_fetch_request(memoryview(raw[:size]), line["version"])


@settings(max_examples=300)
@given(st.data(), st.sampled_from(VERSIONS))
def test_decodes_random_requests(data: st.DataObject, version: int) -> None:
    some_tags = tags if version >= 12 else st.none()
    topic_name = names if version < 13 else st.just("")
    topic_id = uuids if version >= 13 else st.just(Uuid(16))
    partitions = st.builds(
        FetchPartition,
        partition=int32,
        current_leader_epoch=int32,
        fetch_offset=int64,
        last_fetched_epoch=int32 if version >= 12 else st.just(-1),
        log_start_offset=int64,
        partition_max_bytes=int32,
        replica_directory_id=uuids,
        high_watermark=int64,
        unknown_tags=some_tags,
    )
    topics = st.builds(
        FetchTopic,
        topic=topic_name,
        topic_id=topic_id,
        partitions=st.lists(partitions, max_size=4),
        unknown_tags=some_tags,
    )
    forgotten = st.builds(
        ForgottenTopic,
        topic=topic_name,
        topic_id=topic_id,
        partitions=st.lists(int32, max_size=20),
        unknown_tags=some_tags,
    )
    request = data.draw(
        st.builds(
            FetchRequest,
            cluster_id=(st.none() | names) if version >= 12 else st.none(),
            replica_id=int32 if version < 15 else st.just(-1),
            replica_state=st.builds(ReplicaState, int32, int64, some_tags)
            if version >= 15
            else st.just(ReplicaState()),
            max_wait_ms=int32,
            min_bytes=int32,
            max_bytes=int32,
            isolation_level=st.integers(-128, 127),
            session_id=int32 if version >= 7 else st.just(0),
            session_epoch=int32 if version >= 7 else st.just(-1),
            topics=st.lists(topics, max_size=4),
            forgotten_topics_data=st.lists(forgotten, max_size=4) if version >= 7 else st.just([]),
            rack_id=names,
            unknown_tags=some_tags,
        )
    )
    assert_decodes_alike(bytes(request.encode(version)), version)


@given(st.binary(max_size=200), st.sampled_from(VERSIONS))
def test_garbage_never_does_more_than_refuse(raw: bytes, version: int) -> None:
    try:
        _, end = decode_fetch_request(memoryview(raw), version)
    except MalformedFrame:
        with pytest.raises(MalformedFrame):
            FetchRequest.decode(raw, version)
    else:
        assert end <= len(raw)


def test_a_huge_count_costs_nothing() -> None:
    raw = bytes(FetchRequest(topics=[FetchTopic(topic="t")]).encode(4))
    huge = raw[:-4] + b"\x7f\xff\xff\xff"
    with pytest.raises(MalformedFrame):
        decode_fetch_request(memoryview(huge), 4)


@pytest.mark.parametrize("version", [11, 12])
def test_more_partitions_than_anybody_fetches(version: int) -> None:
    for count, fits in ((MAX_ELEMENTS, True), (MAX_ELEMENTS + 1, False)):
        rows = [FetchPartition(partition=0)] * count
        raw = memoryview(FetchRequest(topics=[FetchTopic(topic="t", partitions=rows)]).encode(version))
        if fits:
            assert len(decode_fetch_request(raw, version)[0].rows) == count
            continue
        with pytest.raises(MalformedFrame, match=f"more than {MAX_ELEMENTS}"):
            decode_fetch_request(raw, version)
