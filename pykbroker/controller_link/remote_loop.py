"""A controller elsewhere: requests of clients go to it in Envelopes, a broker's own as they are; both are asked again
when it moves (ForwardingManager, NodeToControllerChannelManager; KIP-590)."""

import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, cast

import trio

from pykbroker.errors import KafkaError, MalformedFrame, NodeUnreachable
from pykbroker.protocol.apis import API_TABLE, ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.headers import decode_response_header, encode_request_header
from pykbroker.protocol.lookup import error_of, response_class
from pykbroker.request import Connect, NodeChannel, RequestContext

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.protocol.message import Message
    from pykbroker.protocol.messages.allocate_producer_ids import AllocateProducerIdsResponse
    from pykbroker.protocol.messages.envelope import EnvelopeRequest, EnvelopeResponse

Address = tuple[str, int]
# Seconds before the controller is looked for again (NodeToControllerRequestThread).
RETRY_PAUSE: Final = 0.05
# Requests that others must not hold up have a connection of their own, as in Kafka.
_HEARTBEAT = "heartbeat"
_FORWARDING = "forwarding"
_ALTER_PARTITION = "alter-partition"
_DIRECTORIES = "directory-assignments"
_CHANNELS: Final = {
    ApiKey.BROKER_REGISTRATION: _HEARTBEAT,
    ApiKey.BROKER_HEARTBEAT: _HEARTBEAT,
    ApiKey.ALTER_PARTITION: _ALTER_PARTITION,
    ApiKey.ASSIGN_REPLICAS_TO_DIRS: _DIRECTORIES,
}


class RemoteControllerLink:
    """Implements request.ControllerLink, and what LifecycleLoop needs.

    `leader` gives the active controller's address, None while nobody knows it; leader_changed() is to be called then.
    """

    def __init__(
        self,
        *,
        node_id: int,
        config: "BrokerConfig",
        connect: Connect,
        leader: Callable[[], Address | None],
        image: "Callable[[], MetadataImage]",
        versions: Callable[[], Mapping[int, tuple[int, int]] | None] = lambda: None,
        kraft_version: Callable[[], int] = lambda: 0,
    ) -> None:
        self._node_id = node_id
        self._config = config
        self._connect = connect
        self._leader = leader
        self._image = image
        self._versions = versions
        self._kraft_version = kraft_version
        self._channels: dict[str, tuple[Address, NodeChannel]] = {}
        self._moved = trio.Event()

    @property
    def controller_versions(self) -> Mapping[int, tuple[int, int]] | None:
        """Of each API of the controller (lowest, highest); None while it was not asked."""
        return self._versions()

    @property
    def kraft_version(self) -> int:
        return self._kraft_version()

    def leader_changed(self) -> None:
        """Requests under way at the old one are asked again at the new one."""
        self._moved.set()
        self._moved = trio.Event()
        where = self._leader()
        for address, channel in self._channels.values():
            if where is not None and address != where:
                channel.close()

    def close(self) -> None:
        for _, channel in self._channels.values():
            channel.close()

    # What others call (request.ControllerLink)

    async def forward(self, ctx: RequestContext, request: "Message") -> "Message":
        """The controller's response. Raises KafkaError: REQUEST_TIMED_OUT when no controller answers in time;
        MalformedFrame when the controller does not have the version: the client must ask for the versions again."""

        async def ask(channel: NodeChannel, left: float) -> "Message | None":
            version = await _version(channel, ctx.api_key, ctx.api_version, left)
            answer = await _send(channel, ApiKey.ENVELOPE, _envelope(ctx, request, version), left)
            return _inner_response(ctx, version, cast("EnvelopeResponse", answer))

        return await self._until_answered(_FORWARDING, ctx.api_key, self._config.request_timeout_ms / 1000, ask)

    async def allocate_producer_ids(self) -> tuple[int, int]:
        from pykbroker.protocol.messages.allocate_producer_ids import AllocateProducerIdsRequest

        broker = self._image().brokers.get(self._node_id)
        epoch = -1 if broker is None else broker.epoch
        request = AllocateProducerIdsRequest(broker_id=self._node_id, broker_epoch=epoch)
        response = cast("AllocateProducerIdsResponse", await self.call(ApiKey.ALLOCATE_PRODUCER_IDS, request))
        return response.producer_id_start, response.producer_id_len

    async def call(self, api_key: int, request: "Message") -> "Message":
        """Raises KafkaError: the response's top-level error, REQUEST_TIMED_OUT."""

        async def ask(channel: NodeChannel, left: float) -> "Message | None":
            response = await _send(channel, api_key, request, left)
            code = getattr(response, "error_code", 0)
            if code not in (0, ErrorCode.NOT_CONTROLLER):
                raise KafkaError(error_of(code), getattr(response, "error_message", None))
            return None if code else response

        timeout = self._config.request_timeout_ms / 1000
        name = _CHANNELS.get(ApiKey(api_key), _FORWARDING)
        if api_key == ApiKey.BROKER_HEARTBEAT:
            # As in Kafka: one that hangs, its packets lost, leaves time in the session for others on a new connection.
            timeout = min(timeout, self._config.broker_heartbeat_interval_ms / 1000)
        elif name == _HEARTBEAT:
            timeout = min(timeout, self._config.broker_session_timeout_ms / 1000)
        return await self._until_answered(name, api_key, timeout, ask)

    async def _until_answered(
        self,
        name: str,
        api_key: int,
        timeout: float,
        ask: "Callable[[NodeChannel, float], Awaitable[Message | None]]",
    ) -> "Message":
        """What ask(channel, seconds left) gives at whoever is the controller; None: that node is not, or no more."""
        reason = "none is known at the moment"
        with trio.move_on_after(timeout) as scope:
            while True:
                channel = await self._reach(name)
                reason = f"{channel} has not answered"
                try:
                    answer = await ask(channel, max(scope.deadline - trio.current_time(), 0.001))
                    if answer is not None:
                        return answer
                    reason = "the node asked is not the controller"
                except NodeUnreachable as error:
                    reason = str(error)
                await trio.sleep(RETRY_PAUSE)
        api = API_TABLE[api_key].name
        raise KafkaError(ErrorCode.REQUEST_TIMED_OUT, f"No controller answered {api} within {timeout:g} s: {reason}")

    async def _reach(self, name: str) -> NodeChannel:
        """A channel to the active controller, once one is known."""
        while (where := self._leader()) is None:
            await self._moved.wait()
        known = self._channels.get(name)
        if known is not None and known[0] == where:
            return known[1]
        if known is not None:
            known[1].close()
        channel = self._connect(where, str(self._node_id))
        self._channels[name] = (where, channel)
        return channel


