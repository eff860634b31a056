"""Histories: sequences of metadata records that fit each other, as hypothesis draws them, in every kind of record."""

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from pykbroker.ids import Uuid
from pykbroker.metadata.delta import MetadataDelta
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.message import Message
from pykbroker.protocol.persisted.metadata.access_control_entry_record import AccessControlEntryRecord
from pykbroker.protocol.persisted.metadata.broker_registration_change_record import BrokerRegistrationChangeRecord
from pykbroker.protocol.persisted.metadata.clear_elr_record import ClearElrRecord
from pykbroker.protocol.persisted.metadata.client_quota_record import ClientQuotaRecord, EntityData
from pykbroker.protocol.persisted.metadata.config_record import ConfigRecord
from pykbroker.protocol.persisted.metadata.delegation_token_record import DelegationTokenRecord
from pykbroker.protocol.persisted.metadata.feature_level_record import FeatureLevelRecord
from pykbroker.protocol.persisted.metadata.fence_broker_record import FenceBrokerRecord
from pykbroker.protocol.persisted.metadata.no_op_record import NoOpRecord
from pykbroker.protocol.persisted.metadata.partition_change_record import PartitionChangeRecord
from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord
from pykbroker.protocol.persisted.metadata.producer_ids_record import ProducerIdsRecord
from pykbroker.protocol.persisted.metadata.register_broker_record import (
    BrokerEndpoint,
    BrokerFeature,
    RegisterBrokerRecord,
)
from pykbroker.protocol.persisted.metadata.register_controller_record import (
    ControllerEndpoint,
    ControllerFeature,
    RegisterControllerRecord,
)
from pykbroker.protocol.persisted.metadata.remove_access_control_entry_record import RemoveAccessControlEntryRecord
from pykbroker.protocol.persisted.metadata.remove_delegation_token_record import RemoveDelegationTokenRecord
from pykbroker.protocol.persisted.metadata.remove_topic_record import RemoveTopicRecord
from pykbroker.protocol.persisted.metadata.remove_user_scram_credential_record import RemoveUserScramCredentialRecord
from pykbroker.protocol.persisted.metadata.topic_record import TopicRecord
from pykbroker.protocol.persisted.metadata.unfence_broker_record import UnfenceBrokerRecord
from pykbroker.protocol.persisted.metadata.unregister_broker_record import UnregisterBrokerRecord
from pykbroker.protocol.persisted.metadata.user_scram_credential_record import UserScramCredentialRecord
from pykbroker.protocol.persisted.metadata.zk_migration_state_record import ZkMigrationStateRecord

# A busy machine is no failure.
CALM = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
Draw = Callable[[st.SearchStrategy[Any]], Any]
NODES = (1, 2, 3)
NAMES = ("a", "b", "c.d")


def uuid(number: int) -> Uuid:
    """Different for different numbers, never a reserved one."""
    return Uuid(b"\xaa" * 12 + number.to_bytes(4, "big"))


class Model:
    """What exists, so that the next record fits."""

    def __init__(self) -> None:
        self.epochs: dict[int, int] = {}
        self.topics: dict[str, Uuid] = {}
        self.partitions: dict[Uuid, int] = {}
        self.acls: list[Uuid] = []
        self.counter = 100

    def next(self) -> int:
        self.counter += 1
        return self.counter


def register_broker(draw: Draw, model: Model) -> list[Message]:
    node = draw(st.sampled_from(NODES))
    model.epochs[node] = model.next()
    return [
        RegisterBrokerRecord(
            broker_id=node,
            incarnation_id=uuid(model.next()),
            broker_epoch=model.epochs[node],
            end_points=[
                BrokerEndpoint(name="PLAINTEXT", host="h", port=node, security_protocol=draw(st.integers(0, 3)))
            ],
            features=[BrokerFeature(name="metadata.version", min_supported_version=7, max_supported_version=30)],
            rack=draw(st.sampled_from([None, "", "r1"])),
            fenced=draw(st.booleans()),
            in_controlled_shutdown=draw(st.booleans()),
            log_dirs=[uuid(node)],
            cordoned_log_dirs=draw(st.sampled_from([None, [], [uuid(node)]])),
        )
    ]


