"""FindCoordinator of groups and share partitions, as the real Kafka 4.3.1 answers it.

That creates the topic after its first answer."""

from typing import Any

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from tests.handlers.broker.asker import Asker
from tests.handlers.cluster_asker import eventually, metadata

GROUP, SHARE = 0, 2
MALFORMED = (
    "This most likely occurs because of a request being malformed by the client library or the message was sent to an "
    "incompatible broker. See the broker logs for more details."
)


def find(asker: Asker, key: str, version: int, key_type: int = GROUP) -> Any:
    """The answer for one key in the versions before 4."""
    fields = {"key_type": key_type} if version >= 1 else {}
    return asker.ask(FindCoordinatorRequest(key=key, **fields), version)


def find_many(asker: Asker, keys: list[str], version: int, key_type: int = GROUP) -> Any:
    """The answer's rows from version 4 on."""
    response = asker.ask(FindCoordinatorRequest(coordinator_keys=keys, key_type=key_type), version)
    assert response.throttle_time_ms == 0
    return response.coordinators


@pytest.fixture
def address(cluster: Asker) -> tuple[int, str, int]:
    """Node id, host and port of the broker, once it coordinates groups."""
    eventually(lambda: find(cluster, "any", 3), lambda answer: answer.error_code == 0)
    (broker,) = metadata(cluster, []).brokers
    return broker.node_id, broker.host, broker.port


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_one_group(cluster: Asker, address: tuple[int, str, int], version: int) -> None:
    response = find(cluster, "group", version)
    assert (response.error_code, response.throttle_time_ms) == (0, 0)
    assert response.error_message == ("NONE" if version >= 1 else "")
    assert (response.node_id, response.host, response.port) == address


@pytest.mark.parametrize("version", [4, 5, 6])
def test_many_groups(cluster: Asker, address: tuple[int, str, int], version: int) -> None:
    rows = find_many(cluster, ["group", "", "other", "group"], version)
    assert [row.key for row in rows] == ["group", "", "other", "group"]
    for row in rows:
        assert (row.error_code, row.error_message) == (0, "")
        assert (row.node_id, row.host, row.port) == address


def test_no_groups(cluster: Asker) -> None:
    assert find_many(cluster, [], 4) == []


def test_the_offsets_topic_is_created(cluster: Asker, address: tuple[int, str, int]) -> None:
    (row,) = metadata(cluster, ["__consumer_offsets"]).topics
    assert (row.error_code, row.is_internal) == (0, True)


@pytest.mark.parametrize("key_type", [-1, 3])
def test_unknown_types(cluster: Asker, key_type: int) -> None:
    for version in (1, 3):
        response = find(cluster, "key", version, key_type)
        assert (response.error_code, response.error_message) == (ErrorCode.INVALID_REQUEST, MALFORMED)
        assert (response.node_id, response.host, response.port) == (-1, "", -1)
    for version in (4, 6):
        rows = find_many(cluster, ["key", "other"], version, key_type)
        assert [row.key for row in rows] == ["key", "other"]
        assert {(row.error_code, row.error_message) for row in rows} == {(ErrorCode.INVALID_REQUEST, MALFORMED)}
        assert {(row.node_id, row.host, row.port) for row in rows} == {(-1, "", -1)}


def test_share_groups_have_no_coordinator_in_old_versions(cluster: Asker) -> None:
    for version in (1, 3):
        response = find(cluster, "key", version, SHARE)
        assert (response.error_code, response.error_message) == (ErrorCode.INVALID_REQUEST, MALFORMED)
    for version in (4, 5):
        (row,) = find_many(cluster, ["key"], version, SHARE)
        assert (row.error_code, row.error_message, row.node_id) == (ErrorCode.INVALID_REQUEST, "", -1)


SHARE_PARTITION = "group:AAAAAAAAAAAAAAAAAAAAAQ:0"


def test_share_partitions(coordinated: Asker) -> None:
    keys = [SHARE_PARTITION, "a:b:" + SHARE_PARTITION, ":" + SHARE_PARTITION, SHARE_PARTITION.replace(":0", ":-7")]
    keys += [SHARE_PARTITION.replace(":0", ":+3::"), SHARE_PARTITION.replace("Q:0", "Q==:00002147483647")]
    keys += [SHARE_PARTITION.replace("Q:0", "R:0")]
    eventually(
        lambda: find_many(coordinated, [SHARE_PARTITION], 6, SHARE)[0], lambda row: row.error_code == ErrorCode.NONE
    )
    (broker,) = metadata(coordinated, []).brokers
    for row, key in zip(find_many(coordinated, keys, 6, SHARE), keys, strict=True):
        assert (row.key, row.error_code, row.error_message) == (key, ErrorCode.NONE, "")
        assert (row.node_id, row.host, row.port) == (broker.node_id, broker.host, broker.port)
    (row,) = metadata(coordinated, ["__share_group_state"]).topics
    assert (row.error_code, row.is_internal) == (0, True)


def test_share_partitions_have_a_group_a_topic_id_and_a_number(coordinated: Asker) -> None:
    group, topic_id, partition = SHARE_PARTITION.split(":")
    parts = [
        (group, topic_id),
        ("", topic_id, partition),
        (" \t", topic_id, partition),
        (group, topic_id[:-1], partition),
        (group, topic_id + "=", partition),
        (group, topic_id + "A", partition),
        (group, topic_id[:-1] + "!", partition),
        (group, topic_id[:-1] + "+", partition),
        (group, topic_id, ""),
        (group, topic_id, " 0"),
        (group, topic_id, "0x1"),
        (group, topic_id, "1_0"),
        (group, topic_id, "2147483648"),
        (group, "", topic_id, "-2147483649"),
    ]
    keys = ["", "key", *(":".join(part) for part in parts)]
    for row in find_many(coordinated, keys, 6, SHARE):
        assert (row.error_code, row.error_message, row.node_id) == (ErrorCode.INVALID_REQUEST, "", -1), row.key
