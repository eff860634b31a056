"""The texts of the two exceptions: they are what a log line shows."""

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.protocol.error_codes import ErrorCode


def test_a_kafka_error_names_its_code() -> None:
    assert str(KafkaError(ErrorCode.INVALID_TOPIC_EXCEPTION)) == "INVALID_TOPIC_EXCEPTION"
    assert str(KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, "of that")) == "UNKNOWN_SERVER_ERROR: of that"
    assert str(KafkaError(4242, "new")) == "4242: new"


def test_no_message_is_not_an_empty_one() -> None:
    assert KafkaError(ErrorCode.NOT_CONTROLLER).message is None


def test_a_malformed_frame_says_where_if_that_is_known() -> None:
    assert str(MalformedFrame("too short", 7)) == "too short at byte 7"
    assert str(MalformedFrame("too short", 0)) == "too short at byte 0"
    assert str(MalformedFrame("too short")) == "too short"
    assert MalformedFrame("too short").position == -1
