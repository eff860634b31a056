"""Errors of the log, as clients of a coordinator hear them (CoordinatorOperationExceptionHelper)."""

from typing import Final

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode

_FOR_CLIENTS: Final[dict[int, ErrorCode]] = {
    ErrorCode.NETWORK_EXCEPTION: ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_ENOUGH_REPLICAS: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.REQUEST_TIMED_OUT: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_LEADER_OR_FOLLOWER: ErrorCode.NOT_COORDINATOR,
    ErrorCode.KAFKA_STORAGE_ERROR: ErrorCode.NOT_COORDINATOR,
    ErrorCode.MESSAGE_TOO_LARGE: ErrorCode.UNKNOWN_SERVER_ERROR,
    ErrorCode.RECORD_LIST_TOO_LARGE: ErrorCode.UNKNOWN_SERVER_ERROR,
    ErrorCode.INVALID_FETCH_SIZE: ErrorCode.UNKNOWN_SERVER_ERROR,
}


def client_error(code: int) -> int:
    """What to answer when an operation failed with `code`."""
    return _FOR_CLIENTS.get(code, code)


def error_for_client(error: KafkaError) -> KafkaError:
    """The same with its message: what the log says is not meant for clients."""
    return KafkaError(client_error(error.code), None if error.code in _FOR_CLIENTS else error.message)
