"""From a request frame to its answer: header, version, decoding, handler, errors, encoding. Kafka: KafkaApis.handle.

SERVED is the single list of what is served; ApiVersions advertises exactly it. A handler and its messages are imported
when the first request of its API comes. A handler is stepped at once: when it needs not wait, its answer joins the
burst of the connection without a checkpoint; only one that really waits becomes a Suspended. What would hold the loop
for long leaves it to others: large requests are decoded, and answers of many rows encoded, in a thread, and handlers
that make many rows pause (pending.pause_after).
"""

import gc
import logging
import struct
import types
from collections.abc import Callable, Coroutine, Generator, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.handlers.errors import UNEXPECTED, error_response, shorten_messages
from pykbroker.pending import in_thread
from pykbroker.protocol.apis import API_TABLE, ApiInfo, ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.headers import decode_request_header
from pykbroker.protocol.message import Struct
from pykbroker.request import ANONYMOUS, RawResponse, RequestContext, Services

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message

LOG = logging.getLogger("pykbroker.dispatch")

FORWARDED = "forwarded to the controller"
SERVED: Mapping[ApiKey, str] = {
    ApiKey.PRODUCE: "produce",
    ApiKey.FETCH: "fetch",
    ApiKey.LIST_OFFSETS: "list_offsets",
    ApiKey.METADATA: "metadata",
    ApiKey.OFFSET_COMMIT: "offset_commit",
    ApiKey.OFFSET_FETCH: "offset_fetch",
    ApiKey.FIND_COORDINATOR: "find_coordinator",
    ApiKey.JOIN_GROUP: "join_group",
    ApiKey.HEARTBEAT: "heartbeat",
    ApiKey.LEAVE_GROUP: "leave_group",
    ApiKey.SYNC_GROUP: "sync_group",
    ApiKey.DESCRIBE_GROUPS: "describe_groups",
    ApiKey.LIST_GROUPS: "list_groups",
    ApiKey.API_VERSIONS: "api_versions",
    ApiKey.CREATE_TOPICS: FORWARDED,
    ApiKey.DELETE_TOPICS: FORWARDED,
    ApiKey.DELETE_RECORDS: "delete_records",
    ApiKey.INIT_PRODUCER_ID: "init_producer_id",
    ApiKey.OFFSET_FOR_LEADER_EPOCH: "offset_for_leader_epoch",
    ApiKey.ADD_PARTITIONS_TO_TXN: "add_partitions_to_txn",
    ApiKey.ADD_OFFSETS_TO_TXN: "add_offsets_to_txn",
    ApiKey.END_TXN: "end_txn",
    ApiKey.WRITE_TXN_MARKERS: "write_txn_markers",
    ApiKey.TXN_OFFSET_COMMIT: "txn_offset_commit",
    ApiKey.DESCRIBE_CONFIGS: "describe_configs",
    ApiKey.ALTER_CONFIGS: "alter_configs",
    ApiKey.ALTER_REPLICA_LOG_DIRS: "alter_replica_log_dirs",
    ApiKey.DESCRIBE_LOG_DIRS: "describe_log_dirs",
    ApiKey.CREATE_PARTITIONS: FORWARDED,
    ApiKey.DELETE_GROUPS: "delete_groups",
    ApiKey.ELECT_LEADERS: FORWARDED,
    ApiKey.INCREMENTAL_ALTER_CONFIGS: "incremental_alter_configs",
    ApiKey.ALTER_PARTITION_REASSIGNMENTS: FORWARDED,
    ApiKey.LIST_PARTITION_REASSIGNMENTS: FORWARDED,
    ApiKey.OFFSET_DELETE: "offset_delete",
    ApiKey.DESCRIBE_QUORUM: FORWARDED,
    ApiKey.UPDATE_FEATURES: FORWARDED,
    ApiKey.DESCRIBE_CLUSTER: "describe_cluster",
    ApiKey.DESCRIBE_PRODUCERS: "describe_producers",
    ApiKey.DESCRIBE_TRANSACTIONS: "describe_transactions",
    ApiKey.LIST_TRANSACTIONS: "list_transactions",
    ApiKey.UNREGISTER_BROKER: FORWARDED,
    ApiKey.CONSUMER_GROUP_HEARTBEAT: "consumer_group_heartbeat",
    ApiKey.CONSUMER_GROUP_DESCRIBE: "consumer_group_describe",
    ApiKey.LIST_CONFIG_RESOURCES: "list_config_resources",
    ApiKey.DESCRIBE_TOPIC_PARTITIONS: "describe_topic_partitions",
    ApiKey.ADD_RAFT_VOTER: FORWARDED,
    ApiKey.REMOVE_RAFT_VOTER: FORWARDED,
    ApiKey.STREAMS_GROUP_HEARTBEAT: "streams_group_heartbeat",
    ApiKey.STREAMS_GROUP_DESCRIBE: "streams_group_describe",
    ApiKey.SHARE_FETCH: "share_fetch",
    ApiKey.SHARE_ACKNOWLEDGE: "share_acknowledge",
    ApiKey.SHARE_GROUP_HEARTBEAT: "share_group_heartbeat",
    ApiKey.SHARE_GROUP_DESCRIBE: "share_group_describe",
    ApiKey.INITIALIZE_SHARE_GROUP_STATE: "initialize_share_group_state",
    ApiKey.READ_SHARE_GROUP_STATE: "read_share_group_state",
    ApiKey.WRITE_SHARE_GROUP_STATE: "write_share_group_state",
    ApiKey.DELETE_SHARE_GROUP_STATE: "delete_share_group_state",
    ApiKey.READ_SHARE_GROUP_STATE_SUMMARY: "read_share_group_state_summary",
    ApiKey.DESCRIBE_SHARE_GROUP_OFFSETS: "describe_share_group_offsets",
    ApiKey.ALTER_SHARE_GROUP_OFFSETS: "alter_share_group_offsets",
    ApiKey.DELETE_SHARE_GROUP_OFFSETS: "delete_share_group_offsets",
}
# Kafka advertises Produce 0–2 for old librdkafka, though it refuses them (KIP-896, KAFKA-18659).
_ADVERTISED_FROM = {ApiKey.PRODUCE: 0}
LARGEST_CONTROL_REQUEST = (
    8 * 1024 * 1024
)  # bytes; only requests that carry records may be as large as the socket allows
_CARRIES_RECORDS = frozenset((ApiKey.PRODUCE,))
LARGE_REQUEST = 128 * 1024  # bytes that are decoded in some ten milliseconds
MANY_ROWS = 5000  # that are encoded in some milliseconds
_SAMPLE = 16

