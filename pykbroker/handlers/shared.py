"""What more than two handlers need."""

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode


def require_time(timeout_ms: int) -> None:
    """The controller does not begin what is late already (KafkaEventQueue). Raises KafkaError(REQUEST_TIMED_OUT)."""
    if timeout_ms <= 0:
        raise KafkaError(ErrorCode.REQUEST_TIMED_OUT)
