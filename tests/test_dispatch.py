"""Dispatch: every way from a request frame to an answer, to silence, or to a closed connection."""

import logging
import struct
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from pykbroker.dispatch import FORWARDED, LARGEST_CONTROL_REQUEST, SERVED, Dispatcher, Session, Suspended, advertised
from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.handlers.errors import UNEXPECTED
from pykbroker.protocol.apis import API_TABLE, ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.headers import encode_request_header
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from pykbroker.protocol.messages.create_topics import CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse
from pykbroker.protocol.messages.delete_records import DeleteRecordsRequest, DeleteRecordsTopic
from pykbroker.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from pykbroker.protocol.messages.produce import ProduceRequest
from pykbroker.request import ANONYMOUS, RawResponse, RequestContext

HEARTBEAT = HeartbeatRequest(group_id="g", generation_id=3, member_id="m")
VERSION = 4
Handle = Callable[[Any, RequestContext, Any], Any]


def frame(key: int, version: int, request: Message, client_id: str | None = "me", correlation_id: int = 77) -> bytes:
    out = bytearray()
    encode_request_header(out, ApiKey(key), version, correlation_id, client_id)
    request.encode_into(out, version)
    return bytes(out)


def heartbeat_frame(**header: Any) -> memoryview:
    return memoryview(bytearray(frame(ApiKey.HEARTBEAT, VERSION, HEARTBEAT, **header)))


def open_session(served: ApiKey = ApiKey.HEARTBEAT, broker: Any = None, **changes: Any) -> Session:
    """A session of a dispatcher that serves one API, as `changes` of its row have it."""
    dispatcher = Dispatcher(broker, {served: SERVED[served]})
    row = dispatcher.apis[served]
    row.load()
    for name, value in changes.items():
        setattr(row, name, value)
    return dispatcher.open_session("LISTENER", "PLAINTEXT", ("10.1.2.3", 5), ("10.0.0.1", 9092))


def heartbeat_answer(answer: object) -> HeartbeatResponse:
    assert isinstance(answer, bytearray)
    length, correlation_id, tags = struct.unpack_from(">iib", answer)
    assert (length, correlation_id, tags) == (len(answer) - 4, 77, 0)
    response, position = HeartbeatResponse.decode(answer, VERSION, 9)
    assert position == len(answer)
    return response


def handler(result: object = None, error: Exception | None = None) -> Handle:
    async def handle(broker: Any, ctx: RequestContext, request: Any) -> Any:
        if error is not None:
            raise error
        return result

    return handle


# The table


def test_advertised_is_what_is_served_in_kafkas_versions() -> None:
    rows = {key: (low, high) for key, low, high in advertised()}
    assert set(rows) == set(SERVED)
    assert rows.pop(ApiKey.PRODUCE)[0] == 0  # advertised, though refused: KAFKA-18659
    for key, (low, high) in rows.items():
        assert (low, high) == (API_TABLE[ApiKey(key)].min_version, API_TABLE[ApiKey(key)].max_version)


def test_unstable_versions_are_advertised_where_asked_for() -> None:
    unstable = {key: high for key, _, high in advertised(unstable=True)}
    for key, _, high in advertised():
        assert unstable[key] == API_TABLE[ApiKey(key)].latest_version >= high


@pytest.mark.parametrize("key", sorted(SERVED), ids=lambda key: key.name)
def test_every_served_api_has_its_messages_and_its_handler(key: ApiKey) -> None:
    row = Dispatcher(SimpleNamespace(), SERVED).apis[key]  # type: ignore[arg-type]
    row.load()
    assert key == row.request_class.API_KEY
    assert row.response_class.__name__ == f"{row.name}Response"
    assert callable(row.handle_frame or row.handle)
    if row.module != FORWARDED:
        module = (row.handle_frame or row.handle).__module__
        assert module == f"pykbroker.handlers.broker.{row.module}"


# A request that goes well


def test_the_handler_learns_who_asks() -> None:
    seen = []

    async def handle(broker: Any, ctx: RequestContext, request: Any) -> Any:
        seen.append((broker, ctx, request))
        return HeartbeatResponse(throttle_time_ms=12)

    session = open_session(handle=handle, broker="the broker")
    assert heartbeat_answer(session.begin(heartbeat_frame(), 4.5)).throttle_time_ms == 12
    ((broker, ctx, request),) = seen
    assert broker == "the broker"
    assert request == HEARTBEAT
    assert (ctx.api_key, ctx.api_version, ctx.correlation_id, ctx.client_id) == (12, VERSION, 77, "me")
    assert (ctx.client_host, ctx.client_port, ctx.local_host, ctx.local_port) == ("10.1.2.3", 5, "10.0.0.1", 9092)
    assert (ctx.listener_name, ctx.principal, ctx.received_at) == ("LISTENER", ANONYMOUS, 4.5)
    assert session.last_request == "Heartbeat v4 #77"


