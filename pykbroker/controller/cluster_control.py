"""Registration, fencing and controlled shutdown of brokers (KIP-631, KIP-841, KIP-966).

Kafka: ClusterControlManager, ReplicationControlManager.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from pykbroker.controller.election_rules import elr_enabled, rules_of
from pykbroker.controller.leader_election import partition_change
from pykbroker.controller.new_partitions import is_active
from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.metadata.features import allows_directories
from pykbroker.metadata.image import METADATA_VERSION, BrokerRegistration, MetadataImage
from pykbroker.metadata.registration import has_online_directory
from pykbroker.metadata.topics import NO_LEADER, PartitionImage, TopicImage
from pykbroker.protocol.error_codes import ErrorCode

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.protocol.message import Message
    from pykbroker.protocol.messages.broker_registration import BrokerRegistrationRequest, Feature
    from pykbroker.protocol.persisted.metadata.register_broker_record import RegisterBrokerRecord

NOBODY = -1


def check_broker_epoch(image: MetadataImage, broker_id: int, epoch: int) -> BrokerRegistration:
    """The registration. Raises KafkaError(STALE_BROKER_EPOCH) when the broker is unknown or registered anew."""
    broker = image.brokers.get(broker_id)
    if broker is None:
        raise KafkaError(ErrorCode.STALE_BROKER_EPOCH, f"No broker registration found for broker id {broker_id}")
    if broker.epoch != epoch:
        raise KafkaError(
            ErrorCode.STALE_BROKER_EPOCH, f"Expected broker epoch {broker.epoch}, but got broker epoch {epoch}"
        )
    return broker


class ClusterControl:
    """Decisions about brokers on one image; returns records, changes nothing."""

    def __init__(self, image: MetadataImage, config: "BrokerConfig") -> None:
        self._image = image
        self._config = config
        self._is_active = is_active(image)

    # Registration

    def register(
        self, request: "BrokerRegistrationRequest", new_epoch: int, *, has_session: bool
    ) -> "tuple[list[Message], int]":
        """(records, broker epoch). `new_epoch` is the offset that the first record will get; `has_session`: the present
        incarnation is alive.

        Raises KafkaError: INCONSISTENT_CLUSTER_ID, DUPLICATE_BROKER_REGISTRATION, INVALID_REGISTRATION,
        UNSUPPORTED_VERSION.
        """
        existing = self._image.brokers.get(request.broker_id)
        same = existing is not None and existing.incarnation_id == request.incarnation_id
        self._check_registration(request, has_session=has_session and not same)
        record = self._registration_record(request)
        records: list[Message] = []
        if existing is not None and same:
            record.fenced = existing.fenced
            record.in_controlled_shutdown = existing.in_controlled_shutdown
            record.broker_epoch = existing.epoch
        else:
            clean = existing is not None and request.previous_broker_epoch == existing.epoch
            records.extend(self._after_shutdown(request.broker_id, clean=clean))
            record.broker_epoch = new_epoch
        return [*records, record], record.broker_epoch

    def _check_registration(self, request: "BrokerRegistrationRequest", *, has_session: bool) -> None:
        cluster_id = self._image.cluster_id
        if request.cluster_id != cluster_id:
            raise KafkaError(
                ErrorCode.INCONSISTENT_CLUSTER_ID,
                f"Expected cluster ID {cluster_id}, but got cluster ID {request.cluster_id}",
            )
        if has_session:
            raise KafkaError(
                ErrorCode.DUPLICATE_BROKER_REGISTRATION,
                "Another broker is registered with that broker id. If the broker was recently restarted this should "
                "self-resolve once the heartbeat manager expires the broker's session.",
            )
        if request.is_migrating_zk_broker:
            raise KafkaError(ErrorCode.BROKER_ID_NOT_REGISTERED, "Controller does not support registering ZK brokers.")
        if allows_directories(self._image.features.metadata_version):
            self._check_directories(request.broker_id, request.log_dirs)

    def _check_directories(self, broker_id: int, directories: list[Uuid]) -> None:
        if not directories:
            raise _invalid("No directories specified in request")
        if any(directory[:15] == bytes(15) and directory[15] < 100 for directory in directories):
            raise _invalid("Reserved directory ID in request")
        if len(set(directories)) != len(directories):
            raise _invalid("Duplicate directory ID in request")
        for other in self._image.brokers.values():
            for directory in directories:
                if other.id != broker_id and directory in other.directories:
                    raise _invalid(f"Broker {other.id} is already registered with directory {directory}")

    def _registration_record(self, request: "BrokerRegistrationRequest") -> "RegisterBrokerRecord":
        from pykbroker.protocol.persisted.metadata.register_broker_record import (
            BrokerEndpoint,
            BrokerFeature,
            RegisterBrokerRecord,
        )

        finalized = self._image.features.finalized
        self._check_features(request.broker_id, request.features, finalized)
        record = RegisterBrokerRecord(
            broker_id=request.broker_id,
            incarnation_id=request.incarnation_id,
            rack=request.rack,
            end_points=[
                BrokerEndpoint(name=e.name, host=e.host, port=e.port, security_protocol=e.security_protocol)
                for e in request.listeners
            ],
            features=[
                BrokerFeature(
                    name=f.name,
                    min_supported_version=f.min_supported_version,
                    max_supported_version=f.max_supported_version,
                )
                for f in request.features
            ],
        )
        if allows_directories(self._image.features.metadata_version):
            record.log_dirs = list(request.log_dirs)
        return record

    def _check_features(self, broker_id: int, features: "list[Feature]", finalized: Mapping[str, int]) -> None:
        offered = {f.name: (f.min_supported_version, f.max_supported_version) for f in features}
        for name, (low, high) in offered.items():
            _check_range(name, finalized.get(name, 0), low, high)
        if METADATA_VERSION not in offered:
            raise _invalid("Request features do not contain 'metadata.version'")
        for name, level in finalized.items():
            if name not in offered:
                _check_range(name, level, 0, 0)

    # Changes of state

    def fence(self, broker: BrokerRegistration) -> "list[Message]":
        """No heartbeats any more, or the broker asked for it: it leaves all ISRs and leads nothing."""
        from pykbroker.protocol.persisted.metadata.broker_registration_change_record import (
            BrokerRegistrationChangeRecord,
        )

        records = self._without(broker.id)
        records.append(BrokerRegistrationChangeRecord(broker_id=broker.id, broker_epoch=broker.epoch, fenced=1))
        return records

    def unfence(self, broker: BrokerRegistration) -> "list[Message]":
        """The broker may lead again: partitions without a leader get one where it is eligible."""
        from pykbroker.protocol.persisted.metadata.broker_registration_change_record import (
            BrokerRegistrationChangeRecord,
        )

        records: list[Message] = [
            BrokerRegistrationChangeRecord(broker_id=broker.id, broker_epoch=broker.epoch, fenced=-1)
        ]
        for topic, index, partition in self._partitions():
            if partition.leader == NO_LEADER:
                records.extend(self._update(topic, index, partition, add=broker.id))
        return records

    def unregister(self, broker_id: int) -> "list[Message]":
        """An operator says that the broker will not come back. Raises KafkaError(BROKER_ID_NOT_REGISTERED)."""
        from pykbroker.protocol.persisted.metadata.unregister_broker_record import UnregisterBrokerRecord

        broker = self._image.brokers.get(broker_id)
        if broker is None:
            raise KafkaError(ErrorCode.BROKER_ID_NOT_REGISTERED, f"Broker ID {broker_id} is not currently registered")
        return [*self._without(broker_id), UnregisterBrokerRecord(broker_id=broker_id, broker_epoch=broker.epoch)]

    def begin_controlled_shutdown(self, broker: BrokerRegistration) -> "list[Message]":
        """Its leaderships move to others before it goes (KIP-841)."""
        from pykbroker.protocol.persisted.metadata.broker_registration_change_record import (
            BrokerRegistrationChangeRecord,
        )

        records: list[Message] = []
        if not broker.in_controlled_shutdown:
            records.append(
                BrokerRegistrationChangeRecord(broker_id=broker.id, broker_epoch=broker.epoch, in_controlled_shutdown=1)
            )
        return [*records, *self._without(broker.id)]

    def cordon(self, broker: BrokerRegistration, directories: list[Uuid] | None) -> "list[Message]":
        """Which log directories take no new partitions (KIP-1066); None: the broker says nothing about it."""
        from pykbroker.protocol.persisted.metadata.broker_registration_change_record import (
            BrokerRegistrationChangeRecord,
        )

        if directories is None or tuple(directories) == broker.cordoned_directories:
            return []
        return [
            BrokerRegistrationChangeRecord(
                broker_id=broker.id, broker_epoch=broker.epoch, cordoned_log_dirs=list(directories)
            )
        ]

    def directories_offline(self, broker: BrokerRegistration, offline: Iterable[Uuid]) -> "list[Message]":
        """Log directories of a broker failed: it is out of sync for what lies in them, and leads none of it."""
        from pykbroker.protocol.persisted.metadata.broker_registration_change_record import (
            BrokerRegistrationChangeRecord,
        )

        gone = [directory for directory in broker.directories if directory in set(offline)]
        if not gone:
            return []
        records: list[Message] = []
        for topic, index, partition in self._partitions():
            if partition.directory(broker.id) in gone:
                records.extend(self._update(topic, index, partition, remove=broker.id))
        left = [directory for directory in broker.directories if directory not in gone]
        change = BrokerRegistrationChangeRecord(broker_id=broker.id, broker_epoch=broker.epoch, log_dirs=left)
        return [*records, change]

    def leads_anything(self, broker_id: int) -> bool:
        return any(partition.leader == broker_id for _, _, partition in self._partitions())

    def _without(self, broker_id: int) -> "list[Message]":
        records: list[Message] = []
        for topic, index, partition in self._partitions():
            if broker_id in partition.isr:
                records.extend(self._update(topic, index, partition, remove=broker_id))
        return records

    def _after_shutdown(self, broker_id: int, *, clean: bool) -> "list[Message]":
        """After an unclean shutdown the broker may have lost what it acknowledged: it leaves every ISR and ELR."""
        if clean or not elr_enabled(self._image):
            return self._without(broker_id)
        records: list[Message] = []
        for topic, index, partition in self._partitions():
            if broker_id in partition.isr or broker_id in partition.elr:
                records.extend(self._update(topic, index, partition, unclean=broker_id))
        return records

    def _update(
        self,
        topic: TopicImage,
        index: int,
        partition: PartitionImage,
        *,
        remove: int = NOBODY,
        add: int = NOBODY,
        unclean: int = NOBODY,
    ) -> "list[Message]":
        def is_acceptable(replica: int) -> bool:
            if replica in (remove, unclean) or not (replica == add or self._is_active(replica)):
                return False
            return has_online_directory(self._image.brokers[replica], partition)

        record = partition_change(
            partition,
            topic.id,
            index,
            isr=[replica for replica in partition.isr if replica not in (remove, unclean)],
            is_acceptable=is_acceptable,
            rules=rules_of(self._image, self._config, topic),
            unclean_shutdown=(unclean,),
        )
        return [] if record is None else [record]

    def _partitions(self) -> Iterator[tuple[TopicImage, int, PartitionImage]]:
        return self._image.topics.partitions()


def _check_range(name: str, finalized: int, low: int, high: int) -> None:
    if not low <= finalized <= high:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_VERSION,
            f"Unable to register because the broker does not support finalized version {finalized} of {name}. "
            f"The broker wants a version between {low} and {high}, inclusive.",
        )


def _invalid(message: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_REGISTRATION, message)
