"""What a broker asks a controller elsewhere: by envelopes as real brokers send them, again when it moves."""

from typing import Any

import pytest
import trio
import trio.testing

from pykbroker.controller_link.remote_loop import RETRY_PAUSE, RemoteControllerLink
from pykbroker.errors import KafkaError, MalformedFrame, NodeUnreachable
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.headers import decode_request_header, encode_response_header
from pykbroker.protocol.lookup import request_class
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.allocate_producer_ids import AllocateProducerIdsRequest, AllocateProducerIdsResponse
from pykbroker.protocol.messages.alter_partition import AlterPartitionRequest, AlterPartitionResponse
from pykbroker.protocol.messages.broker_heartbeat import BrokerHeartbeatRequest, BrokerHeartbeatResponse
from pykbroker.protocol.messages.broker_registration import BrokerRegistrationRequest
from pykbroker.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse
from pykbroker.protocol.messages.envelope import EnvelopeRequest, EnvelopeResponse
from pykbroker.request import RequestContext
from tests.controller.images import broker
from tests.controller_link.scripted_channels import Address, Controllers
from tests.raft.conversations import exchanges
from tests.raft.logs import config

A, B = ("a", 1), ("b", 2)
HEARTBEAT = BrokerHeartbeatRequest(broker_id=2)
DELETE = RequestContext(ApiKey.DELETE_TOPICS, 6, 77, "me", client_host="10.1.2.3")


class Stand:
    def __init__(self, answer: Any, leader: Address | None = A) -> None:
        self.controllers = Controllers(answer)
        self.leader = leader
        self.image = MetadataImage.empty("c")
        self.link = RemoteControllerLink(
            node_id=2,
            config=config(),
            connect=self.controllers.connect,
            leader=lambda: self.leader,
            image=lambda: self.image,
            versions=lambda: self.controllers.versions,
        )

    def move(self, leader: Address | None) -> None:
        self.leader = leader
        self.link.leader_changed()

    @property
    def asked(self) -> list[Address]:
        return [where for _, where, *_ in self.controllers.asked]


def inner(response: Message, ctx: RequestContext = DELETE, version: int = 6) -> EnvelopeResponse:
    frame = bytearray()
    encode_response_header(frame, ctx.api_key, version, ctx.correlation_id)
    response.encode_into(frame, version)
    return EnvelopeResponse(response_data=bytes(frame))


# Forwarding


async def test_an_envelope_is_that_of_a_real_broker() -> None:
    """Recorded between a real broker and a real controller, each request in it a client's."""
    recorded = [
        each
        for name in ("static", "dynamic")
        for each in exchanges(f"kraft-controller-{name}", "1" if name == "static" else "2")
        if each.api_key == ApiKey.ENVELOPE
    ]
    assert len(recorded) == 5
    for each in recorded:
        envelope = each.request
        assert isinstance(envelope, EnvelopeRequest)
        header = decode_request_header(envelope.request_data)
        request = request_class(header.api_key).decode(envelope.request_data, header.api_version, header.body_position)[
            0
        ]
        ctx = RequestContext(header.api_key, header.api_version, header.correlation_id, header.client_id)
        stand = Stand(lambda *_, response=each.response: response)
        response = await stand.link.forward(ctx, request)
        assert stand.controllers.asked[0][2:] == (ApiKey.ENVELOPE, 0, envelope)
        assert isinstance(each.response, EnvelopeResponse)
        assert inner(response, ctx, header.api_version).response_data == each.response.response_data


async def test_who_asks_and_from_where_goes_with_the_request() -> None:
    stand = Stand(lambda *_: inner(DeleteTopicsResponse()))
    await stand.link.forward(DELETE, DeleteTopicsRequest())
    ctx = RequestContext(ApiKey.DELETE_TOPICS, 6, 77, None, client_host="fe80::1%eth0", principal="User:an:na")
    await stand.link.forward(ctx, DeleteTopicsRequest())
    envelopes = [row[4] for row in stand.controllers.asked]
    assert envelopes[0].client_host_address == bytes([10, 1, 2, 3])
    assert envelopes[1].client_host_address == b"\xfe\x80" + bytes(13) + b"\1"
    assert envelopes[0].request_principal == b"\0\0\5User\x0aANONYMOUS\0\0"
    assert envelopes[1].request_principal == b"\0\0\5User\6an:na\0\0"


