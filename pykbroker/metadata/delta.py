"""MetadataDelta: records on their way into the next image (MetadataDelta, MetadataBatchLoader, KIP-868)."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pykbroker.ids import Uuid
from pykbroker.metadata import partition_change, registration
from pykbroker.metadata.copy_on_write import CopyOnWrite
from pykbroker.metadata.features import LAST_KNOWN_METADATA_VERSION, MINIMUM_METADATA_VERSION
from pykbroker.metadata.image import (
    METADATA_VERSION,
    TOPIC_RESOURCE,
    AclImage,
    BrokerRegistration,
    ConfigsImage,
    DelegationTokenImage,
    FeaturesImage,
    MetadataImage,
    ProducerIdsImage,
    ScramCredential,
)
from pykbroker.metadata.topics import PartitionImage, TopicImage, TopicsImage

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message


class ReplayError(Exception):
    """A record that does not fit what was replayed before it, or that we do not know: the node must stop."""


class _State(NamedTuple):
    """What AbortTransaction goes back to."""

    parts: dict[str, Mapping[Any, Any]]
    producer_ids: ProducerIdsImage
    topics: set[Uuid]
    deleted: dict[Uuid, TopicImage]
    configs: set[tuple[int, str]]
    changed_parts: set[str]


class MetadataDelta:
    """The changes since `base`. Replay records into it, then apply() once.

    changed_topics: created topics and those with changed partitions; deleted_topics: as they were;
    changed_configs: (resource type, name); changed_parts: names of the image's parts that some record touched
    ("features", "brokers", "acls", …).
    """

    def __init__(self, base: MetadataImage) -> None:
        self.base = base
        self.changed_topics: set[Uuid] = set()
        self.deleted_topics: dict[Uuid, TopicImage] = {}
        self.changed_configs: set[tuple[int, str]] = set()
        self.changed_parts: set[str] = set()
        self._producer_ids = base.producer_ids
        self._parts: dict[str, CopyOnWrite[Any, Any]] = {
            "features": CopyOnWrite(base.features.finalized),
            "brokers": CopyOnWrite(base.brokers),
            "controllers": CopyOnWrite(base.controllers),
            "topics": CopyOnWrite(base.topics.ids),
            "names": CopyOnWrite(base.topics.by_name),
            "configs": CopyOnWrite(base.configs.resources),
            "client_quotas": CopyOnWrite(base.client_quotas),
            "acls": CopyOnWrite(base.acls),
            "scram": CopyOnWrite(base.scram),
            "delegation_tokens": CopyOnWrite(base.delegation_tokens),
        }
        self._partitions: dict[Uuid, dict[int, PartitionImage]] = {}
        self._before_transaction: _State | None = None

    @property
    def in_transaction(self) -> bool:
        """Between BeginTransaction and its end: no image may be made, none of it counts yet."""
        return self._before_transaction is not None

    def replay(self, record: "Message") -> None:
        """Takes one record in. Raises ReplayError."""
        method = _REPLAY.get(type(record).__name__)
        if method is None:
            raise ReplayError(f"unknown metadata record {type(record).__name__}")
        try:
            method(self, record)
        except ValueError as error:
            raise ReplayError(f"{record!r}: {error}") from error

    def apply(self, offset: int, epoch: int) -> MetadataImage:
        """The next image; `offset` and `epoch` are the last record's. Raises ReplayError inside a transaction."""
        if self.in_transaction:
            raise ReplayError("the metadata transaction has not ended")
        self._seal_topics()
        parts = {name: part.freeze() for name, part in self._parts.items()}
        base = self.base
        changed = self.changed_parts
        return MetadataImage(
            cluster_id=base.cluster_id,
            offset=offset,
            epoch=epoch,
            features=FeaturesImage(parts["features"]) if "features" in changed else base.features,
            brokers=parts["brokers"],
            controllers=parts["controllers"],
            topics=TopicsImage(parts["topics"], parts["names"]) if "topics" in changed else base.topics,
            configs=ConfigsImage(parts["configs"]) if "configs" in changed else base.configs,
            client_quotas=parts["client_quotas"],
            producer_ids=self._producer_ids,
            acls=parts["acls"],
            scram=parts["scram"],
            delegation_tokens=parts["delegation_tokens"],
        )

    # Brokers and controllers

    def _register_broker(self, record: Any) -> None:
        self._write("brokers")[record.broker_id] = registration.broker_from(record)

    def _unregister_broker(self, record: Any) -> None:
        self._write("brokers").pop(record.broker_id, None)

    def _register_controller(self, record: Any) -> None:
        self._write("controllers")[record.controller_id] = registration.controller_from(record)

    def _fence_broker(self, record: Any) -> None:
        broker = self._broker(record.id, record.epoch)
        self._write("brokers")[record.id] = broker._replace(fenced=True)

    def _unfence_broker(self, record: Any) -> None:
        broker = self._broker(record.id, record.epoch)
        self._write("brokers")[record.id] = broker._replace(fenced=False)

    def _change_broker(self, record: Any) -> None:
        broker = self._broker(record.broker_id, record.broker_epoch)
        self._write("brokers")[record.broker_id] = registration.change(broker, record)

    def _broker(self, broker_id: int, epoch: int) -> BrokerRegistration:
        broker: BrokerRegistration | None = self._parts["brokers"].read().get(broker_id)
        if broker is None:
            raise ReplayError(f"broker {broker_id} is not registered")
        if broker.epoch != epoch:
            raise ReplayError(f"epoch {epoch} does not match the epoch {broker.epoch} of broker {broker_id}")
        return broker

    # Topics

    def _topic(self, record: Any) -> None:
        if record.name in self._parts["names"].read():
            raise ReplayError(f"topic {record.name} exists already")
        topic = TopicImage(record.name, record.topic_id, {})
        self._write("topics")[topic.id] = topic
        self._parts["names"].write()[topic.name] = topic
        self.changed_topics.add(topic.id)

    def _remove_topic(self, record: Any) -> None:
        topic = self._topic_of(record.topic_id)
        self._partitions.pop(topic.id, None)
        del self._write("topics")[topic.id]
        del self._parts["names"].write()[topic.name]
        self.changed_topics.discard(topic.id)
        before = self.base.topics.by_id(topic.id)
        if before is not None:
            self.deleted_topics[topic.id] = before
        if (TOPIC_RESOURCE, topic.name) in self._parts["configs"].read():
            del self._write("configs")[TOPIC_RESOURCE, topic.name]
            self.changed_configs.add((TOPIC_RESOURCE, topic.name))

    def _partition(self, record: Any) -> None:
        self._partitions_of(record.topic_id)[record.partition_id] = partition_change.partition_from(record)

    def _change_partition(self, record: Any) -> None:
        partitions = self._partitions_of(record.topic_id)
        partition = partitions.get(record.partition_id)
        if partition is None:
            raise ReplayError(f"topic {record.topic_id} has no partition {record.partition_id}")
        partitions[record.partition_id] = partition_change.merge(partition, record)

    def _clear_elr(self, record: Any) -> None:
        self._seal_topics()
        names = self._parts["names"].read()
        if record.topic_name and record.topic_name not in names:
            raise ReplayError(f"no topic {record.topic_name} to clear the ELR of")
        for topic in [names[record.topic_name]] if record.topic_name else list(names.values()):
            cleared = {index: partition_change.clear_elr(old) for index, old in topic.partitions.items()}
            if cleared != topic.partitions:
                self._partitions_of(topic.id).update(cleared)

    def _topic_of(self, topic_id: Uuid) -> TopicImage:
        topic: TopicImage | None = self._parts["topics"].read().get(topic_id)
        if topic is None:
            raise ReplayError(f"no topic has id {topic_id}")
        return topic

    def _partitions_of(self, topic_id: Uuid) -> dict[int, PartitionImage]:
        partitions = self._partitions.get(topic_id)
        if partitions is None:
            partitions = self._partitions[topic_id] = dict(self._topic_of(topic_id).partitions)
            self.changed_topics.add(topic_id)
        return partitions

    def _seal_topics(self) -> None:
        if not self._partitions:
            return
        topics, names = self._write("topics"), self._parts["names"].write()
        for topic_id, partitions in self._partitions.items():
            topic = topics[topic_id]._replace(partitions=partitions)
            topics[topic_id] = names[topic.name] = topic
        self._partitions.clear()

    # Configs, quotas, security

    def _config(self, record: Any) -> None:
        resource = (record.resource_type, record.resource_name)
        configs = self._write("configs")
        overrides = {name: value for name, value in configs.get(resource, {}).items() if name != record.name}
        if record.value is not None:
            overrides[record.name] = record.value
        if overrides:
            configs[resource] = overrides
        else:
            configs.pop(resource, None)
        self.changed_configs.add(resource)

    def _client_quota(self, record: Any) -> None:
        entity = tuple(sorted((part.entity_type, part.entity_name) for part in record.entity))
        quotas = self._write("client_quotas")
        values = {key: value for key, value in quotas.get(entity, {}).items() if key != record.key}
        if not record.remove:
            values[record.key] = record.value
        if values:
            quotas[entity] = values
        else:
            quotas.pop(entity, None)

    def _acl(self, record: Any) -> None:
        self._write("acls")[record.id] = AclImage(
            resource_type=record.resource_type,
            resource_name=record.resource_name,
            pattern_type=record.pattern_type,
            principal=record.principal,
            host=record.host,
            operation=record.operation,
            permission_type=record.permission_type,
        )

    def _remove_acl(self, record: Any) -> None:
        if self._write("acls").pop(record.id, None) is None:
            raise ReplayError(f"no access control entry has id {record.id}")

    def _scram(self, record: Any) -> None:
        credential = ScramCredential(
            bytes(record.salt), bytes(record.stored_key), bytes(record.server_key), record.iterations
        )
        self._write("scram")[record.mechanism, record.name] = credential

    def _remove_scram(self, record: Any) -> None:
        self._write("scram").pop((record.mechanism, record.name), None)

    def _delegation_token(self, record: Any) -> None:
        self._write("delegation_tokens")[record.token_id] = DelegationTokenImage(
            token_id=record.token_id,
            owner=record.owner,
            requester=record.requester,
            renewers=tuple(record.renewers),
            issue_timestamp=record.issue_timestamp,
            max_timestamp=record.max_timestamp,
            expiration_timestamp=record.expiration_timestamp,
        )

    def _remove_delegation_token(self, record: Any) -> None:
        self._write("delegation_tokens").pop(record.token_id, None)

    # Features and the rest

    def _feature_level(self, record: Any) -> None:
        name, level = record.name, record.feature_level
        if name == "kraft.version":  # lives in control records; Kafka ignores it here
            return
        if name == METADATA_VERSION and not MINIMUM_METADATA_VERSION <= level <= LAST_KNOWN_METADATA_VERSION:
            raise ReplayError(
                f"metadata.version {level} is outside {MINIMUM_METADATA_VERSION} to {LAST_KNOWN_METADATA_VERSION}"
            )
        if level:
            self._write("features")[name] = level
        else:
            self._write("features").pop(name, None)

    def _producer_ids_record(self, record: Any) -> None:
        self._producer_ids = ProducerIdsImage(record.next_producer_id)
        self.changed_parts.add("producer_ids")

    def _nothing(self, _record: Any) -> None:
        """NoOp only moves the offset; ZkMigrationState means nothing since 4.0."""

    def _begin_transaction(self, record: Any) -> None:
        if self._before_transaction is not None:
            raise ReplayError(f"transaction {record.name!r} begins inside another")
        self._seal_topics()
        self._before_transaction = _State(
            parts={name: part.freeze() for name, part in self._parts.items()},
            producer_ids=self._producer_ids,
            topics=set(self.changed_topics),
            deleted=dict(self.deleted_topics),
            configs=set(self.changed_configs),
            changed_parts=set(self.changed_parts),
        )

    def _end_transaction(self, _record: Any) -> None:
        if self._before_transaction is None:
            raise ReplayError("EndTransaction without a transaction")
        self._before_transaction = None

    def _abort_transaction(self, _record: Any) -> None:
        state = self._before_transaction
        if state is None:
            raise ReplayError("AbortTransaction without a transaction")
        for name, frozen in state.parts.items():
            self._parts[name].restore(frozen)
        self._partitions.clear()
        self._producer_ids = state.producer_ids
        self.changed_topics, self.deleted_topics = state.topics, state.deleted
        self.changed_configs, self.changed_parts = state.configs, state.changed_parts
        self._before_transaction = None

    def _write(self, part: str) -> dict[Any, Any]:
        self.changed_parts.add(part)
        return self._parts[part].write()


