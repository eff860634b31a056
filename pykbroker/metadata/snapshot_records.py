"""MetadataImage → records: what a snapshot of the metadata log holds (MetadataImage.write, ImageWriter).

Replaying them into an empty image gives the image back; a test proves it for every kind of record. At an older
metadata.version what that version cannot say is left out, as in Kafka.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pykbroker.ids import Uuid
from pykbroker.metadata.features import (
    allows_controller_registration,
    allows_cordoned_directories,
    allows_directories,
    allows_elr_records,
)
from pykbroker.metadata.image import METADATA_VERSION, BrokerRegistration, ControllerRegistration, MetadataImage
from pykbroker.metadata.registration import security_protocol_number
from pykbroker.metadata.topics import PartitionImage, TopicImage

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message
    from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord

# metadata.version 3.5-IV2 and 3.6-IV2.
SCRAM_LEVEL = 11
DELEGATION_TOKEN_LEVEL = 14


def image_to_records(image: MetadataImage) -> "Iterator[Message]":
    """In Kafka's order: features (metadata.version first), brokers, controllers, topics, configs, …, security."""
    yield from _features(image)
    for broker in image.brokers.values():
        yield _broker(broker, image.features.metadata_version)
    if allows_controller_registration(image.features.metadata_version):
        for controller in image.controllers.values():
            yield _controller(controller)
    for topic in image.topics:
        yield from _topic(topic, image.features.metadata_version)
    yield from _configs(image)
    yield from _client_quotas(image)
    yield from _producer_ids(image)
    yield from _acls(image)
    if image.features.metadata_version >= SCRAM_LEVEL:
        yield from _scram(image)
    if image.features.metadata_version >= DELEGATION_TOKEN_LEVEL:
        yield from _delegation_tokens(image)


def partition_to_record(
    partition: PartitionImage, topic_id: Uuid, index: int, metadata_version: int
) -> "PartitionRecord":
    from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord

    record = PartitionRecord(
        partition_id=index,
        topic_id=topic_id,
        replicas=list(partition.replicas),
        isr=list(partition.isr),
        removing_replicas=list(partition.removing_replicas),
        adding_replicas=list(partition.adding_replicas),
        leader=partition.leader,
        leader_recovery_state=partition.leader_recovery_state,
        leader_epoch=partition.leader_epoch,
        partition_epoch=partition.partition_epoch,
    )
    if allows_directories(metadata_version):
        record.directories = list(partition.directories)
    if allows_elr_records(metadata_version):
        # Tagged fields, so only when there is something to say.
        record.eligible_leader_replicas = list(partition.elr) or None
        record.last_known_elr = list(partition.last_known_elr) or None
    return record


def _features(image: MetadataImage) -> "Iterator[Message]":
    from pykbroker.protocol.persisted.metadata.feature_level_record import FeatureLevelRecord

    finalized = image.features.finalized
    for name in sorted(finalized, key=lambda name: name != METADATA_VERSION):
        yield FeatureLevelRecord(name=name, feature_level=finalized[name])


def _broker(broker: BrokerRegistration, metadata_version: int) -> "Message":
    from pykbroker.protocol.persisted.metadata.register_broker_record import (
        BrokerEndpoint,
        BrokerFeature,
        RegisterBrokerRecord,
    )

    record = RegisterBrokerRecord(
        broker_id=broker.id,
        is_migrating_zk_broker=broker.is_migrating_zk_broker,
        incarnation_id=broker.incarnation_id,
        broker_epoch=broker.epoch,
        end_points=[
            BrokerEndpoint(
                name=e.listener,
                host=e.host,
                port=e.port,
                security_protocol=security_protocol_number(e.security_protocol),
            )
            for e in broker.endpoints
        ],
        features=[
            BrokerFeature(name=name, min_supported_version=low, max_supported_version=high)
            for name, (low, high) in broker.features.items()
        ],
        rack=broker.rack,
        fenced=broker.fenced,
        in_controlled_shutdown=broker.in_controlled_shutdown,
    )
    if allows_directories(metadata_version):
        record.log_dirs = list(broker.directories)
    if allows_cordoned_directories(metadata_version) and broker.cordoned_directories is not None:
        record.cordoned_log_dirs = list(broker.cordoned_directories)
    return record