@pytest.mark.parametrize("client_id", ["a", "b", None, "", "ü" * 40])
def test_the_client_id_may_change_from_request_to_request(client_id: str | None) -> None:
    seen = []

    async def handle(broker: Any, ctx: RequestContext, request: Any) -> Any:
        seen.append(ctx.client_id)
        return HeartbeatResponse()

    session = open_session(handle=handle)
    for one in ("a", client_id, client_id, "a"):
        session.begin(heartbeat_frame(client_id=one), 0)
    assert seen == ["a", client_id, client_id, "a"]


def test_a_client_id_that_is_no_utf8_is_replaced_as_java_does() -> None:
    seen = []

    async def handle(broker: Any, ctx: RequestContext, request: Any) -> Any:
        seen.append(ctx.client_id)
        return HeartbeatResponse()

    raw = bytes(heartbeat_frame(client_id="xy")).replace(b"xy", b"\xffy", 1)
    open_session(handle=handle).begin(memoryview(bytearray(raw)), 0)
    assert seen == ["\ufffdy"]


def test_tagged_fields_of_the_header_are_skipped() -> None:
    raw = bytes(heartbeat_frame())
    position = 10 + len("me")
    assert raw[position] == 0
    tagged = raw[:position] + bytes([1, 9, 2, 0xAB, 0xCD]) + raw[position + 1 :]
    session = open_session(handle=handler(HeartbeatResponse(throttle_time_ms=1)))
    assert heartbeat_answer(session.begin(memoryview(bytearray(tagged)), 0)).throttle_time_ms == 1


def test_bytes_after_the_request_are_tolerated() -> None:
    session = open_session(handle=handler(HeartbeatResponse()))
    assert heartbeat_answer(session.begin(memoryview(bytearray(heartbeat_frame()) + b"more"), 0)).error_code == 0


def test_no_answer_where_the_handler_has_none() -> None:
    assert open_session(handle=handler(None)).begin(heartbeat_frame(), 0) is None


def test_parts_leave_as_they_are_behind_their_header() -> None:
    region = SimpleNamespace(file=None, position=0, length=1000)
    raw = RawResponse([b"abc", region])
    answer = open_session(handle=handler(raw)).begin(heartbeat_frame(), 0)
    assert isinstance(answer, tuple)
    (header, *parts), size = answer
    assert parts == [b"abc", region]
    assert size == len(header) + 1003
    assert bytes(header) == struct.pack(">iib", size - 4, 77, 0)


def test_the_size_of_parts_is_taken_where_it_is_known() -> None:
    answer = open_session(handle=handler(RawResponse([b"abc"], 3))).begin(heartbeat_frame(), 0)
    assert isinstance(answer, tuple)
    assert answer[1] == 9 + 3


def test_requests_are_counted() -> None:
    dispatcher = Dispatcher(None, {ApiKey.HEARTBEAT: "heartbeat"})  # type: ignore[arg-type]
    dispatcher.apis[ApiKey.HEARTBEAT].load()
    dispatcher.apis[ApiKey.HEARTBEAT].handle = handler(HeartbeatResponse())
    for _ in range(3):
        dispatcher.open_session("L", "PLAINTEXT", ("h", 1), ("h", 2)).begin(heartbeat_frame(), 0)
    assert dispatcher.apis[ApiKey.HEARTBEAT].requests == 3


# What closes the connection


@pytest.mark.parametrize("size", [0, 1, 9])
def test_a_frame_too_short_for_a_header(size: int) -> None:
    with pytest.raises(MalformedFrame, match=f"frame of {size} bytes is too short"):
        open_session().begin(heartbeat_frame()[:size], 0)


@pytest.mark.parametrize("key", [-1, ApiKey.METADATA, 93, 32767])
def test_an_api_that_is_not_served(key: int) -> None:
    raw = bytearray(heartbeat_frame())
    struct.pack_into(">h", raw, 0, key)
    with pytest.raises(MalformedFrame, match=f"API key {key} version 4, which is not served"):
        open_session().begin(memoryview(raw), 0)


