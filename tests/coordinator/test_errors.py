"""How errors of the log reach the clients of a coordinator."""

import pytest

from pykbroker.coordinator.errors import client_error, error_for_client
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        (E.NONE, E.NONE),
        (E.NETWORK_EXCEPTION, E.COORDINATOR_LOAD_IN_PROGRESS),
        (E.UNKNOWN_TOPIC_OR_PARTITION, E.COORDINATOR_NOT_AVAILABLE),
        (E.NOT_ENOUGH_REPLICAS, E.COORDINATOR_NOT_AVAILABLE),
        (E.REQUEST_TIMED_OUT, E.COORDINATOR_NOT_AVAILABLE),
        (E.NOT_LEADER_OR_FOLLOWER, E.NOT_COORDINATOR),
        (E.KAFKA_STORAGE_ERROR, E.NOT_COORDINATOR),
        (E.MESSAGE_TOO_LARGE, E.UNKNOWN_SERVER_ERROR),
        (E.RECORD_LIST_TOO_LARGE, E.UNKNOWN_SERVER_ERROR),
        (E.INVALID_FETCH_SIZE, E.UNKNOWN_SERVER_ERROR),
        (E.UNKNOWN_MEMBER_ID, E.UNKNOWN_MEMBER_ID),
    ],
)
def test_client_error(code: E, answer: E) -> None:
    assert client_error(code) == answer


def test_what_the_log_says_is_not_told() -> None:
    heard = error_for_client(KafkaError(E.NOT_ENOUGH_REPLICAS, "The size of the current ISR (1,) is insufficient"))
    assert (heard.code, heard.message) == (E.COORDINATOR_NOT_AVAILABLE, None)
    heard = error_for_client(KafkaError(E.UNKNOWN_MEMBER_ID, "Member m is not a member of group g."))
    assert (heard.code, heard.message) == (E.UNKNOWN_MEMBER_ID, "Member m is not a member of group g.")
