import pytest

from pykbroker.controller.cluster_control import ClusterControl, check_broker_epoch
from pykbroker.errors import KafkaError
from pykbroker.ids import DIRECTORY_LOST, DIRECTORY_MIGRATING, DIRECTORY_UNASSIGNED, Endpoint, Uuid
from pykbroker.metadata.features import SUPPORTED_FEATURES
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.broker_registration import Feature
from pykbroker.protocol.persisted.metadata.broker_registration_change_record import BrokerRegistrationChangeRecord
from pykbroker.protocol.persisted.metadata.config_record import ConfigRecord
from pykbroker.protocol.persisted.metadata.feature_level_record import FeatureLevelRecord
from pykbroker.protocol.persisted.metadata.partition_change_record import PartitionChangeRecord
from pykbroker.protocol.persisted.metadata.register_broker_record import RegisterBrokerRecord
from tests.controller.nodes import FEATURES, ControllerNode
from tests.metadata.history import uuid


@pytest.fixture
def node(tmp_path):
    node = ControllerNode(tmp_path).start()
    yield node
    node.controller.close()


def cluster(node):
    return ClusterControl(node.image, node.config)


def refused(node, **fields):
    with pytest.raises(KafkaError) as caught:
        node.register(fields.pop("broker_id", 1), **fields)
    return caught.value.code, caught.value.message


# Registration


def test_a_new_broker_is_fenced_with_the_offset_as_its_epoch(node):
    end = node.log.end_offset
    assert node.register(1, rack="r", incarnation_id=uuid(5)) == end
    broker = node.image.brokers[1]
    assert (broker.epoch, broker.incarnation_id, broker.rack) == (end, uuid(5), "r")
    assert broker.fenced
    assert not broker.in_controlled_shutdown
    assert broker.endpoints == (Endpoint("L", "PLAINTEXT", "h", 9091),)
    assert broker.directories == (uuid(1),)
    assert broker.features == SUPPORTED_FEATURES


def test_the_same_incarnation_keeps_its_epoch_and_state(node):
    incarnation = Uuid.random()
    epoch = node.register(1, incarnation_id=incarnation)
    node.heartbeat(1)
    node.create("t", [1])
    assert node.register(1, incarnation_id=incarnation, rack="new") == epoch
    broker = node.image.brokers[1]
    assert (broker.fenced, broker.rack) == (False, "new")
    assert node.partition("t").leader == 1


def test_while_a_broker_lives_no_other_gets_its_id(node):
    node.bring_up(1)
    code, message = refused(node, incarnation_id=Uuid.random())
    assert code == ErrorCode.DUPLICATE_BROKER_REGISTRATION
    assert message is not None
    assert message.startswith("Another broker is registered with that broker id.")
    node.clock.advance(9)
    assert node.register(1) > 0


def test_the_cluster_must_be_the_same(node):
    code, message = refused(node, cluster_id="other")
    assert code == ErrorCode.INCONSISTENT_CLUSTER_ID
    assert message == "Expected cluster ID MkU3OEVBNTcwNTJENDM2Qg, but got cluster ID other"


def test_brokers_of_zookeeper_days_are_refused(node):
    code, message = refused(node, is_migrating_zk_broker=True)
    assert (code, message) == (
        ErrorCode.BROKER_ID_NOT_REGISTERED,
        "Controller does not support registering ZK brokers.",
    )


@pytest.mark.parametrize(
    ("directories", "message"),
    [
        ([], "No directories specified in request"),
        ([uuid(1), DIRECTORY_MIGRATING], "Reserved directory ID in request"),
        ([DIRECTORY_UNASSIGNED], "Reserved directory ID in request"),
        ([DIRECTORY_LOST], "Reserved directory ID in request"),
        ([uuid(1), uuid(1)], "Duplicate directory ID in request"),
        ([uuid(3), uuid(2)], f"Broker 2 is already registered with directory {uuid(2)}"),
    ],
)
def test_directories_are_checked(node, directories, message):
    node.register(2)
    assert refused(node, log_dirs=directories) == (ErrorCode.INVALID_REGISTRATION, message)


def test_a_broker_may_keep_its_directories(node):
    node.register(1)
    node.register(1, log_dirs=[uuid(1), uuid(50)])
    assert node.image.brokers[1].directories == (uuid(1), uuid(50))