_HEADER = struct.Struct(">hhih")  # api key, version, correlation id, length of the client id
_PREFIX = struct.Struct(">ii")  # frame length, correlation id
_INT16 = struct.Struct(">h")

Answer = bytearray | tuple[list[Any], int] | None


def advertised(served: Mapping[ApiKey, str] = SERVED, unstable: bool = False) -> list[tuple[int, int, int]]:
    """(api key, lowest, highest version) of what is served, by key."""
    rows = []
    for key in sorted(served):
        info = API_TABLE[key]
        rows.append((int(key), _ADVERTISED_FROM.get(key, info.min_version), _highest(info, unstable)))
    return rows


def _highest(info: ApiInfo, unstable: bool) -> int:
    return info.latest_version if unstable else info.max_version


class ServedApi:
    """One row of the table; `requests` counts since start."""

    __slots__ = (
        "error_response",
        "handle",
        "handle_frame",
        "info",
        "keeps_frame",
        "loaded",
        "max_version",
        "min_version",
        "module",
        "name",
        "package",
        "request_class",
        "request_flexible",
        "requests",
        "response_class",
        "response_flexible",
    )

    def __init__(self, info: ApiInfo, module: str, unstable: bool, package: str = "broker") -> None:
        self.info = info
        self.package = package
        self.name = info.name
        self.module = module
        self.min_version = info.min_version
        self.max_version = _highest(info, unstable)
        self.request_flexible = info.request_flexible
        # A client must understand this answer before it knows our versions (KIP-511).
        self.response_flexible = 32767 if info.key == ApiKey.API_VERSIONS else info.response_flexible
        self.requests = 0
        self.loaded = False
        self.keeps_frame = False
        self.handle: Callable[[Services, RequestContext, Any], Coroutine[Any, Any, Any]] = _forward
        self.handle_frame: Callable[[Services, RequestContext, memoryview, int], Any] | None = None
        self.error_response: Callable[[Any, KafkaError, int], Message] | None = None
        self.request_class: type[Message]
        self.response_class: type[Message]

    def load(self) -> None:
        """Imports the messages and the handler."""
        messages = import_module(f"pykbroker.protocol.messages.{self.info.module}")
        self.request_class = getattr(messages, f"{self.name}Request")
        self.response_class = getattr(messages, f"{self.name}Response")
        if self.module == FORWARDED:
            # The handler runs in the controller; how its API tells an error is known here too.
            handler = import_module(f"pykbroker.handlers.controller.{self.info.module}")
        else:
            handler = import_module(f"pykbroker.handlers.{self.package}.{self.module}")
            if getattr(handler, "FAST", False):
                self.handle_frame = handler.handle_frame
                self.keeps_frame = getattr(handler, "KEEPS_FRAME", True)
            else:
                self.handle = handler.handle
        self.error_response = getattr(handler, "error_response", None)
        self.loaded = True


