"""What a handler is given (RequestContext, Services) and what it may return (a message, None or a RawResponse).

A handler module is `handlers/broker/<api>.py` and defines

    async def handle(broker: Services, ctx: RequestContext, request: XRequest) -> XResponse | RawResponse | None

None means: no answer at all (Produce with acks=0). It raises KafkaError for an error of the whole request and MAY
define `def error_response(request: XRequest, error: KafkaError, version: int) -> XResponse` for where Kafka puts that
error (AbstractRequest.getErrorResponse); without it dispatch sets the top-level error_code and error_message.

Fast path (Produce, Fetch): a module with `FAST = True` gets the bytes, not a decoded request:

    def handle_frame(broker: Services, ctx: RequestContext, frame: memoryview, body_position: int)
        -> RawResponse | None | Awaitable[RawResponse | None]

- `frame` is the whole request frame without its length prefix, writable, a view into the connection's receive buffer;
  the body starts at `body_position` (the header is parsed already). The view and slices of it are valid until the
  answer is returned, across awaits too; nothing may keep one afterwards.
- It is called synchronously. When the answer is there at once it returns it: no coroutine, no checkpoint, the cheap
  way. When it must wait (min.bytes, acks=all with followers) it does what it can and returns a coroutine for the rest,
  which the connection awaits: nothing is ever done twice, so no "not done" marker is needed. A plain
  `async def handle_frame` obeys this contract as well.
- KafkaError and MalformedFrame may be raised. For a KafkaError dispatch decodes the request with the generated codec
  and asks `error_response` as for any other handler.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from pykbroker.clock import Clock

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.config.dynamic import DynamicBrokerConfig
    from pykbroker.coordinator.group.service import GroupCoordinatorService
    from pykbroker.coordinator.group.share_service import ShareGroupService
    from pykbroker.coordinator.group.streams_configured_topology import ConfiguredInternalTopic
    from pykbroker.coordinator.share.service import ShareCoordinatorService
    from pykbroker.coordinator.transaction.service import TransactionCoordinatorService
    from pykbroker.ids import Endpoint
    from pykbroker.log.log_manager import LogManager
    from pykbroker.metadata.image import MetadataImage
    from pykbroker.network.file_region import FileRegion
    from pykbroker.protocol.message import Message
    from pykbroker.replica.fetch_session import FetchSessionCache
    from pykbroker.replica.replica_manager import ReplicaManager
    from pykbroker.share.share_partition_manager import SharePartitionManager


ANONYMOUS = "User:ANONYMOUS"


class RequestContext:
    """Who asks what, over which listener. A new one per request; cheap, immutable by convention."""

    __slots__ = (
        "api_key",
        "api_version",
        "client_host",
        "client_id",
        "client_port",
        "correlation_id",
        "listener_name",
        "local_host",
        "local_port",
        "principal",
        "received_at",
        "security_protocol",
    )

    def __init__(
        self,
        api_key: int,
        api_version: int,
        correlation_id: int = 0,
        client_id: str | None = None,
        listener_name: str = "PLAINTEXT",
        security_protocol: str = "PLAINTEXT",
        principal: str = ANONYMOUS,
        client_host: str = "127.0.0.1",
        client_port: int = 0,
        local_host: str = "127.0.0.1",
        local_port: int = 0,
        received_at: float = 0.0,
    ) -> None:
        """`received_at` is clock.monotonic seconds; `client_host` has no slash (Kafka prints one)."""
        self.api_key = api_key
        self.api_version = api_version
        self.correlation_id = correlation_id
        self.client_id = client_id
        self.listener_name = listener_name
        self.security_protocol = security_protocol
        self.principal = principal
        self.client_host = client_host
        self.client_port = client_port
        self.local_host = local_host
        self.local_port = local_port
        self.received_at = received_at

    def __repr__(self) -> str:
        client = f"{self.client_id}@{self.client_host}:{self.client_port}"
        return f"<RequestContext api {self.api_key} v{self.api_version} #{self.correlation_id} from {client}>"


Part: TypeAlias = "bytes | bytearray | memoryview | FileRegion"


class RawResponse(NamedTuple):
    """An encoded response body (what follows the response header). `size`: sum of the lengths, -1: not counted yet."""

    parts: list[Part]
    size: int = -1


Answer: TypeAlias = "RawResponse | None"
MaybeLater: TypeAlias = "RawResponse | Awaitable[RawResponse | None] | None"


class NodeChannel(Protocol):
    """One connection to another node, opened when first used and again after a failure.

    Implemented by network/node_channel.py. Any number of tasks may call; one request is under way at a time, in the
    order of the calls. `timeout` is in seconds and begins with the request's turn; it includes connecting. A call that
    ends with an exception, cancelled too, drops the connection: what is asked next does not meet an old answer.
    """

    async def send(self, api_key: int, version: int, request: "Message", *, timeout: float) -> "Message":
        """The decoded response. Raises NodeUnreachable, MalformedFrame."""

    async def send_frame(self, api_key: int, version: int, body: bytes, *, timeout: float) -> memoryview:
        """The response's body, for Fetch and Envelope. The view is valid until the next request is sent on this
        channel: with several callers, up to one's own next checkpoint. Raises NodeUnreachable, MalformedFrame."""

    async def api_versions(self, *, timeout: float) -> Mapping[int, tuple[int, int]]:
        """(lowest, highest) version of each API of the node; asked once per connection. Raises NodeUnreachable,
        MalformedFrame."""

    def close(self) -> None:
        """Drops the connection; who waits gets NodeUnreachable. A later request opens a new one."""


