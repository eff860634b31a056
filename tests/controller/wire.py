"""A controller behind its own dispatcher: frames in, frames out."""

from typing import Any

from pykbroker.controller_apis import ControllerDispatcher
from pykbroker.dispatch import Session, Suspended
from pykbroker.protocol.headers import decode_response_header, encode_request_header
from pykbroker.protocol.lookup import response_class
from pykbroker.protocol.message import Message
from tests.controller.nodes import ControllerNode

LISTENER = "CONTROLLER"
CORRELATION_ID = 7


class Wire:
    """One connection to the controller of a node that has started."""

    def __init__(self, node: ControllerNode) -> None:
        self.node = node
        self.controller = node.controller
        self.controller.dispatcher = ControllerDispatcher(node.controller)
        self.session = self.open()

    def open(self) -> Session:
        return self.controller.dispatcher.open_session(LISTENER, "PLAINTEXT", ("client", 1), ("controller", 9093))

    def begin(self, request: Message, version: int) -> "Any | Suspended":
        """The response; Suspended when it waits."""
        answer = self.session.begin(memoryview(frame(request, version)), self.node.clock.monotonic())
        return answer if isinstance(answer, Suspended) else response(request.API_KEY, version, answer)

    def ask(self, request: Message, version: int) -> Any:
        """The response of what does not wait."""
        answer = self.begin(request, version)
        assert not isinstance(answer, Suspended)
        return answer

    async def finish(self, suspended: Suspended, api_key: int, version: int) -> Any:
        return response(api_key, version, await suspended.finish())


def frame(request: Message, version: int) -> bytearray:
    """Without its length."""
    out = bytearray()
    encode_request_header(out, request.API_KEY, version, CORRELATION_ID, "client")
    request.encode_into(out, version)
    return out


def response(api_key: int, version: int, answer: Any) -> Any:
    """Of a whole frame."""
    raw = bytes(answer)[4:]
    correlation_id, position = decode_response_header(raw, api_key, version)
    assert correlation_id == CORRELATION_ID
    return response_class(api_key).decode(raw, version, position)[0]