async def test_a_request_of_our_own_goes_in_a_version_that_the_controller_has() -> None:
    stand = Stand(lambda *_: inner(DeleteTopicsResponse(), version=5))
    stand.controllers.versions[ApiKey.DELETE_TOPICS] = (1, 5)
    await stand.link.forward(DELETE, DeleteTopicsRequest())
    assert decode_request_header(stand.controllers.asked[0][4].request_data).api_version == 5


async def test_a_version_that_the_controller_lost_drops_the_clients_connection() -> None:
    stand = Stand(lambda *_: EnvelopeResponse(error_code=ErrorCode.UNSUPPORTED_VERSION))
    with pytest.raises(MalformedFrame, match="the controller does not have DeleteTopics version 6"):
        await stand.link.forward(DELETE, DeleteTopicsRequest())


async def test_another_refusal_of_the_envelope_is_an_unknown_error() -> None:
    stand = Stand(lambda *_: EnvelopeResponse(error_code=ErrorCode.PRINCIPAL_DESERIALIZATION_FAILURE))
    with pytest.raises(KafkaError, match="PRINCIPAL_DESERIALIZATION_FAILURE") as caught:
        await stand.link.forward(DELETE, DeleteTopicsRequest())
    assert caught.value.code == ErrorCode.UNKNOWN_SERVER_ERROR


async def test_an_answer_to_another_request_is_not_passed_on() -> None:
    other = RequestContext(ApiKey.DELETE_TOPICS, 6, 78)
    stand = Stand(lambda *_: inner(DeleteTopicsResponse(), other))
    with pytest.raises(MalformedFrame, match="answers request 78 when 77 was forwarded"):
        await stand.link.forward(DELETE, DeleteTopicsRequest())


# When the controller moves


