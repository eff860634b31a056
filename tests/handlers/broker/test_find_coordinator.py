"""FindCoordinator of groups, as the real Kafka 4.3.1 answers it; that creates the topic after its first answer."""

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
