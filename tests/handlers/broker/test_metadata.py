"""Metadata, as the real Kafka 4.3.1 answers it; only that the real one creates a topic after the first answer."""

import pytest

from pykbroker.ids import ZERO_UUID, Uuid
from pykbroker.protocol.error_codes import ErrorCode
from tests.handlers.broker.asker import Asker
from tests.handlers.cluster_asker import eventually, metadata, topics_of, unique

UNKNOWN_ID = Uuid(b"no such topic id")
ALL_OF_A_TOPIC, ALL_OF_A_CLUSTER, NOT_ASKED = 3576, 8096, -(2**31)
VERSIONS = range(14)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_cluster(cluster: Asker, version: int) -> None:
    response = metadata(cluster, [cluster.create().name], version)
    (broker,) = response.brokers
    assert broker.node_id == 1
    assert broker.port > 0
    assert broker.rack is None
    assert response.controller_id == (1 if version >= 1 else -1)
    assert (response.cluster_id is not None) == (version >= 2)
    assert response.error_code == 0
    assert response.throttle_time_ms == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_a_topic(cluster: Asker, version: int) -> None:
    topic = cluster.create(partitions=2)
    (row,) = metadata(cluster, [topic.name], version).topics
    assert (row.error_code, row.name, row.is_internal) == (0, topic.name, False)
    assert row.topic_id == (topic.id if version >= 10 else ZERO_UUID)
    assert sorted(p.partition_index for p in row.partitions) == [0, 1]
    for partition in row.partitions:
        assert (partition.error_code, partition.leader_id) == (0, 1)
        assert partition.leader_epoch == (0 if version >= 7 else -1)
        assert (partition.replica_nodes, partition.isr_nodes, partition.offline_replicas) == ([1], [1], [])


def test_all_topics(cluster: Asker) -> None:
    names = {cluster.create().name, cluster.create().name}
    assert names <= set(topics_of(metadata(cluster, [], 0)))
    for version in VERSIONS[1:]:
        assert names <= set(topics_of(metadata(cluster, None, version)))


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_no_topics(cluster: Asker, version: int) -> None:
    response = metadata(cluster, [], version)
    assert len(response.brokers) == 1
    assert response.topics == []


@pytest.mark.parametrize("version", VERSIONS[4:])
def test_unknown_topics(cluster: Asker, version: int) -> None:
    topic, missing = cluster.create(), unique()
    rows = topics_of(metadata(cluster, [missing, topic.name, topic.name, missing], version))
    assert {name: row.error_code for name, row in rows.items()} == {
        topic.name: 0,
        missing: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    }
    row = rows[missing]
    assert (row.topic_id, row.is_internal, row.partitions) == (ZERO_UUID, False, [])


@pytest.mark.parametrize("version", VERSIONS)
def test_creates_topics(cluster: Asker, version: int) -> None:
    name = unique()
    fields = {"allow_auto_topic_creation": True} if version >= 4 else {}
    response = eventually(
        lambda: metadata(cluster, [name], version, **fields),
        lambda answer: answer.topics[0].error_code != ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    )
    (row,) = response.topics
    assert (row.error_code, row.name) == (0, name)
    assert [(p.partition_index, p.leader_id) for p in row.partitions] == [(0, 1)]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_question_that_creates_a_topic_is_answered_that_it_is_unknown(cluster: Asker, version: int) -> None:
    fields = {"allow_auto_topic_creation": True} if version >= 4 else {}
    (row,) = metadata(cluster, [unique()], version, **fields).topics
    assert row.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert (row.topic_id, row.is_internal, row.partitions) == (ZERO_UUID, False, [])


