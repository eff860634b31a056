"""MetadataImage: everything the metadata log says at one offset. Immutable; parts that did not change are shared."""

from collections.abc import Mapping
from typing import NamedTuple

from pykbroker.ids import Endpoint, Uuid
from pykbroker.metadata.topics import EMPTY_TOPICS, TopicsImage

METADATA_VERSION = "metadata.version"
# ConfigResource.Type, as ConfigRecord and the config APIs number it.
TOPIC_RESOURCE = 2
BROKER_RESOURCE = 4
CLIENT_METRICS_RESOURCE = 16
GROUP_RESOURCE = 32

NOTHING: Mapping[str, str] = {}


class FeaturesImage(NamedTuple):
    """Finalized feature levels, those above 0 only; metadata.version among them."""

    finalized: Mapping[str, int]

    @property
    def metadata_version(self) -> int:
        """The finalized level of metadata.version; 0 before the first record."""
        return self.finalized.get(METADATA_VERSION, 0)

    def level(self, name: str) -> int:
        return self.finalized.get(name, 0)


class BrokerRegistration(NamedTuple):
    """A registered broker. `directories`: ids of its online log directories; `features`: (min, max) it supports."""

    id: int
    epoch: int
    incarnation_id: Uuid
    endpoints: tuple[Endpoint, ...]
    features: Mapping[str, tuple[int, int]]
    rack: str | None
    fenced: bool
    in_controlled_shutdown: bool
    is_migrating_zk_broker: bool = False
    directories: tuple[Uuid, ...] = ()
    cordoned_directories: tuple[Uuid, ...] | None = None

    @property
    def is_active(self) -> bool:
        """May lead partitions and be in an ISR."""
        return not self.fenced and not self.in_controlled_shutdown

    def endpoint(self, listener: str) -> Endpoint | None:
        return next((endpoint for endpoint in self.endpoints if endpoint.listener == listener), None)


class ControllerRegistration(NamedTuple):
    id: int
    incarnation_id: Uuid
    zk_migration_ready: bool
    endpoints: tuple[Endpoint, ...]
    features: Mapping[str, tuple[int, int]]


class ConfigsImage:
    """Dynamic configs by resource: what was set, not what is effective."""

    __slots__ = ("_data",)

    def __init__(self, data: Mapping[tuple[int, str], Mapping[str, str]]) -> None:
        self._data = data

    @property
    def resources(self) -> Mapping[tuple[int, str], Mapping[str, str]]:
        """(resource type, name) → overrides; resources without any are absent."""
        return self._data

    def overrides(self, resource_type: int, name: str) -> Mapping[str, str]:
        return self._data.get((resource_type, name), NOTHING)

    def topic(self, name: str) -> Mapping[str, str]:
        return self.overrides(TOPIC_RESOURCE, name)

    def broker(self, node_id: int | str) -> Mapping[str, str]:
        """Overrides of one broker; "" is the default of the whole cluster."""
        return self.overrides(BROKER_RESOURCE, str(node_id))

    def group(self, name: str) -> Mapping[str, str]:
        return self.overrides(GROUP_RESOURCE, name)

    def client_metrics(self, name: str) -> Mapping[str, str]:
        return self.overrides(CLIENT_METRICS_RESOURCE, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConfigsImage) and self._data == other._data

    __hash__ = None  # type: ignore[assignment]  # equality by value, and big

    def __repr__(self) -> str:
        return f"ConfigsImage({len(self._data)} resources)"  # values may be secrets


class ProducerIdsImage(NamedTuple):
    """The first producer id that was not given away yet; -1 before the first block."""

    next_producer_id: int = -1


class AclImage(NamedTuple):
    """One access control entry, numbers as in ResourceType, PatternType, AclOperation, AclPermissionType."""

    resource_type: int
    resource_name: str
    pattern_type: int
    principal: str
    host: str
    operation: int
    permission_type: int


class ScramCredential(NamedTuple):
    salt: bytes
    stored_key: bytes
    server_key: bytes
    iterations: int


class DelegationTokenImage(NamedTuple):
    """Times are milliseconds since 1970."""

    token_id: str
    owner: str
    requester: str
    renewers: tuple[str, ...]
    issue_timestamp: int
    max_timestamp: int
    expiration_timestamp: int


# A quota's entity: (type, name) pairs in order of type; name None is the default entity.
QuotaEntity = tuple[tuple[str, str | None], ...]


class MetadataImage(NamedTuple):
    """`offset` is the last record replayed, `epoch` the raft epoch that wrote it; both -1 when empty.

    scram: (mechanism, user) → credential. client_quotas: entity → quota name → value.
    delegation_tokens: token id → token.
    """

    cluster_id: str
    offset: int
    epoch: int
    features: FeaturesImage
    brokers: Mapping[int, BrokerRegistration]
    controllers: Mapping[int, ControllerRegistration]
    topics: TopicsImage
    configs: ConfigsImage
    client_quotas: Mapping[QuotaEntity, Mapping[str, float]]
    producer_ids: ProducerIdsImage
    acls: Mapping[Uuid, AclImage]
    scram: Mapping[tuple[int, str], ScramCredential]
    delegation_tokens: Mapping[str, DelegationTokenImage]

    @classmethod
    def empty(cls, cluster_id: str = "") -> "MetadataImage":
        """The image before the first record."""
        return cls(
            cluster_id=cluster_id,
            offset=-1,
            epoch=-1,
            features=FeaturesImage({}),
            brokers={},
            controllers={},
            topics=EMPTY_TOPICS,
            configs=ConfigsImage({}),
            client_quotas={},
            producer_ids=ProducerIdsImage(),
            acls={},
            scram={},
            delegation_tokens={},
        )