def change_broker(draw: Draw, model: Model) -> list[Message]:
    if not model.epochs:
        return []
    node = draw(st.sampled_from(sorted(model.epochs)))
    epoch = model.epochs[node]
    kind = draw(st.sampled_from(["fence", "unfence", "change", "unregister"]))
    if kind == "fence":
        return [FenceBrokerRecord(id=node, epoch=epoch)]
    if kind == "unfence":
        return [UnfenceBrokerRecord(id=node, epoch=epoch)]
    if kind == "unregister":
        del model.epochs[node]
        return [UnregisterBrokerRecord(broker_id=node, broker_epoch=epoch)]
    return [
        BrokerRegistrationChangeRecord(
            broker_id=node,
            broker_epoch=epoch,
            fenced=draw(st.sampled_from([-1, 0, 1])),
            in_controlled_shutdown=draw(st.sampled_from([0, 1])),
            log_dirs=draw(st.sampled_from([[], [uuid(node), uuid(50 + node)]])),
            cordoned_log_dirs=draw(st.sampled_from([None, [], [uuid(node)]])),
        )
    ]


def register_controller(draw: Draw, model: Model) -> list[Message]:
    return [
        RegisterControllerRecord(
            controller_id=draw(st.sampled_from(NODES)),
            incarnation_id=uuid(model.next()),
            end_points=[ControllerEndpoint(name="C", host="h", port=1, security_protocol=0)],
            features=[ControllerFeature(name="kraft.version", min_supported_version=0, max_supported_version=1)],
        )
    ]


def create_topic(draw: Draw, model: Model) -> list[Message]:
    free = [name for name in NAMES if name not in model.topics]
    if not free:
        return []
    name = draw(st.sampled_from(free))
    topic = model.topics[name] = uuid(model.next())
    model.partitions[topic] = draw(st.integers(1, 3))
    return [
        TopicRecord(name=name, topic_id=topic),
        *(partition(draw, topic, i) for i in range(model.partitions[topic])),
    ]


def partition(draw: Draw, topic: Uuid, index: int) -> PartitionRecord:
    replicas = draw(st.permutations(NODES).map(lambda nodes: nodes[:2]))
    return PartitionRecord(
        partition_id=index,
        topic_id=topic,
        replicas=replicas,
        isr=draw(st.sampled_from([replicas, replicas[:1], []])),
        leader=draw(st.sampled_from([replicas[0], -1])),
        leader_recovery_state=draw(st.integers(0, 1)),
        leader_epoch=draw(st.integers(0, 9)),
        partition_epoch=draw(st.integers(0, 9)),
        adding_replicas=draw(st.sampled_from([[], [replicas[1]]])),
        removing_replicas=draw(st.sampled_from([[], [replicas[0]]])),
        directories=[uuid(node) for node in replicas],
        eligible_leader_replicas=draw(st.sampled_from([None, [replicas[1]]])),
        last_known_elr=draw(st.sampled_from([None, [replicas[0]]])),
    )


def change_topic(draw: Draw, model: Model) -> list[Message]:
    if not model.topics:
        return []
    name = draw(st.sampled_from(sorted(model.topics)))
    topic = model.topics[name]
    kind = draw(st.sampled_from(["add", "change", "change", "remove", "clear"]))
    if kind == "add":
        model.partitions[topic] += 1
        return [partition(draw, topic, model.partitions[topic] - 1)]
    if kind == "remove":
        del model.topics[name]
        return [RemoveTopicRecord(topic_id=topic)]
    if kind == "clear":
        return [ClearElrRecord(topic_name=draw(st.sampled_from(["", name])))]
    return [
        PartitionChangeRecord(
            topic_id=topic,
            partition_id=draw(st.integers(0, model.partitions[topic] - 1)),
            isr=draw(st.sampled_from([None, [], [1], [1, 2]])),
            leader=draw(st.sampled_from([-2, -1, 1])),
            leader_recovery_state=draw(st.sampled_from([-1, 0, 1])),
            eligible_leader_replicas=draw(st.sampled_from([None, [], [2]])),
            last_known_elr=draw(st.sampled_from([None, [], [3]])),
        )
    ]