def feature(name, low, high):
    return Feature(name=name, min_supported_version=low, max_supported_version=high)


def without(name):
    return [each for each in FEATURES if each.name != name]


@pytest.mark.parametrize(
    ("features", "code", "message"),
    [
        (
            without("metadata.version"),
            ErrorCode.INVALID_REGISTRATION,
            "Request features do not contain 'metadata.version'",
        ),
        (
            [feature("metadata.version", 7, 29), *without("metadata.version")],
            ErrorCode.UNSUPPORTED_VERSION,
            "Unable to register because the broker does not support finalized version 30 of metadata.version. "
            "The broker wants a version between 7 and 29, inclusive.",
        ),
        (
            without("eligible.leader.replicas.version"),
            ErrorCode.UNSUPPORTED_VERSION,
            "Unable to register because the broker does not support finalized version 1 of "
            "eligible.leader.replicas.version. The broker wants a version between 0 and 0, inclusive.",
        ),
        (
            [*FEATURES, feature("new.version", 1, 2)],
            ErrorCode.UNSUPPORTED_VERSION,
            "Unable to register because the broker does not support finalized version 0 of new.version. "
            "The broker wants a version between 1 and 2, inclusive.",
        ),
    ],
)
def test_what_is_finalized_must_be_supported(node, features, code, message):
    assert refused(node, features=list(features)) == (code, message)


def test_only_the_present_epoch_counts(node):
    epoch = node.register(1)
    assert check_broker_epoch(node.image, 1, epoch).id == 1
    with pytest.raises(KafkaError) as caught:
        check_broker_epoch(node.image, 1, epoch - 1)
    assert caught.value.code == ErrorCode.STALE_BROKER_EPOCH
    with pytest.raises(KafkaError) as caught:
        check_broker_epoch(node.image, 2, epoch)
    assert caught.value.code == ErrorCode.STALE_BROKER_EPOCH


# Coming back


def restart(node, *, clean):
    """The next incarnation of broker 1, after its session is over."""
    previous = node.epochs[1] if clean else -1
    node.clock.advance(9)
    node.register(1, previous_broker_epoch=previous)


def test_after_an_unclean_stop_the_only_replica_leads_as_recovering(node):
    node.bring_up(1)
    node.create("t", [1])
    restart(node, clean=False)
    partition = node.partition("t")
    assert (partition.leader, partition.isr, partition.elr, partition.last_known_elr) == (-1, (), (), (1,))
    node.heartbeat(1)
    partition = node.partition("t")
    assert (partition.leader, partition.isr, partition.last_known_elr) == (1, (1,), ())
    assert (partition.leader_recovery_state, partition.leader_epoch) == (1, 2)


def test_after_a_clean_stop_it_leads_as_it_did(node):
    node.bring_up(1)
    node.create("t", [1])
    restart(node, clean=True)
    partition = node.partition("t")
    assert (partition.leader, partition.isr, partition.elr) == (-1, (), (1,))
    node.heartbeat(1)
    partition = node.partition("t")
    assert (partition.leader, partition.isr, partition.elr, partition.leader_recovery_state) == (1, (1,), (), 0)


def test_an_unclean_stop_costs_a_place_among_the_eligible(node):
    node.set_config("min.insync.replicas", "2")
    node.bring_up(1, 2)
    node.create("t", [1, 2])
    node.heartbeat(1, want_fence=True)
    assert (node.partition("t").leader, node.partition("t").isr, node.partition("t").elr) == (2, (2,), (1,))
    restart(node, clean=False)
    assert node.partition("t").elr == ()
    assert node.partition("t").leader == 2


def test_a_clean_one_does_not(node):
    node.set_config("min.insync.replicas", "2")
    node.bring_up(1, 2)
    node.create("t", [1, 2])
    node.heartbeat(1, want_fence=True)
    restart(node, clean=True)
    assert node.partition("t").elr == (1,)


def test_without_elr_an_unclean_stop_is_as_any_other(node):
    node.write([FeatureLevelRecord(name="eligible.leader.replicas.version", feature_level=0)])
    node.bring_up(1, 2)
    node.create("t", [1, 2], [1])
    restart(node, clean=False)
    assert (node.partition("t").leader, node.partition("t").isr) == (2, (2,))
    assert (node.partition("t", 1).leader, node.partition("t", 1).isr) == (-1, (1,))
    node.heartbeat(1)
    assert node.partition("t", 1).leader == 1
    assert node.partition("t", 1).leader_recovery_state == 0


