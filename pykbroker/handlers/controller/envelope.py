"""Envelope (58): a broker forwards what a client asked, with who asked it (KIP-590). Kafka: EnvelopeUtils."""

import ipaddress

from pykbroker.controller.controller import Controller
from pykbroker.dispatch import Session, Suspended
from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.protocol.apis import API_TABLE
from pykbroker.protocol.embedded.default_principal import DefaultPrincipalData
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.headers import decode_request_header
from pykbroker.protocol.messages.envelope import EnvelopeRequest, EnvelopeResponse
from pykbroker.request import RequestContext

_VERSION = 2  # bytes
_LENGTH = 4


async def handle(controller: Controller, ctx: RequestContext, request: EnvelopeRequest) -> EnvelopeResponse:
    """What is in the envelope is answered with the error that its own API has; the envelope's errors are our own."""
    principal = _principal(request.request_principal)
    host = _host(request.client_host_address)
    frame = memoryview(bytes(request.request_data))
    _check_forwardable(controller, frame)
    session = controller.dispatcher.open_forwarded(ctx, host, principal)
    try:
        answer = await _answer(session, frame, ctx.received_at)
    except MalformedFrame as error:
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"Failed to parse forwarded request: {error}") from None
    return EnvelopeResponse(response_data=answer)


async def _answer(session: Session, frame: memoryview, received_at: float) -> bytes:
    """The response's frame without its length."""
    answer = session.begin(frame, received_at)
    if isinstance(answer, Suspended):
        answer = await answer.finish()
    assert isinstance(answer, bytearray)  # only Fetch and Produce answer otherwise, and none is forwardable
    return bytes(memoryview(answer)[_LENGTH:])


def _check_forwardable(controller: Controller, frame: memoryview) -> None:
    try:
        key = decode_request_header(frame).api_key
    except MalformedFrame as error:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_VERSION, f"Failed to parse request header from envelope: {error}"
        ) from None
    info = API_TABLE.get(key)
    if info is None:
        raise KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"Failed to parse request header from envelope: API {key}")
    if not info.forwardable:
        raise KafkaError(ErrorCode.INVALID_REQUEST, f"API {info.name} is not enabled or is not eligible for forwarding")


def _principal(data: "bytes | memoryview | None") -> str:
    """Type:name, as DefaultKafkaPrincipalBuilder writes it. Raises KafkaError(PRINCIPAL_DESERIALIZATION_FAILURE)."""
    try:
        raw = bytes(data or b"")
        version = int.from_bytes(raw[:_VERSION], "big", signed=True)
        decoded, _ = DefaultPrincipalData.decode(raw, version, _VERSION)
    except (MalformedFrame, KafkaError, ValueError) as error:
        raise KafkaError(
            ErrorCode.PRINCIPAL_DESERIALIZATION_FAILURE,
            f"Failed to deserialize client principal from envelope: {error}",
        ) from None
    return f"{decoded.type}:{decoded.name}"


def _host(address: "bytes | memoryview") -> str:
    try:
        return str(ipaddress.ip_address(bytes(address)))
    except ValueError:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Failed to parse client address from envelope") from None
