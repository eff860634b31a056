from pykbroker.metadata.features import INITIAL_FEATURES
from pykbroker.protocol.persisted.metadata.feature_level_record import FeatureLevelRecord
from pykbroker.raft.formatting import read_bootstrap, write_bootstrap
from tests.log.logs import golden_directory
from tests.raft.logs import NOW


def levels(records):
    assert all(isinstance(record, FeatureLevelRecord) for record in records)
    return [(record.name, record.feature_level) for record in records]


def test_what_is_formatted_is_read_again(tmp_path):
    write_bootstrap(str(tmp_path), INITIAL_FEATURES, NOW)
    assert levels(read_bootstrap(str(tmp_path))) == list(INITIAL_FEATURES.items())
    assert [path.name for path in tmp_path.iterdir()] == ["bootstrap.checkpoint"]


def test_metadata_version_is_the_first_feature():
    assert next(iter(INITIAL_FEATURES)) == "metadata.version"


def test_kafkas_own_is_read(tmp_path):
    data, _ = golden_directory("clean", tmp_path)
    assert levels(read_bootstrap(str(data))) == [
        ("metadata.version", 30),
        ("eligible.leader.replicas.version", 1),
        ("group.version", 1),
        ("share.version", 1),
        ("streams.version", 1),
        ("transaction.version", 2),
    ]


def test_an_unformatted_directory_has_none(tmp_path):
    assert read_bootstrap(str(tmp_path)) is None