# Changes of state


def kinds(records):
    return [type(record) for record in records]


def test_fencing_takes_leaderships_and_then_the_broker(node):
    node.bring_up(1, 2)
    node.create("t", [1, 2], [2, 1])
    records = cluster(node).fence(node.image.brokers[1])
    assert kinds(records) == [PartitionChangeRecord, PartitionChangeRecord, BrokerRegistrationChangeRecord]
    node.write(records)
    assert node.image.brokers[1].fenced
    assert {partition.leader for partition in node.image.topics.get("t").partitions.values()} == {2}
    assert {partition.isr for partition in node.image.topics.get("t").partitions.values()} == {(2,)}


def test_unfencing_finds_leaders_for_what_has_none(node):
    node.bring_up(1, 2)
    node.create("t", [1], [2])
    node.heartbeat(1, want_fence=True)
    assert node.partition("t").leader == -1
    records = cluster(node).unfence(node.image.brokers[1])
    assert kinds(records) == [BrokerRegistrationChangeRecord, PartitionChangeRecord]
    node.write(records)
    assert (node.partition("t").leader, node.partition("t", 1).leader) == (1, 2)


def test_a_broker_that_leaves_leads_nothing_but_is_not_fenced_yet(node):
    node.bring_up(1, 2)
    node.create("t", [1, 2])
    assert cluster(node).leads_anything(1)
    node.write(cluster(node).begin_controlled_shutdown(node.image.brokers[1]))
    broker = node.image.brokers[1]
    assert (broker.fenced, broker.in_controlled_shutdown) == (False, True)
    assert not cluster(node).leads_anything(1)
    assert kinds(cluster(node).begin_controlled_shutdown(broker)) == []


@pytest.mark.parametrize(
    ("topic", "broker", "default", "min_isr"),
    [("2", "3", "3", 2), (None, "2", "3", 2), (None, None, "2", 2), (None, None, "7", 2), ("1", "2", "2", 1)],
)
def test_min_insync_replicas_counts_as_the_nearest_level_says(node, topic, broker, default, min_isr):
    node.bring_up(1, 2)
    node.create("t", [1, 2])
    node.set_config("min.insync.replicas", topic, topic="t")
    node.set_config("min.insync.replicas", default)
    if broker is not None:
        node.write([ConfigRecord(resource_type=4, resource_name="1", name="min.insync.replicas", value=broker)])
    node.write(cluster(node).fence(node.image.brokers[1]))
    assert node.partition("t").elr == ((1,) if min_isr == 2 else ())


@pytest.mark.parametrize("level", ["topic", "default"])
def test_unclean_elections_where_they_are_allowed(node, level):
    node.set_config("unclean.leader.election.enable", "true", topic="t" if level == "topic" else "")
    node.write([FeatureLevelRecord(name="eligible.leader.replicas.version", feature_level=0)])
    node.bring_up(1, 2)
    node.create("t", [1, 2])
    node.write(cluster(node).fence(node.image.brokers[2]))
    node.write(cluster(node).fence(node.image.brokers[1]))
    assert (node.partition("t").leader, node.partition("t").isr) == (-1, (1,))
    node.heartbeat(2)
    assert (node.partition("t").leader, node.partition("t").isr) == (2, (2,))
    assert node.partition("t").leader_recovery_state == 1


def test_cordoned_directories_are_told_once(node):
    node.bring_up(1)
    broker = node.image.brokers[1]._replace(cordoned_directories=())
    assert cluster(node).cordon(broker, None) == []
    assert cluster(node).cordon(broker, []) == []
    [record] = cluster(node).cordon(broker, [uuid(1)])
    assert record == BrokerRegistrationChangeRecord(broker_id=1, broker_epoch=broker.epoch, cordoned_log_dirs=[uuid(1)])


def test_records_of_a_registration_end_with_the_broker(node):
    node.bring_up(1)
    node.create("t", [1])
    request = node.registration(1)
    records, epoch = cluster(node).register(request, 1234, has_session=False)
    assert kinds(records) == [PartitionChangeRecord, RegisterBrokerRecord]
    assert epoch == 1234