@pytest.mark.parametrize("version", [-1, 5, 99, 32767])
def test_a_version_that_is_not_served(version: int) -> None:
    raw = bytearray(heartbeat_frame())
    struct.pack_into(">h", raw, 2, version)
    with pytest.raises(MalformedFrame, match=f"Heartbeat v{version}, supported are 0 to 4"):
        open_session().begin(memoryview(raw), 0)


def test_produce_below_3_is_advertised_but_refused() -> None:
    raw = bytearray(frame(ApiKey.PRODUCE, 3, ProduceRequest(acks=1)))
    struct.pack_into(">h", raw, 2, 2)
    with pytest.raises(MalformedFrame, match="Produce v2, supported are 3 to"):
        open_session(ApiKey.PRODUCE).begin(memoryview(raw), 0)


@pytest.mark.parametrize("length", range(10, len(heartbeat_frame())))
def test_every_strict_prefix_is_refused(length: int) -> None:
    called = []
    session = open_session(handle=lambda *arguments: called.append(arguments))
    with pytest.raises(MalformedFrame):
        session.begin(heartbeat_frame()[:length], 0)
    assert not called


def test_a_malformed_body_is_told_with_the_request() -> None:
    with pytest.raises(MalformedFrame, match=r"^Heartbeat v4 #77: .* at byte \d+$"):
        open_session().begin(heartbeat_frame()[:-3], 0)


def test_a_handler_may_find_the_request_malformed() -> None:
    session = open_session(handle=handler(error=MalformedFrame("odd records", 5)))
    with pytest.raises(MalformedFrame, match=r"^Heartbeat v4 #77: odd records at byte 5$"):
        session.begin(heartbeat_frame(), 0)


@pytest.mark.parametrize("key", [ApiKey.METADATA, -5])
def test_a_large_frame_of_an_unknown_api_is_refused_by_its_first_bytes(key: int) -> None:
    with pytest.raises(MalformedFrame, match=f"request of 100000 bytes for API key {key}"):
        open_session().admit(memoryview(struct.pack(">h", key)), 100_000)


def test_only_requests_that_carry_records_may_be_very_large() -> None:
    large = LARGEST_CONTROL_REQUEST + 1
    heartbeat, produce = (memoryview(struct.pack(">h", key)) for key in (ApiKey.HEARTBEAT, ApiKey.PRODUCE))
    open_session().admit(heartbeat, LARGEST_CONTROL_REQUEST)
    open_session(ApiKey.PRODUCE).admit(produce, large)
    with pytest.raises(MalformedFrame, match=f"Heartbeat request of {large} bytes"):
        open_session().admit(heartbeat, large)


def test_one_byte_tells_nothing_yet() -> None:
    open_session().admit(memoryview(b"\0"), 100_000)


# ApiVersions of an unknown version


@pytest.mark.parametrize("version", [5, 99, 32767, -1])
def test_api_versions_of_an_unknown_version_is_answered_in_version_0(version: int) -> None:
    request = ApiVersionsRequest(client_software_name="c", client_software_version="1")
    raw = bytearray(frame(ApiKey.API_VERSIONS, 3, request))
    struct.pack_into(">h", raw, 2, version)
    answer = open_session(ApiKey.API_VERSIONS).begin(memoryview(raw), 0)
    assert isinstance(answer, bytearray)
    assert struct.unpack_from(">ii", answer) == (len(answer) - 4, 77)
    response, position = ApiVersionsResponse.decode(answer, 0, 8)
    assert position == len(answer)
    assert response.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert [(row.api_key, row.min_version, row.max_version) for row in response.api_keys] == [(18, 0, 4)]


# Errors