async def _forward(broker: Services, ctx: RequestContext, request: Any) -> Any:
    return await broker.controller.forward(ctx, request)


class Dispatcher:
    """The table of one broker, and the sessions that use it. `package`: where in handlers/ the modules are."""

    def __init__(
        self,
        broker: Services,
        served: Mapping[ApiKey, str] = SERVED,
        unstable: bool = False,
        package: str = "broker",
    ) -> None:
        self.broker = broker
        self.apis = {int(key): ServedApi(API_TABLE[key], module, unstable, package) for key, module in served.items()}

    def open_session(
        self,
        listener_name: str,
        security_protocol: str,
        client: tuple[str, int],
        local: tuple[str, int],
        principal: str = ANONYMOUS,
    ) -> "Session":
        """What is kept per connection; `client` and `local` are (host, port)."""
        return Session(self, listener_name, security_protocol, client, local, principal)


class Session:
    """One connection as dispatch sees it. Its requests come one after the other, each when the last is answered."""

    __slots__ = (
        "_apis",
        "_broker",
        "_client_id",
        "_client_id_bytes",
        "_last",
        "client_host",
        "client_port",
        "listener_name",
        "local_host",
        "local_port",
        "name",
        "principal",
        "security_protocol",
    )

    def __init__(
        self,
        dispatcher: Dispatcher,
        listener_name: str,
        security_protocol: str,
        client: tuple[str, int],
        local: tuple[str, int],
        principal: str,
    ) -> None:
        self._apis = dispatcher.apis
        self._broker = dispatcher.broker
        self._client_id: str | None = None
        self._client_id_bytes = b""
        self._last: RequestContext | None = None
        self.listener_name = listener_name
        self.security_protocol = security_protocol
        self.client_host, self.client_port = client
        self.local_host, self.local_port = local
        self.principal = principal
        self.name = f"connection from {self.client_host}:{self.client_port} on {listener_name}"

    @property
    def last_request(self) -> str:
        """API, version and correlation id of the latest request."""
        return _name(self._apis, self._last) if self._last is not None else "no request"

    def admit(self, start: memoryview, size: int) -> None:
        """Refuses a large frame by its first bytes, before the rest is received. Raises MalformedFrame."""
        if len(start) < 2:
            return
        (key,) = _INT16.unpack_from(start)
        api = self._apis.get(key)
        if api is None:
            raise MalformedFrame(f"request of {size} bytes for API key {key}, which is not served")
        if size > LARGEST_CONTROL_REQUEST and key not in _CARRIES_RECORDS:
            raise MalformedFrame(f"{api.name} request of {size} bytes, more than {LARGEST_CONTROL_REQUEST}")

    def begin(self, frame: memoryview, received_at: float) -> "Answer | Suspended | LargeRequest":
        """The answer frame; None: no answer; else await its finish() next, whatever happens.

        Raises MalformedFrame: close the connection.
        """
        try:
            key, version, correlation_id, client_id_length = _HEADER.unpack_from(frame)
        except struct.error:
            raise MalformedFrame(f"frame of {len(frame)} bytes is too short for a request header") from None
        api = self._apis.get(key)
        if api is None:
            raise MalformedFrame(f"request for API key {key} version {version}, which is not served")
        if not api.min_version <= version <= api.max_version:
            return self._unsupported(api, version, correlation_id)
        if not api.loaded:
            api.load()
        api.requests += 1
        position = self._read_header(frame, client_id_length, version >= api.request_flexible)
        ctx = self._last = RequestContext(
            key,
            version,
            correlation_id,
            self._client_id,
            self.listener_name,
            self.security_protocol,
            self.principal,
            self.client_host,
            self.client_port,
            self.local_host,
            self.local_port,
            received_at,
        )
        request = None
        try:
            if api.handle_frame is not None:
                result = api.handle_frame(self._broker, ctx, frame, position)
                if result is None or isinstance(result, RawResponse):
                    return _encode(api, ctx, result)
                coroutine = result
            elif len(frame) > LARGE_REQUEST:
                return LargeRequest(self, api, ctx, bytes(frame), position)
            else:
                request, _ = api.request_class.decode(frame, version, position)
                coroutine = api.handle(self._broker, ctx, request)
        except MalformedFrame as error:
            raise MalformedFrame(f"{_name(self._apis, ctx)}: {error}") from error
        except Exception as error:
            return self._fail(api, ctx, frame, request, error)
        return self._step(api, ctx, frame, request, coroutine)

    def closed(self) -> None:
        """The connection is gone: what its client held is free."""
        connection = self.local_host, self.local_port, self.client_host, self.client_port
        self._broker.release_share_sessions(connection)

    def _step(
        self, api: ServedApi, ctx: RequestContext, frame: memoryview, request: Any, coroutine: Coroutine[Any, Any, Any]
    ) -> "Answer | Suspended":
        try:
            trap = coroutine.send(None)
        except StopIteration as stop:
            return self._answer(api, ctx, frame, request, stop.value)
        except MalformedFrame as error:
            raise MalformedFrame(f"{_name(self._apis, ctx)}: {error}") from error
        except Exception as error:
            return self._fail(api, ctx, frame, request, error)
        if request is None and not api.keeps_frame:
            frame = memoryview(bytes(frame))  # an error may need it after the buffer has gone
        return Suspended(self, api, ctx, frame, request, coroutine, trap)

    async def _answer_late(
        self, api: ServedApi, ctx: RequestContext, frame: memoryview, request: Any, response: Any
    ) -> Answer:
        """Nobody else may change a response that has many rows."""
        if not isinstance(response, RawResponse) and response is not None and count_rows(response) >= MANY_ROWS:
            return await in_thread(partial(self._answer, api, ctx, frame, request, response))
        return self._answer(api, ctx, frame, request, response)

    def _answer(self, api: ServedApi, ctx: RequestContext, frame: memoryview, request: Any, response: Any) -> Answer:
        try:
            return _encode(api, ctx, response)
        except Exception as error:
            return self._fail(api, ctx, frame, request, error)

    def _fail(self, api: ServedApi, ctx: RequestContext, frame: memoryview, request: Any, error: Exception) -> Answer:
        """The error response. Raises MalformedFrame when Kafka has none for this API."""
        if isinstance(error, KafkaError):
            LOG.debug("%s from %s: %s", _name(self._apis, ctx), self.name, error)
        else:
            LOG.error("%s from %s failed", _name(self._apis, ctx), self.name, exc_info=error)
            error = KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, UNEXPECTED)
        if request is None:
            header = decode_request_header(frame)
            request, _ = api.request_class.decode(frame, ctx.api_version, header.body_position)
        if api.error_response is not None:
            response = api.error_response(request, error, ctx.api_version)
        else:
            response = error_response(api.response_class, request, error, ctx.api_version)
        return _encode(api, ctx, response)

    def _read_header(self, frame: memoryview, client_id_length: int, flexible: bool) -> int:
        """Takes the client id; the position of the body. Raises MalformedFrame."""
        position = 10 + client_id_length
        if client_id_length >= 0 and position + flexible <= len(frame) and not (flexible and frame[position]):
            raw = frame[10:position]
            if raw != self._client_id_bytes or self._client_id is None:
                self._client_id = _client_id(raw)
                self._client_id_bytes = bytes(raw)
            return position + flexible
        header = decode_request_header(frame)
        self._client_id = header.client_id
        self._client_id_bytes = (header.client_id or "").encode()
        return header.body_position

    def _unsupported(self, api: ServedApi, version: int, correlation_id: int) -> Answer:
        """Kafka closes the connection, but for ApiVersions: version 0 of its answer tells the range (KIP-511)."""
        if api.info.key != ApiKey.API_VERSIONS:
            raise MalformedFrame(f"{api.name} v{version}, supported are {api.min_version} to {api.max_version}")
        out = bytearray(8)
        out += _UNSUPPORTED_API_VERSIONS.pack(
            ErrorCode.UNSUPPORTED_VERSION, 1, ApiKey.API_VERSIONS, api.min_version, api.max_version
        )
        _PREFIX.pack_into(out, 0, len(out) - 4, correlation_id)
        return out