def configure(draw: Draw, _model: Model) -> list[Message]:
    return [
        ConfigRecord(
            resource_type=draw(st.sampled_from([2, 4, 16, 32])),
            resource_name=draw(st.sampled_from(["", *NAMES])),
            name=draw(st.sampled_from(["x", "y"])),
            value=draw(st.sampled_from([None, "", "1", "ü"])),
        )
    ]


def set_quota(draw: Draw, _model: Model) -> list[Message]:
    kinds = draw(st.permutations(["user", "client-id", "ip"]).map(lambda kinds: kinds[:2]))
    return [
        ClientQuotaRecord(
            entity=[EntityData(entity_type=kind, entity_name=draw(st.sampled_from([None, "n"]))) for kind in kinds],
            key=draw(st.sampled_from(["producer_byte_rate", "request_percentage"])),
            value=draw(st.sampled_from([0.5, 1e9])),
            remove=draw(st.booleans()),
        )
    ]


def secure(draw: Draw, model: Model) -> list[Message]:
    kind = draw(st.sampled_from(["acl", "no acl", "scram", "no scram", "token", "no token"]))
    name = draw(st.sampled_from(NAMES))
    if kind == "acl":
        model.acls.append(uuid(model.next()))
        acl = AccessControlEntryRecord(id=model.acls[-1], resource_type=2, resource_name=name, pattern_type=3)
        acl.principal, acl.host, acl.operation, acl.permission_type = "User:u", "*", 3, 3
        return [acl]
    if kind == "no acl":
        return [RemoveAccessControlEntryRecord(id=model.acls.pop())] if model.acls else []
    if kind == "scram":
        keys = {"salt": b"s", "stored_key": b"k", "server_key": b"v", "iterations": draw(st.integers(4096, 4098))}
        return [UserScramCredentialRecord(name=name, mechanism=draw(st.integers(1, 2)), **keys)]
    if kind == "no scram":
        return [RemoveUserScramCredentialRecord(name=name, mechanism=draw(st.integers(1, 2)))]
    if kind == "token":
        times = {"issue_timestamp": 1, "max_timestamp": 9, "expiration_timestamp": draw(st.integers(2, 9))}
        return [DelegationTokenRecord(owner="User:o", requester="User:r", renewers=["User:x"], token_id=name, **times)]
    return [RemoveDelegationTokenRecord(token_id=name)]


def others(draw: Draw, model: Model) -> list[Message]:
    return [
        draw(
            st.sampled_from(
                [
                    NoOpRecord(),
                    ZkMigrationStateRecord(zk_migration_state=0),
                    ProducerIdsRecord(broker_id=1, broker_epoch=1, next_producer_id=model.next() * 1000),
                    FeatureLevelRecord(name="kraft.version", feature_level=1),
                    FeatureLevelRecord(name="group.version", feature_level=1),
                    FeatureLevelRecord(name="group.version", feature_level=0),
                ]
            )
        )
    ]


STEPS = (
    register_broker,
    change_broker,
    register_controller,
    create_topic,
    create_topic,
    change_topic,
    change_topic,
    configure,
    set_quota,
    secure,
    others,
)


@st.composite
def histories(draw: Draw, max_steps: int = 25) -> list[list[Message]]:
    """Batches of records; metadata.version comes first. Not all kinds are in each, but in many."""
    model = Model()
    batches: list[list[Message]] = [[FeatureLevelRecord(name="metadata.version", feature_level=30)]]
    for _ in range(draw(st.integers(0, max_steps))):
        batches.append(draw(st.sampled_from(STEPS))(draw, model))
    return [batch for batch in batches if batch]


def replay(base: MetadataImage, records: Sequence[Message], offset: int = 0) -> MetadataImage:
    """The image after one delta with all of them."""
    delta = MetadataDelta(base)
    for record in records:
        delta.replay(record)
    return delta.apply(offset, 1)


def flat(batches: Sequence[Sequence[Message]]) -> list[Message]:
    return [record for batch in batches for record in batch]