@pytest.mark.parametrize("suspends", [False, True], ids=["at once", "after waiting"])
async def test_a_kafka_error_becomes_the_apis_answer(suspends: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def handle(broker: Any, ctx: RequestContext, request: Any) -> Any:
        if suspends:
            await trio.lowlevel.checkpoint()
        raise KafkaError(ErrorCode.REBALANCE_IN_PROGRESS, "soon")

    answer = open_session(handle=handle).begin(heartbeat_frame(), 0)
    if suspends:
        assert isinstance(answer, Suspended)
        answer = await answer.finish()
    assert heartbeat_answer(answer).error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


@pytest.mark.parametrize("suspends", [False, True], ids=["at once", "after waiting"])
async def test_a_bug_is_an_unknown_server_error_with_one_traceback(
    suspends: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(broker: Any, ctx: RequestContext, request: Any) -> Any:
        if suspends:
            await trio.lowlevel.checkpoint()
        raise ZeroDivisionError

    answer = open_session(handle=handle).begin(heartbeat_frame(), 0)
    if suspends:
        assert isinstance(answer, Suspended)
        answer = await answer.finish()
    assert heartbeat_answer(answer).error_code == ErrorCode.UNKNOWN_SERVER_ERROR
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.getMessage() == "Heartbeat v4 #77 from connection from 10.1.2.3:5 on LISTENER failed"


def test_a_response_that_cannot_be_encoded_is_a_bug_too(caplog: pytest.LogCaptureFixture) -> None:
    answer = open_session(handle=handler(HeartbeatResponse(throttle_time_ms="late"))).begin(  # type: ignore[arg-type]
        heartbeat_frame(), 0
    )
    assert heartbeat_answer(answer).error_code == ErrorCode.UNKNOWN_SERVER_ERROR
    assert len(caplog.records) == 1


def test_a_handler_says_where_its_api_puts_an_error() -> None:
    def error_response(request: Any, error: KafkaError, version: int) -> Message:
        return HeartbeatResponse(throttle_time_ms=len(request.group_id), error_code=error.code + version)

    error = KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
    session = open_session(handle=handler(error=error), error_response=error_response)
    response = heartbeat_answer(session.begin(heartbeat_frame(), 0))
    assert (response.throttle_time_ms, response.error_code) == (1, ErrorCode.UNKNOWN_MEMBER_ID + VERSION)


def test_the_text_of_an_unexpected_error_tells_nothing_of_ours() -> None:
    told = []

    def error_response(request: Any, error: KafkaError, version: int) -> Message:
        told.append((error.code, error.message))
        return HeartbeatResponse()

    open_session(handle=handler(error=ValueError("secret")), error_response=error_response).begin(heartbeat_frame(), 0)
    assert told == [(ErrorCode.UNKNOWN_SERVER_ERROR, UNEXPECTED)]


def test_an_api_without_room_for_an_error_closes_the_connection() -> None:
    topics = [DeleteRecordsTopic(name="t")]
    raw = bytearray(frame(ApiKey.DELETE_RECORDS, 2, DeleteRecordsRequest(topics=topics, timeout_ms=1)))
    session = open_session(
        ApiKey.DELETE_RECORDS, handle=handler(error=KafkaError(ErrorCode.NOT_CONTROLLER)), error_response=None
    )
    with pytest.raises(MalformedFrame, match="DeleteRecordsResponse v2 cannot say NOT_CONTROLLER"):
        session.begin(memoryview(raw), 0)


# Requests that wait


async def test_a_request_that_waits_is_answered_when_it_is_done() -> None:
    gate = trio.Event()
    finished = []

    async def handle(broker: Any, ctx: RequestContext, request: Any) -> Any:
        await gate.wait()
        return HeartbeatResponse(throttle_time_ms=5)

    async def finish(suspended: Suspended) -> None:
        finished.append(await suspended.finish())

    session = open_session(handle=handle)
    async with trio.open_nursery() as nursery:

        async def connection() -> None:
            suspended = session.begin(heartbeat_frame(), 0)
            assert isinstance(suspended, Suspended)
            assert not suspended.keeps_frame
            await finish(suspended)

        nursery.start_soon(connection)
        await trio.testing.wait_all_tasks_blocked()
        assert finished == []
        gate.set()
    assert heartbeat_answer(finished[0]).throttle_time_ms == 5


async def test_a_request_may_wait_more_than_once() -> None:
    async def handle(broker: Any, ctx: RequestContext, request: Any) -> Any:
        for _ in range(3):
            await trio.lowlevel.checkpoint()
        return HeartbeatResponse()

    suspended = open_session(handle=handle).begin(heartbeat_frame(), 0)
    assert isinstance(suspended, Suspended)
    assert heartbeat_answer(await suspended.finish()).error_code == 0


async def test_a_cancelled_request_cleans_up_and_is_not_answered() -> None:
    left = []

    async def handle(broker: Any, ctx: RequestContext, request: Any) -> Any:
        try:
            await trio.sleep_forever()
        finally:
            left.append(ctx.correlation_id)

    with trio.CancelScope() as scope:
        suspended = open_session(handle=handle).begin(heartbeat_frame(), 0)
        assert isinstance(suspended, Suspended)
        scope.cancel()
        await suspended.finish()
    assert scope.cancelled_caught
    assert left == [77]


async def test_a_waiting_request_may_find_itself_malformed() -> None:
    async def handle(broker: Any, ctx: RequestContext, request: Any) -> Any:
        await trio.lowlevel.checkpoint()
        raise MalformedFrame("odd")

    suspended = open_session(handle=handle).begin(heartbeat_frame(), 0)
    assert isinstance(suspended, Suspended)
    with pytest.raises(MalformedFrame, match=r"^Heartbeat v4 #77: odd$"):
        await suspended.finish()


# The fast path: a handler that reads the frame itself


def test_a_fast_handler_gets_the_frame_and_where_its_body_is() -> None:
    seen = []

    def handle_frame(broker: Any, ctx: RequestContext, given: memoryview, position: int) -> Any:
        request, _ = HeartbeatRequest.decode(given, ctx.api_version, position)
        seen.append(request)
        return RawResponse([b"raw"])

    answer = open_session(handle_frame=handle_frame).begin(heartbeat_frame(), 0)
    assert isinstance(answer, tuple)
    assert answer[0][1:] == [b"raw"]
    assert seen == [HEARTBEAT]


def test_a_fast_handler_may_have_no_answer() -> None:
    assert open_session(handle_frame=lambda *_: None).begin(heartbeat_frame(), 0) is None


def test_the_error_of_a_fast_handler_is_put_where_the_api_has_it() -> None:
    def handle_frame(*_: Any) -> Any:
        raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND)

    answer = open_session(handle_frame=handle_frame).begin(heartbeat_frame(), 0)
    assert heartbeat_answer(answer).error_code == ErrorCode.GROUP_ID_NOT_FOUND


@pytest.mark.parametrize("keeps_frame", [True, False])
async def test_the_error_of_a_fast_handler_that_waited_survives_the_buffer(keeps_frame: bool) -> None:
    async def later() -> Any:
        await trio.lowlevel.checkpoint()
        raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND)

    given = heartbeat_frame()
    suspended = open_session(handle_frame=lambda *_: later(), keeps_frame=keeps_frame).begin(given, 0)
    assert isinstance(suspended, Suspended)
    assert suspended.keeps_frame is keeps_frame
    if not keeps_frame:
        given[:] = bytes(len(given))  # the connection has lent its buffer to others
    assert heartbeat_answer(await suspended.finish()).error_code == ErrorCode.GROUP_ID_NOT_FOUND