class Suspended:
    """A request whose handler waits. finish() must be awaited next in the same task: trio counts on it."""

    __slots__ = ("_api", "_coroutine", "_ctx", "_frame", "_request", "_session", "_trap", "keeps_frame")

    def __init__(
        self,
        session: Session,
        api: ServedApi,
        ctx: RequestContext,
        frame: memoryview,
        request: Any,
        coroutine: Coroutine[Any, Any, Any],
        trap: Any,
    ) -> None:
        self._session = session
        self._api = api
        self._ctx = ctx
        self._frame = frame
        self._request = request
        self._coroutine = coroutine
        self._trap = trap
        self.keeps_frame = api.keeps_frame

    async def finish(self) -> Answer:
        """Waits and answers. Raises MalformedFrame."""
        session, api, ctx = self._session, self._api, self._ctx
        try:
            result = await _resume(self._coroutine, self._trap)
        except MalformedFrame as error:
            raise MalformedFrame(f"{session.last_request}: {error}") from error
        except Exception as error:
            return session._fail(api, ctx, self._frame, self._request, error)
        return await session._answer_late(api, ctx, self._frame, self._request, result)


class LargeRequest:
    """A request that is not even decoded yet; `frame`: its own copy, so that the buffer can go."""

    __slots__ = ("_api", "_ctx", "_frame", "_position", "_session")

    keeps_frame = False

    def __init__(self, session: Session, api: ServedApi, ctx: RequestContext, frame: bytes, position: int) -> None:
        self._session = session
        self._api = api
        self._ctx = ctx
        self._frame = memoryview(frame)
        self._position = position

    async def finish(self) -> Answer:
        """Handles and answers. Raises MalformedFrame."""
        with _FULL_COLLECTIONS:
            return await self._finish()

    async def _finish(self) -> Answer:
        session, api, ctx, frame = self._session, self._api, self._ctx, self._frame
        request = None
        try:
            request, _ = await in_thread(partial(api.request_class.decode, frame, ctx.api_version, self._position))
            result = await api.handle(session._broker, ctx, request)
        except MalformedFrame as error:
            raise MalformedFrame(f"{session.last_request}: {error}") from error
        except Exception as error:
            return await in_thread(partial(session._fail, api, ctx, frame, request, error))
        return await session._answer_late(api, ctx, frame, request, result)