def full_delta(image: MetadataImage) -> MetadataDelta:
    """The delta from the empty image to `image`, for a subscriber that starts now. Not for replaying."""
    delta = MetadataDelta(MetadataImage.empty(image.cluster_id))
    delta.changed_topics.update(image.topics.ids)
    delta.changed_configs.update(image.configs.resources)
    delta.changed_parts.update((*delta._parts, "producer_ids"))
    return delta


def replacement_delta(before: MetadataImage, image: MetadataImage) -> MetadataDelta:
    """The delta from `before` to `image`, which was read from a snapshot. Not for replaying."""
    delta = MetadataDelta(before)
    old, new = before.topics.ids, image.topics.ids
    delta.changed_topics.update(topic_id for topic_id, topic in new.items() if old.get(topic_id) != topic)
    delta.deleted_topics.update((topic_id, topic) for topic_id, topic in old.items() if topic_id not in new)
    configs, others = image.configs.resources, before.configs.resources
    delta.changed_configs.update(key for key in {*configs, *others} if configs.get(key) != others.get(key))
    delta.changed_parts.update((*delta._parts, "producer_ids"))
    return delta


_REPLAY: dict[str, Callable[[MetadataDelta, Any], None]] = {
    "RegisterBrokerRecord": MetadataDelta._register_broker,
    "UnregisterBrokerRecord": MetadataDelta._unregister_broker,
    "TopicRecord": MetadataDelta._topic,
    "PartitionRecord": MetadataDelta._partition,
    "ConfigRecord": MetadataDelta._config,
    "PartitionChangeRecord": MetadataDelta._change_partition,
    "FenceBrokerRecord": MetadataDelta._fence_broker,
    "UnfenceBrokerRecord": MetadataDelta._unfence_broker,
    "RemoveTopicRecord": MetadataDelta._remove_topic,
    "DelegationTokenRecord": MetadataDelta._delegation_token,
    "UserScramCredentialRecord": MetadataDelta._scram,
    "FeatureLevelRecord": MetadataDelta._feature_level,
    "ClientQuotaRecord": MetadataDelta._client_quota,
    "ProducerIdsRecord": MetadataDelta._producer_ids_record,
    "BrokerRegistrationChangeRecord": MetadataDelta._change_broker,
    "AccessControlEntryRecord": MetadataDelta._acl,
    "RemoveAccessControlEntryRecord": MetadataDelta._remove_acl,
    "NoOpRecord": MetadataDelta._nothing,
    "ZkMigrationStateRecord": MetadataDelta._nothing,
    "RemoveUserScramCredentialRecord": MetadataDelta._remove_scram,
    "BeginTransactionRecord": MetadataDelta._begin_transaction,
    "EndTransactionRecord": MetadataDelta._end_transaction,
    "AbortTransactionRecord": MetadataDelta._abort_transaction,
    "RemoveDelegationTokenRecord": MetadataDelta._remove_delegation_token,
    "RegisterControllerRecord": MetadataDelta._register_controller,
    "ClearElrRecord": MetadataDelta._clear_elr,
}
