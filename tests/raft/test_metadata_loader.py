"""From committed batches to images: transactions, snapshots, order."""

from pathlib import Path

import pytest

from pykbroker.metadata.delta import MetadataDelta, ReplayError
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.publisher import MetadataPublisher
from pykbroker.protocol.message import Message
from pykbroker.protocol.metadata_records import frame_record
from pykbroker.protocol.persisted.metadata.abort_transaction_record import AbortTransactionRecord
from pykbroker.protocol.persisted.metadata.begin_transaction_record import BeginTransactionRecord
from pykbroker.protocol.persisted.metadata.end_transaction_record import EndTransactionRecord
from pykbroker.protocol.persisted.metadata.remove_topic_record import RemoveTopicRecord
from pykbroker.protocol.persisted.metadata.topic_record import TopicRecord
from pykbroker.raft.metadata_loader import MetadataLoader
from pykbroker.raft.observer_log import ObserverLog
from pykbroker.raft.snapshot import SnapshotId, render
from pykbroker.record.builder import SimpleRecord, build_batch
from tests.metadata.history import uuid
from tests.raft.logs import setting
from tests.raft.test_observer_log import open_log


class Follower:
    """A log, its loader, and what a subscriber was told: (offset before, offset after)."""

    def __init__(self, folder: Path) -> None:
        self.log: ObserverLog = open_log(folder)
        self.publisher = MetadataPublisher("c")
        self.loader = MetadataLoader(self.log, self.publisher)
        self.told: list[tuple[int, int]] = []
        self.deltas: list[MetadataDelta] = []
        self.publisher.subscribe(self)

    def on_metadata_update(self, delta: MetadataDelta, image: MetadataImage) -> None:
        self.told.append((delta.base.offset, image.offset))
        self.deltas.append(delta)

    def append(self, *records: Message) -> None:
        entries = [SimpleRecord(None, frame_record(record, 0), (), 5) for record in records]
        batch = build_batch(entries, base_offset=self.log.end_offset, leader_epoch=1)
        self.log.append_as_follower(batch, 1)

    def commit(self) -> bool:
        self.log.commit(self.log.end_offset)
        return self.loader.catch_up()

    def install(self, end_offset: int, *records: Message) -> None:
        download = self.log.start_download(SnapshotId(end_offset, 1))
        download.add(b"".join(render([frame_record(each, 0) for each in records], epoch=1, timestamp=1, now_ms=1)))
        download.finish()

    @property
    def settings(self) -> dict[str, str]:
        return dict(self.publisher.image.configs.resources.get((2, "t"), {}))


@pytest.fixture
def follower(tmp_path: Path) -> Follower:
    return Follower(tmp_path)


def test_what_was_committed_together_is_published_together(follower: Follower) -> None:
    follower.append(setting("a", "1"))
    follower.append(setting("b", "2"), setting("a", "3"))
    assert not follower.loader.catch_up()
    assert follower.commit()
    assert (follower.told, follower.settings) == ([(-1, 2)], {"a": "3", "b": "2"})
    assert not follower.commit()
    follower.append(setting("c", "4"))
    assert follower.commit()
    assert follower.told[1:] == [(2, 3)]


def test_a_transaction_is_published_when_it_has_ended(follower: Follower) -> None:
    follower.append(BeginTransactionRecord(name="x"))
    follower.append(setting("a"))
    assert not follower.commit()
    assert not follower.loader.is_current
    follower.append(setting("b"))
    assert not follower.commit()
    follower.append(EndTransactionRecord())
    assert follower.commit()
    assert (follower.told, sorted(follower.settings), follower.loader.is_current) == ([(-1, 3)], ["a", "b"], True)


def test_an_aborted_transaction_changes_nothing_but_the_offset(follower: Follower) -> None:
    follower.append(setting("a"))
    follower.append(BeginTransactionRecord(name="x"), setting("b"))
    assert not follower.commit()
    follower.append(AbortTransactionRecord())
    assert follower.commit()
    assert (follower.told, sorted(follower.settings)) == ([(-1, 3)], ["a"])


def test_a_snapshot_says_what_is_gone(follower: Follower) -> None:
    follower.append(TopicRecord(name="t", topic_id=uuid(1)), TopicRecord(name="u", topic_id=uuid(2)), setting("a", "1"))
    follower.commit()
    follower.install(40, TopicRecord(name="u", topic_id=uuid(2)), TopicRecord(name="v", topic_id=uuid(3)))
    assert follower.loader.catch_up()
    assert follower.told[1:] == [(2, 39)]
    delta = follower.deltas[1]
    assert (delta.changed_topics, list(delta.deleted_topics)) == ({uuid(3)}, [uuid(1)])
    assert delta.changed_configs == {(2, "t")}
    assert sorted(follower.publisher.image.topics.by_name) == ["u", "v"]


def test_a_snapshot_ends_a_transaction_of_which_it_knows_the_outcome(follower: Follower) -> None:
    follower.append(BeginTransactionRecord(name="x"), setting("a"))
    follower.commit()
    follower.install(40, setting("b"))
    follower.loader.catch_up()
    follower.append(setting("c"))
    follower.commit()
    assert (sorted(follower.settings), follower.publisher.image.offset) == (["b", "c"], 40)


def test_current_means_published_up_to_the_high_watermark(follower: Follower) -> None:
    assert not follower.loader.is_current
    follower.append(setting("a"))
    follower.log.commit(1)
    assert not follower.loader.is_current
    follower.loader.catch_up()
    assert follower.loader.is_current


def test_a_snapshot_is_not_all_that_is_committed(follower: Follower) -> None:
    """A broker that began with it alone took its replicas of later topics for strays."""
    follower.install(40, setting("a"))
    follower.loader.catch_up()
    assert not follower.loader.is_current
    follower.append(setting("b"))
    follower.commit()
    assert (sorted(follower.settings), follower.loader.is_current) == (["a", "b"], True)


def test_nobody_is_current_while_the_leader_does_not_know_what_is_committed(tmp_path: Path) -> None:
    """After its election, until the others have followed; a broker that restarts has a snapshot by then."""
    Follower(tmp_path).install(40, setting("a"))
    again = Follower(tmp_path)
    again.append(setting("b"))
    again.log.commit(-1)
    again.loader.catch_up()
    assert (again.log.high_watermark, again.loader.is_current) == (40, False)
    again.log.commit(41)
    again.loader.catch_up()
    assert (again.log.high_watermark, again.loader.is_current) == (41, True)


def test_a_record_that_does_not_fit_stops_the_node(follower: Follower) -> None:
    follower.append(RemoveTopicRecord(topic_id=uuid(9)))
    with pytest.raises(ReplayError):
        follower.commit()