class FullCollections:
    """Postponed while there are large requests, or Python would go through all their rows again and again: 0.2 s each
    time for a million. What is young is collected as ever."""

    __slots__ = ("_large", "_thresholds")

    RARELY = 1000  # middle collections until the next full one

    def __init__(self) -> None:
        self._large = 0
        self._thresholds = (0, 0, 0)

    def __enter__(self) -> None:
        self._large += 1
        if self._large == 1:
            self._thresholds = gc.get_threshold()
            gc.set_threshold(*self._thresholds[:2], self.RARELY)

    def __exit__(self, *_: object) -> None:
        self._large -= 1
        if not self._large:
            gc.set_threshold(*self._thresholds)


_FULL_COLLECTIONS = FullCollections()


def count_rows(response: "Struct") -> int:
    """About how many structs a response has, arrays of arrays by some of their elements."""
    count = 0
    for name in response.__slots__:
        rows = getattr(response, name)
        if type(rows) is list and rows and isinstance(rows[0], Struct):
            sample = rows[:: max(1, len(rows) // _SAMPLE)]
            count += len(rows) + sum(map(count_rows, sample)) * len(rows) // len(sample)
    return count


@types.coroutine
def _resume(coroutine: Coroutine[Any, Any, Any], trap: Any) -> Generator[Any, Any, Any]:
    """Awaits the rest of a coroutine whose first step yielded `trap`."""
    while True:
        try:
            sent = yield trap
        except GeneratorExit:
            coroutine.close()
            raise
        try:
            trap = coroutine.send(sent)
        except StopIteration as stop:
            return stop.value


def _encode(api: ServedApi, ctx: RequestContext, response: Any) -> Answer:
    """The frame of a response, with length and header."""
    if response is None:
        return None
    out = bytearray(9 if ctx.api_version >= api.response_flexible else 8)
    if isinstance(response, RawResponse):
        parts, size = response
        size = len(out) + (size if size >= 0 else sum(map(_length, parts)))
        _PREFIX.pack_into(out, 0, size - 4, ctx.correlation_id)
        return [out, *parts], size
    body = len(out)
    try:
        response.encode_into(out, ctx.api_version)
    except ValueError:
        if not shorten_messages(response):
            raise
        del out[body:]
        response.encode_into(out, ctx.api_version)
    _PREFIX.pack_into(out, 0, len(out) - 4, ctx.correlation_id)
    return out


def _length(part: Any) -> int:
    return len(part) if isinstance(part, (bytes, bytearray, memoryview)) else int(part.length)


def _client_id(raw: memoryview) -> str:
    try:
        return str(raw, "utf-8")
    except UnicodeDecodeError:
        return str(raw, "utf-8", "replace")  # as Java's decoder does


def _name(apis: Mapping[int, ServedApi], ctx: RequestContext) -> str:
    return f"{apis[ctx.api_key].name} v{ctx.api_version} #{ctx.correlation_id}"


_UNSUPPORTED_API_VERSIONS = struct.Struct(">hihhh")  # error, one row: key, lowest, highest
