"""Where a KafkaError goes when a handler has no error_response of its own. Kafka: AbstractRequest.getErrorResponse."""

from typing import TYPE_CHECKING, Any

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.protocol.message import Struct

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message

LONGEST_MESSAGE = 8191  # characters, four bytes each at most: a string on the wire has 32,767
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


def shorten_messages(response: Struct) -> bool:
    """Cuts error messages that quote more of a client's text than fits into a string; False: there was none.

    Kafka fails at such an answer. It is ours to give all the same: the other rows have nothing to do with it.
    """
    shortened = False
    for field in response.__slots__:
        value = getattr(response, field)
        if field == "error_message" and value is not None and len(value) > LONGEST_MESSAGE:
            setattr(response, field, value[: LONGEST_MESSAGE - 1] + "…")
            shortened = True
        for nested in value if isinstance(value, list) else [value]:
            if isinstance(nested, Struct):
                shortened = shorten_messages(nested) or shortened
    return shortened