@pytest.mark.parametrize("version", VERSIONS)
def test_illegal_names(cluster: Asker, version: int) -> None:
    names = ["", ".", "..", "a b", "x" * 250, "é"]
    rows = topics_of(metadata(cluster, names, version))
    assert {name: row.error_code for name, row in rows.items()} == dict.fromkeys(
        names, ErrorCode.INVALID_TOPIC_EXCEPTION
    )
    if version >= 4:
        created = topics_of(metadata(cluster, names, version, allow_auto_topic_creation=True))
        assert {row.error_code for row in created.values()} == {ErrorCode.INVALID_TOPIC_EXCEPTION}


def test_what_cannot_be_created_stays_unknown(cluster: Asker) -> None:
    dotted = unique("a.b")
    cluster.create(name=dotted)
    colliding = dotted.replace(".", "_")
    for name in (colliding, "__cluster_metadata"):
        for _ in range(2):
            (row,) = metadata(cluster, [name], allow_auto_topic_creation=True).topics
            assert row.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


@pytest.mark.parametrize("name", ["__consumer_offsets", "__transaction_state", "__share_group_state"])
def test_internal_topics_are_created_when_asked_by_name(cluster: Asker, name: str) -> None:
    response = eventually(
        lambda: metadata(cluster, [name], allow_auto_topic_creation=True),
        lambda answer: answer.topics[0].error_code == 0,
    )
    (row,) = response.topics
    assert row.is_internal
    assert len(row.partitions) > 1
    (old,) = metadata(cluster, [name], 0).topics
    assert not old.is_internal, "version 0 has no room for it"


@pytest.mark.parametrize("version", [12, 13])
def test_topics_by_id(cluster: Asker, version: int) -> None:
    topic, other = cluster.create(), cluster.create()
    rows = topics_of(metadata(cluster, [topic.id, topic.id, UNKNOWN_ID, other.name], version))
    assert set(rows) == {topic.name, None}, "where one id is asked for, names do not count"
    assert rows[topic.name].topic_id == topic.id
    assert (rows[None].error_code, rows[None].topic_id) == (ErrorCode.UNKNOWN_TOPIC_ID, UNKNOWN_ID)


@pytest.mark.parametrize("version", [10, 11])
def test_ids_are_refused_before_version_12(cluster: Asker, version: int) -> None:
    topic = cluster.create()
    response = metadata(cluster, [topic.name, topic.id], version)
    assert (response.brokers, response.controller_id, response.error_code) == ([], -1, 0)
    assert [(row.error_code, row.name, row.topic_id) for row in response.topics] == [
        (ErrorCode.INVALID_REQUEST, topic.name, ZERO_UUID),
        (ErrorCode.INVALID_REQUEST, "", topic.id),
    ]


@pytest.mark.parametrize(
    ("version", "code"), [(10, ErrorCode.INVALID_REQUEST), (12, -1), (13, ErrorCode.UNKNOWN_SERVER_ERROR)]
)
def test_neither_name_nor_id(cluster: Asker, version: int, code: int) -> None:
    response = metadata(cluster, ["some", None], version)
    assert [(row.error_code, row.name) for row in response.topics] == [(code, "some"), (code, "")]
    assert response.error_code == (code if version >= 13 else 0)


@pytest.mark.parametrize("version", VERSIONS[8:])
def test_authorized_operations(cluster: Asker, version: int) -> None:
    topic, missing = cluster.create(), unique()
    response = metadata(cluster, [topic.name, missing], version, include_topic_authorized_operations=True)
    assert [row.topic_authorized_operations for row in response.topics] == [ALL_OF_A_TOPIC] * 2
    assert response.cluster_authorized_operations == NOT_ASKED
    if version <= 10:
        response = metadata(cluster, [topic.name], version, include_cluster_authorized_operations=True)
        assert response.topics[0].topic_authorized_operations == NOT_ASKED
        assert response.cluster_authorized_operations == ALL_OF_A_CLUSTER


def test_unknown_ids_have_no_operations(cluster: Asker) -> None:
    (row,) = metadata(cluster, [UNKNOWN_ID], include_topic_authorized_operations=True).topics
    assert row.topic_authorized_operations == NOT_ASKED