def _controller(controller: ControllerRegistration) -> "Message":
    from pykbroker.protocol.persisted.metadata.register_controller_record import (
        ControllerEndpoint,
        ControllerFeature,
        RegisterControllerRecord,
    )

    return RegisterControllerRecord(
        controller_id=controller.id,
        incarnation_id=controller.incarnation_id,
        zk_migration_ready=controller.zk_migration_ready,
        end_points=[
            ControllerEndpoint(
                name=e.listener,
                host=e.host,
                port=e.port,
                security_protocol=security_protocol_number(e.security_protocol),
            )
            for e in controller.endpoints
        ],
        features=[
            ControllerFeature(name=name, min_supported_version=low, max_supported_version=high)
            for name, (low, high) in controller.features.items()
        ],
    )


def _topic(topic: TopicImage, metadata_version: int) -> "Iterator[Message]":
    from pykbroker.protocol.persisted.metadata.topic_record import TopicRecord

    yield TopicRecord(name=topic.name, topic_id=topic.id)
    for index, partition in topic.partitions.items():
        yield partition_to_record(partition, topic.id, index, metadata_version)


def _configs(image: MetadataImage) -> "Iterator[Message]":
    from pykbroker.protocol.persisted.metadata.config_record import ConfigRecord

    for (resource_type, resource), overrides in image.configs.resources.items():
        for name, value in overrides.items():
            yield ConfigRecord(resource_type=resource_type, resource_name=resource, name=name, value=value)


def _client_quotas(image: MetadataImage) -> "Iterator[Message]":
    from pykbroker.protocol.persisted.metadata.client_quota_record import ClientQuotaRecord, EntityData

    for entity, quotas in image.client_quotas.items():
        for key, value in quotas.items():
            parts = [EntityData(entity_type=kind, entity_name=name) for kind, name in entity]
            yield ClientQuotaRecord(entity=parts, key=key, value=value, remove=False)


def _producer_ids(image: MetadataImage) -> "Iterator[Message]":
    from pykbroker.protocol.persisted.metadata.producer_ids_record import ProducerIdsRecord

    next_producer_id = image.producer_ids.next_producer_id
    if next_producer_id >= 0:
        yield ProducerIdsRecord(broker_id=-1, broker_epoch=-1, next_producer_id=next_producer_id)


def _acls(image: MetadataImage) -> "Iterator[Message]":
    from pykbroker.protocol.persisted.metadata.access_control_entry_record import AccessControlEntryRecord

    for acl_id, acl in image.acls.items():
        yield AccessControlEntryRecord(
            id=acl_id,
            resource_type=acl.resource_type,
            resource_name=acl.resource_name,
            pattern_type=acl.pattern_type,
            principal=acl.principal,
            host=acl.host,
            operation=acl.operation,
            permission_type=acl.permission_type,
        )


def _scram(image: MetadataImage) -> "Iterator[Message]":
    from pykbroker.protocol.persisted.metadata.user_scram_credential_record import UserScramCredentialRecord

    for (mechanism, user), credential in image.scram.items():
        yield UserScramCredentialRecord(
            name=user,
            mechanism=mechanism,
            salt=credential.salt,
            stored_key=credential.stored_key,
            server_key=credential.server_key,
            iterations=credential.iterations,
        )


def _delegation_tokens(image: MetadataImage) -> "Iterator[Message]":
    from pykbroker.protocol.persisted.metadata.delegation_token_record import DelegationTokenRecord

    for token in image.delegation_tokens.values():
        yield DelegationTokenRecord(
            owner=token.owner,
            requester=token.requester,
            renewers=list(token.renewers),
            issue_timestamp=token.issue_timestamp,
            max_timestamp=token.max_timestamp,
            expiration_timestamp=token.expiration_timestamp,
            token_id=token.token_id,
        )
