"""Where a KafkaError goes when a handler has no error_response of its own. Kafka: AbstractRequest.getErrorResponse."""

from typing import TYPE_CHECKING, Any

from pykbroker.errors import KafkaError, MalformedFrame

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message

UNEXPECTED = "The server experienced an unexpected error when processing the request."


def error_response(response_class: "type[Message]", request: Any, error: KafkaError, version: int) -> "Message":
    """A response with the top-level error_code (and error_message) set.

    Raises MalformedFrame when it has none: the connection is closed rather than answered with what looks like success.
    """
    response: Any = response_class()
    if not hasattr(response, "error_code"):
        raise MalformedFrame(f"{response_class.__name__} v{version} cannot say {error}")
    response.error_code = error.code
    if hasattr(response, "error_message"):
        response.error_message = error.message
    return response  # type: ignore[no-any-return]