async def _version(channel: NodeChannel, api_key: int, wanted: int, timeout: float) -> int:
    """The highest that both have, up to `wanted`. Raises NodeUnreachable."""
    try:
        versions = await channel.api_versions(timeout=timeout)
    except MalformedFrame as error:
        raise NodeUnreachable(f"its answer is damaged: {error}") from error
    return min(wanted, versions.get(api_key, (0, wanted))[1])


async def _send(channel: NodeChannel, api_key: int, request: "Message", timeout: float) -> "Message":
    """Raises NodeUnreachable."""
    version = await _version(channel, api_key, API_TABLE[api_key].max_version, timeout)
    try:
        return await channel.send(api_key, version, request, timeout=timeout)
    except MalformedFrame as error:
        raise NodeUnreachable(f"its answer is damaged: {error}") from error


def _envelope(ctx: RequestContext, request: "Message", version: int) -> "EnvelopeRequest":
    from pykbroker.protocol.messages.envelope import EnvelopeRequest

    frame = bytearray()
    encode_request_header(frame, ctx.api_key, version, ctx.correlation_id, ctx.client_id)
    request.encode_into(frame, version)
    return EnvelopeRequest(bytes(frame), _principal(ctx.principal), _raw_address(ctx.client_host))


def _inner_response(ctx: RequestContext, version: int, response: "EnvelopeResponse") -> "Message | None":
    """None when the node is not the controller. Raises KafkaError, MalformedFrame."""
    if response.error_code == ErrorCode.NOT_CONTROLLER:
        return None
    if response.error_code == ErrorCode.UNSUPPORTED_VERSION:
        raise MalformedFrame(f"the controller does not have {API_TABLE[ctx.api_key].name} version {version}")
    if response.error_code or response.response_data is None:
        refusal = f"the controller refused the forwarded request: {error_of(response.error_code).name}"
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, refusal)
    frame = bytes(response.response_data)
    correlation_id, position = decode_response_header(frame, ctx.api_key, version)
    if correlation_id != ctx.correlation_id:
        raise MalformedFrame(f"the controller answers request {correlation_id} when {ctx.correlation_id} was forwarded")
    return response_class(ctx.api_key).decode(frame, version, position)[0]


def _principal(principal: str) -> bytes:
    """As Kafka's DefaultKafkaPrincipalBuilder serializes it."""
    from pykbroker.protocol.embedded.default_principal import DefaultPrincipalData

    kind, _, name = principal.partition(":")
    return b"\0\0" + bytes(DefaultPrincipalData(type=kind, name=name).encode(0))


def _raw_address(host: str) -> bytes:
    """4 or 16 bytes."""
    host = host.partition("%")[0]
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
