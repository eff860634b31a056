"""Where share groups are answered otherwise than by Kafka, and what no dialogue over the wire shows in time."""

import pytest

from pykbroker.ids import Uuid
from pykbroker.protocol.error_codes import ErrorCode as E
from pykbroker.protocol.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest
from tests.handlers.broker.asker import Topic, batch, clock_of, produce
from tests.handlers.cluster_asker import ShareAsker
from tests.handlers.share_dialogue import ACCEPT, RENEW, Shared, acquired, codes

UNSAFE_DOWNGRADE = 3
STRANGER = Topic("no such topic", Uuid(b"no such topic id"))


@pytest.fixture
def shared(sharing: ShareAsker) -> Shared:
    shared = Shared(sharing)
    assert produce(sharing, shared.topic, [(0, batch(4))])[0].error_code == 0
    return shared


def test_unknown_topic_ids_have_an_error_of_their_own(shared: Shared) -> None:
    """So ShareSessionContext.getErroneousAndValidTopicIdPartitions means it. But then Kafka 4.3.1 counts the bytes of a
    topic without name (KafkaApis.processShareFetchResponse, updateBytesOut): UNKNOWN_SERVER_ERROR for the whole request
    without message or rows, in every request of the session, whatever else it asks for, even when a topic of the
    session was deleted. That would keep a member from the records of its other topics.
    """
    ann = shared.member()
    assert codes(ann.fetch(topic=STRANGER)) == {0: (E.UNKNOWN_TOPIC_ID, 0)}
    response = ann.fetch((0, 0, [ACCEPT]), topic=STRANGER, max_wait_ms=0)
    assert codes(response) == {0: (E.UNKNOWN_TOPIC_ID, E.UNKNOWN_TOPIC_ID)}


def test_a_client_that_hangs_up_gives_back_what_it_had(sharing: ShareAsker, shared: Shared) -> None:
    ann, bob = shared.member(), shared.member()
    assert ann.take() == [(0, 3, 1)]
    sharing.session.closed()
    manager = sharing.stand.share_partitions  # type: ignore[attr-defined]
    assert len(manager.sessions) == 0
    assert bob.take() == [(0, 3, 2)]


def pass_time(sharing: ShareAsker, seconds: float) -> None:
    clock_of(sharing.stand).advance(seconds)
    sharing.stand.share_partitions.on_deadline()  # type: ignore[attr-defined]


def test_locks_run_out(sharing: ShareAsker, shared: Shared) -> None:
    ann, bob = shared.member(), shared.member()
    assert ann.take() == [(0, 3, 1)]
    pass_time(sharing, 20)
    assert acquired(bob.fetch(max_wait_ms=0)) == []
    assert ann.acknowledged((0, 1, [RENEW]), is_renew_ack=True) == (0, None)
    pass_time(sharing, 20)
    assert bob.take() == [(2, 3, 2)]
    assert ann.acknowledged((0, 1, [ACCEPT])) == (0, None)
    assert ann.acknowledged((2, 3, [ACCEPT]))[0] == E.INVALID_RECORD_STATE


def test_a_deleted_topic_takes_its_share_partitions_along(sharing: ShareAsker, shared: Shared) -> None:
    ann = shared.member()
    assert ann.take() == [(0, 3, 1)]
    sharing.delete(shared.topic)
    assert ann.acknowledged((0, 3, [ACCEPT])) == (E.UNKNOWN_TOPIC_ID, None)
    assert codes(ann.fetch(max_wait_ms=0)) == {0: (E.UNKNOWN_TOPIC_OR_PARTITION, 0)}
    sharing.create(1, shared.topic.name)
    assert codes(ann.fetch(max_wait_ms=0)) == {0: (E.UNKNOWN_TOPIC_OR_PARTITION, 0)}  # of the one before


def test_too_many_sessions(sharing: ShareAsker, shared: Shared) -> None:
    sharing.stand.share_partitions.sessions.max_sessions = 1  # type: ignore[attr-defined]
    ann = shared.member()
    assert ann.take() == [(0, 3, 1)]
    assert shared.member().fetch().error_code == E.SHARE_SESSION_LIMIT_REACHED
    assert ann.fetch(share_session_epoch=0, max_wait_ms=0).error_code == 0


def test_switched_off(sharing: ShareAsker, shared: Shared) -> None:
    ann = shared.member()
    assert ann.take() == [(0, 3, 1)]
    update = FeatureUpdateKey(feature="share.version", max_version_level=0, upgrade_type=UNSAFE_DOWNGRADE)
    sharing.ask(UpdateFeaturesRequest(timeout_ms=1000, feature_updates=[update]), 1)
    assert ann.fetch().error_code == E.UNSUPPORTED_VERSION
    assert ann.acknowledge((0, 3, [ACCEPT])).error_code == E.UNSUPPORTED_VERSION
    assert len(sharing.stand.share_partitions.sessions) == 0  # type: ignore[attr-defined]
