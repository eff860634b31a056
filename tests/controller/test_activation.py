from pykbroker.controller.activation import abort_transaction, bootstrap_records, controller_registration
from pykbroker.ids import Endpoint
from pykbroker.metadata.features import INITIAL_FEATURES, SUPPORTED_FEATURES
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.persisted.metadata.abort_transaction_record import AbortTransactionRecord
from pykbroker.protocol.persisted.metadata.begin_transaction_record import BeginTransactionRecord
from pykbroker.protocol.persisted.metadata.config_record import ConfigRecord
from pykbroker.protocol.persisted.metadata.end_transaction_record import EndTransactionRecord
from pykbroker.protocol.persisted.metadata.feature_level_record import FeatureLevelRecord
from pykbroker.raft.formatting import read_bootstrap
from pykbroker.raft.snapshot import SnapshotId
from tests.log.logs import golden_directory
from tests.metadata.history import replay, uuid
from tests.raft.logs import open_log


def level(name, number):
    return FeatureLevelRecord(name=name, feature_level=number)


def test_they_are_those_of_kafkas_controller(tmp_path):
    data, _ = golden_directory("clean", tmp_path)
    written = read_bootstrap(str(data))
    for path in (data / "__cluster_metadata-0").glob("*.checkpoint"):
        assert SnapshotId.parse(path.name) is not None
        path.unlink()
    batches = list(open_log(data).load())
    assert bootstrap_records(written, 1) == batches[1].records


def test_without_a_bootstrap_the_features_are_those_of_a_fresh_cluster():
    assert bootstrap_records(None, 2) == [
        BeginTransactionRecord(name="Bootstrap records"),
        *(level(name, number) for name, number in INITIAL_FEATURES.items()),
        ConfigRecord(resource_type=4, resource_name="", name="min.insync.replicas", value="2"),
        EndTransactionRecord(),
    ]


def test_without_elr_min_insync_replicas_stays_a_matter_of_each_broker():
    features = [level("metadata.version", 30), level("eligible.leader.replicas.version", 0)]
    assert bootstrap_records(features, 2) == [
        BeginTransactionRecord(name="Bootstrap records"),
        *features,
        EndTransactionRecord(),
    ]


def test_old_versions_know_no_transactions():
    assert bootstrap_records([level("metadata.version", 12)], 1) == [level("metadata.version", 12)]


def test_other_bootstrap_records_are_kept():
    other = ConfigRecord(resource_type=4, resource_name="", name="x", value="1")
    assert other in bootstrap_records([level("metadata.version", 30), other], 1)


def test_an_open_transaction_is_aborted_with_the_reason():
    assert abort_transaction() == AbortTransactionRecord(reason="Controller failover")


def test_the_controller_tells_where_it_is_and_what_it_supports():
    endpoint = Endpoint("CONTROLLER", "SASL_SSL", "h", 9093)
    image = replay(MetadataImage.empty("c"), [controller_registration(3, uuid(1), [endpoint], SUPPORTED_FEATURES)])
    controller = image.controllers[3]
    assert controller.incarnation_id == uuid(1)
    assert controller.endpoints == (endpoint,)
    assert controller.features == SUPPORTED_FEATURES
    assert not controller.zk_migration_ready