async def test_who_is_no_controller_any_more_is_left(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    def answer(where: Address, *_: Any) -> Message:
        if where == A:
            stand.leader = B
            return EnvelopeResponse(error_code=ErrorCode.NOT_CONTROLLER)
        return inner(DeleteTopicsResponse(throttle_time_ms=5))

    stand = Stand(answer)
    response = await stand.link.forward(DELETE, DeleteTopicsRequest())
    assert isinstance(response, DeleteTopicsResponse)
    assert (response.throttle_time_ms, stand.asked, trio.current_time()) == (5, [A, B], pytest.approx(RETRY_PAUSE))
    assert [channel.is_closed for channel in stand.controllers.channels] == [True, False]


@pytest.mark.parametrize("failure", [NodeUnreachable("closed"), MalformedFrame("nonsense")])
async def test_failures_of_the_connection_are_tried_again(
    failure: Exception, autojump_clock: trio.testing.MockClock
) -> None:
    answers = [failure, failure, BrokerHeartbeatResponse()]
    stand = Stand(lambda *_: answers.pop(0))
    await stand.link.call(ApiKey.BROKER_HEARTBEAT, HEARTBEAT)
    assert trio.current_time() == pytest.approx(2 * RETRY_PAUSE)


async def test_a_request_that_hangs_at_the_old_controller_is_asked_at_the_new(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    stand = Stand(lambda where, *_: BrokerHeartbeatResponse() if where == B else None)

    async def move() -> None:
        await trio.sleep(1)
        stand.move(B)

    nursery.start_soon(move)
    await stand.link.call(ApiKey.BROKER_HEARTBEAT, HEARTBEAT)
    assert (stand.asked, trio.current_time()) == ([A, B], pytest.approx(1 + RETRY_PAUSE))


async def test_without_a_controller_a_request_waits_for_one(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    stand = Stand(lambda *_: BrokerHeartbeatResponse(), leader=None)

    async def move() -> None:
        await trio.sleep(1)
        stand.move(B)

    nursery.start_soon(move)
    await stand.link.call(ApiKey.BROKER_HEARTBEAT, HEARTBEAT)
    assert (stand.asked, trio.current_time()) == ([B], pytest.approx(1))


@pytest.mark.parametrize(
    ("leader", "answer", "reason"),
    [
        (None, None, "none is known at the moment"),
        (A, None, "a:1 has not answered"),
        (A, NodeUnreachable("a:1: refused"), "a:1: refused"),
        (A, EnvelopeResponse(error_code=41), "the node asked is not the controller"),
    ],
)
async def test_nobody_answers_in_time(
    leader: Address | None, answer: Any, reason: str, autojump_clock: trio.testing.MockClock
) -> None:
    stand = Stand(lambda *_: answer, leader)
    with pytest.raises(KafkaError, match="No controller answered DeleteTopics within 30 s: ") as caught:
        await stand.link.forward(DELETE, DeleteTopicsRequest())
    assert (caught.value.code, trio.current_time()) == (ErrorCode.REQUEST_TIMED_OUT, pytest.approx(30))
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("request_", "name", "seconds"),
    [(HEARTBEAT, "BrokerHeartbeat", 2), (BrokerRegistrationRequest(broker_id=2), "BrokerRegistration", 9)],
)
async def test_a_heartbeat_hangs_for_an_interval_a_registration_for_a_session(
    request_: Message, name: str, seconds: float, autojump_clock: trio.testing.MockClock
) -> None:
    """So that there is another heartbeat within the session."""
    stand = Stand(lambda *_: None)
    with pytest.raises(KafkaError, match=f"No controller answered {name} within {seconds} s"):
        await stand.link.call(request_.API_KEY, request_)
    assert trio.current_time() == pytest.approx(seconds)


async def test_a_hanging_request_does_not_hold_up_heartbeats(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    stand = Stand(lambda _, key, __: BrokerHeartbeatResponse() if key == ApiKey.BROKER_HEARTBEAT else None)

    async def delete() -> None:
        with pytest.raises(KafkaError):
            await stand.link.forward(DELETE, DeleteTopicsRequest())

    nursery.start_soon(delete)
    await trio.sleep(1)
    await stand.link.call(ApiKey.BROKER_HEARTBEAT, HEARTBEAT)
    assert trio.current_time() == pytest.approx(1)
    assert [channel.client_id for channel in stand.controllers.channels] == ["2", "2"]
    stand.link.close()
    assert all(channel.is_closed for channel in stand.controllers.channels)


# A broker's own requests


async def test_an_error_of_the_whole_response_is_raised() -> None:
    stand = Stand(lambda *_: AlterPartitionResponse(error_code=ErrorCode.STALE_BROKER_EPOCH))
    with pytest.raises(KafkaError) as caught:
        await stand.link.call(ApiKey.ALTER_PARTITION, AlterPartitionRequest())
    assert caught.value.code == ErrorCode.STALE_BROKER_EPOCH


async def test_an_error_of_a_later_kafka_is_none_of_ours() -> None:
    stand = Stand(lambda *_: AlterPartitionResponse(error_code=999))
    with pytest.raises(KafkaError) as caught:
        await stand.link.call(ApiKey.ALTER_PARTITION, AlterPartitionRequest())
    assert caught.value.code == ErrorCode.UNKNOWN_SERVER_ERROR


async def test_producer_ids_come_with_the_epoch_that_the_image_knows() -> None:
    stand = Stand(lambda *_: AllocateProducerIdsResponse(producer_id_start=5000, producer_id_len=1000))
    assert await stand.link.allocate_producer_ids() == (5000, 1000)
    stand.image = stand.image._replace(brokers={2: broker(2, epoch=13)})
    await stand.link.allocate_producer_ids()
    requests = [row[4] for row in stand.controllers.asked]
    assert requests == [AllocateProducerIdsRequest(2, -1), AllocateProducerIdsRequest(2, 13)]


async def test_the_controllers_versions_are_what_the_observer_saw() -> None:
    stand = Stand(lambda *_: None)
    assert stand.link.controller_versions is stand.controllers.versions