# Forwarding


async def test_what_the_controller_decides_is_forwarded_whole() -> None:
    asked = []

    class Link:
        async def forward(self, ctx: RequestContext, request: Message) -> Message:
            asked.append((ctx.correlation_id, request))
            await trio.lowlevel.checkpoint()
            return CreateTopicsResponse(throttle_time_ms=3)

    request = CreateTopicsRequest(timeout_ms=9)
    session = open_session(ApiKey.CREATE_TOPICS, SimpleNamespace(controller=Link()))
    suspended = session.begin(memoryview(bytearray(frame(ApiKey.CREATE_TOPICS, 7, request))), 0)
    assert isinstance(suspended, Suspended)
    answer = await suspended.finish()
    assert isinstance(answer, bytearray)
    response, _ = CreateTopicsResponse.decode(answer, 7, 9)
    assert response.throttle_time_ms == 3
    assert asked == [(77, request)]


def test_who_has_not_asked_yet_has_no_last_request() -> None:
    assert open_session().last_request == "no request"


def test_an_answer_that_quotes_more_than_a_string_holds_is_given_all_the_same() -> None:
    """Found by the fuzzer: an error message around a topic name of 32,767 bytes cannot be encoded."""
    rows = [CreatableTopicResult(name="a", error_message="'" + "a" * 32_767 + "'")]
    session = open_session(
        ApiKey.CREATE_TOPICS, handle=handler(CreateTopicsResponse(topics=rows)), error_response=lambda *_: None
    )
    raw = frame(ApiKey.CREATE_TOPICS, 2, CreateTopicsRequest())
    answer = session.begin(memoryview(bytearray(raw)), 0.0)
    assert isinstance(answer, bytearray)
    response, position = CreateTopicsResponse.decode(answer, 2, 8)
    assert position == len(answer)
    assert response.topics[0].error_message.endswith("…")  # type: ignore[union-attr]
