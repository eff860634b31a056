"""Creates topics that clients ask for or coordinators need, each once at a time (DefaultAutoTopicCreationManager)."""

from collections.abc import Awaitable, Callable, Iterable
from logging import getLogger
from typing import TYPE_CHECKING, cast

from pykbroker.errors import KafkaError
from pykbroker.metadata.topic_names import (
    GROUP_METADATA_TOPIC,
    SHARE_GROUP_STATE_TOPIC,
    TRANSACTION_STATE_TOPIC,
    why_invalid,
)
from pykbroker.pending import Pending
from pykbroker.protocol.apis import API_TABLE, ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.request import ControllerLink, RequestContext, Services

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.protocol.messages.create_topics import CreatableTopic, CreateTopicsResponse

LOG = getLogger(__name__)

_NAMES_IN_A_LINE = 5
_CREATED = (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS)
_COORDINATED = frozenset((GROUP_METADATA_TOPIC, SHARE_GROUP_STATE_TOPIC, TRANSACTION_STATE_TOPIC))


async def _at_once() -> None:
    return


class AutoTopicCreation:
    """Implements request.TopicCreation."""

    def __init__(
        self, link: ControllerLink, config: "BrokerConfig", settled: Callable[[], Awaitable[None]] = _at_once
    ) -> None:
        """`settled` returns when all parts of the broker know the newest metadata."""
        self._link = link
        self._config = config
        self._settled = settled
        # Completed when the controller has answered, whatever it said.
        self._in_flight: dict[str, Pending[None]] = {}

    async def create(self, ctx: RequestContext, names: Iterable[str]) -> None:
        """Returns when they exist or the controller refused them: the image tells. Illegal names are passed over.

        Of a topic with coordinators those that are here have been elected: a client that came before would be refused,
        and pauses for a tenth of a second.
        """
        legal = [name for name in names if why_invalid(name) is None]
        others = [self._in_flight[name] for name in legal if name in self._in_flight]
        own = [name for name in legal if name not in self._in_flight]
        if own:
            await self._create(ctx, own)
        for pending in others:
            await pending.wait()

    async def _create(self, ctx: RequestContext, names: list[str]) -> None:
        pending: Pending[None] = Pending()
        self._in_flight.update(dict.fromkeys(names, pending))
        try:
            _report(await self._send(ctx, names))
            if not _COORDINATED.isdisjoint(names):
                await self._settled()
        except KafkaError as error:
            _complain(names, error)
        finally:
            for name in names:
                del self._in_flight[name]
            pending.complete(None)

    async def _send(self, ctx: RequestContext, names: list[str]) -> "CreateTopicsResponse":
        from pykbroker.protocol.messages.create_topics import CreateTopicsRequest

        request = CreateTopicsRequest(
            topics=[creatable_topic(name, self._config) for name in names], timeout_ms=self._config.request_timeout_ms
        )
        return cast("CreateTopicsResponse", await self._link.forward(create_topics_context(ctx), request))


class InternalTopic:
    """One of Kafka's own topics, for a part of this broker that needs it."""

    def __init__(self, name: str, broker: Services) -> None:
        self._name = name
        self._broker = broker

    @property
    def exists(self) -> bool:
        return self._name in self._broker.image.topics

    async def create(self) -> None:
        """Returns when it exists or the controller refused it."""
        own = RequestContext(ApiKey.CREATE_TOPICS, API_TABLE[ApiKey.CREATE_TOPICS].max_version)
        await self._broker.topic_creation.create(own, [self._name])


def _report(response: "CreateTopicsResponse") -> None:
    refused = [row for row in response.topics if row.error_code not in _CREATED]
    if refused:
        first = refused[0]
        _complain([row.name for row in refused], KafkaError(ErrorCode(first.error_code), first.error_message))


def _complain(names: list[str], error: KafkaError) -> None:
    """One line, however many there are: clients ask again and again."""
    shown = ", ".join(names[:_NAMES_IN_A_LINE]) + (" …" if len(names) > _NAMES_IN_A_LINE else "")
    LOG.warning("Topics not created: %s: %s", shown, error)


def create_topics_context(ctx: RequestContext) -> RequestContext:
    """The client's request becomes a CreateTopics: who asks stays the same."""
    return RequestContext(
        ApiKey.CREATE_TOPICS,
        API_TABLE[ApiKey.CREATE_TOPICS].max_version,
        ctx.correlation_id,
        ctx.client_id,
        ctx.listener_name,
        ctx.security_protocol,
        ctx.principal,
        ctx.client_host,
        ctx.client_port,
        ctx.local_host,
        ctx.local_port,
        ctx.received_at,
    )


def creatable_topic(name: str, config: "BrokerConfig") -> "CreatableTopic":
    """A topic with the broker's defaults; Kafka's own topics have their own."""
    from pykbroker.protocol.messages.create_topics import CreatableTopic, CreatableTopicConfig

    partitions, factor, configs = _settings(name, config)
    rows = [CreatableTopicConfig(name=key, value=value) for key, value in configs.items()]
    return CreatableTopic(name=name, num_partitions=partitions, replication_factor=factor, configs=rows)


def _settings(name: str, config: "BrokerConfig") -> tuple[int, int, dict[str, str]]:
    """(partitions, replication factor, configs)."""
    if name == GROUP_METADATA_TOPIC:
        configs = {
            "cleanup.policy": "compact",
            "compression.type": "producer",
            "segment.bytes": str(config.offsets_topic_segment_bytes),
        }
        return config.offsets_topic_num_partitions, config.offsets_topic_replication_factor, configs
    if name == TRANSACTION_STATE_TOPIC:
        configs = {
            "cleanup.policy": "compact",
            "compression.type": "uncompressed",
            "min.insync.replicas": str(config.transaction_state_log_min_isr),
            "segment.bytes": str(config.transaction_state_log_segment_bytes),
            "unclean.leader.election.enable": "false",
        }
        return config.transaction_state_log_num_partitions, config.transaction_state_log_replication_factor, configs
    if name == SHARE_GROUP_STATE_TOPIC:
        configs = {
            "cleanup.policy": "delete",
            "compression.type": "producer",
            "min.insync.replicas": str(config.share_coordinator_state_topic_min_isr),
            "retention.ms": "-1",
            "segment.bytes": str(config.share_coordinator_state_topic_segment_bytes),
        }
        partitions = config.share_coordinator_state_topic_num_partitions
        return partitions, config.share_coordinator_state_topic_replication_factor, configs
    return config.num_partitions, config.default_replication_factor, {}