# (where, client id) → channel; nothing is connected yet.
Connect: TypeAlias = "Callable[[Endpoint | tuple[str, int], str], NodeChannel]"


class ControllerLink(Protocol):
    """What a broker says to its controller; the same interface near (controller_link/local.py) and far."""

    @property
    def controller_versions(self) -> Mapping[int, tuple[int, int]] | None:
        """(lowest, highest) version by API of a controller elsewhere; None: this code's, or not known yet."""

    @property
    def kraft_version(self) -> int:
        """Of the controllers' quorum, as far as known: 0 static voters, 1 dynamic ones."""

    async def forward(self, ctx: RequestContext, request: "Message") -> "Message":
        """The controller's response to a forwardable request. Raises KafkaError."""

    async def allocate_producer_ids(self) -> tuple[int, int]:
        """(first producer id, number of ids) of a fresh block. Raises KafkaError."""

    async def call(self, api_key: int, request: "Message") -> "Message":
        """A request of the broker itself, not of a client: heartbeat, AlterPartition, AssignReplicasToDirs.

        Raises KafkaError: what the response says of the whole request, REQUEST_TIMED_OUT when no controller answers."""


class TopicCreation(Protocol):
    """Creates topics that clients ask for by name, and Kafka's own on first use (AutoTopicCreationManager)."""

    async def create(self, ctx: RequestContext, names: Iterable[str]) -> None:
        """Returns when they exist in Services.image, or cannot be created; illegal names are passed over."""


class StreamsTopics(Protocol):
    """Creates internal topics of streams groups beside their heartbeats (AutoTopicCreationManager)."""

    def create(self, ctx: RequestContext, topics: "Mapping[str, ConfiguredInternalTopic]", remember_ms: int) -> None:
        """Soon; not those under way or refused lately: a refusal is remembered so many milliseconds."""

    def errors(self, names: Iterable[str]) -> dict[str, str]:
        """Of those refused lately: what was said."""


class ProducerIds(Protocol):
    """Hands out producer ids from blocks of the controller (RPCProducerIdManager)."""

    async def next(self) -> int:
        """A producer id never given before. Raises KafkaError."""


class Services(Protocol):
    """The broker as handlers see it."""

    @property
    def config(self) -> "BrokerConfig": ...
    @property
    def dynamic_config(self) -> "DynamicBrokerConfig":
        """Where `config` comes from, and the configs of topics and groups."""

    @property
    def clock(self) -> Clock: ...
    @property
    def node_id(self) -> int: ...
    @property
    def cluster_id(self) -> str: ...
    @property
    def image(self) -> "MetadataImage":
        """The current image; take it once per request, it is immutable."""

    @property
    def replicas(self) -> "ReplicaManager": ...
    @property
    def groups(self) -> "GroupCoordinatorService": ...
    @property
    def transactions(self) -> "TransactionCoordinatorService": ...
    @property
    def share_groups(self) -> "ShareGroupService": ...
    @property
    def share_coordinator(self) -> "ShareCoordinatorService":
        """For those who ask it over the wire."""

    @property
    def controller(self) -> ControllerLink: ...
    @property
    def logs(self) -> "LogManager": ...
    @property
    def fetch_sessions(self) -> "FetchSessionCache": ...
    @property
    def share_partitions(self) -> "SharePartitionManager": ...
    def release_share_sessions(self, connection: object) -> None:
        """Their client has gone."""

    @property
    def producer_ids(self) -> ProducerIds: ...
    @property
    def topic_creation(self) -> TopicCreation: ...
    @property
    def streams_topics(self) -> StreamsTopics: ...

    def endpoint_for(self, ctx: RequestContext, node_id: int) -> tuple[str, int]:
        """Host and port to tell this client for a node, on the listener of the request. Raises KafkaError
        BROKER_NOT_AVAILABLE when there is none. Without advertised.listeners: the address by which it reached us."""
