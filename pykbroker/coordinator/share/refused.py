"""What the state of a share partition does not allow. Told as it is, unlike errors of the log."""

from pykbroker.errors import KafkaError


class Refused(KafkaError):
    """FENCED_LEADER_EPOCH, FENCED_STATE_EPOCH, INVALID_REQUEST, UNKNOWN_TOPIC_OR_PARTITION."""
