"""Which replicas move where: what clients may ask, and what becomes of it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pykbroker.errors import KafkaError
from pykbroker.ids import TopicPartition, Uuid
from pykbroker.log.log_copy import CopyError
from pykbroker.log.log_manager import LogManager
from pykbroker.metadata.delta import MetadataDelta
from pykbroker.metadata.features import LATEST_METADATA_VERSION
from pykbroker.metadata.image import METADATA_VERSION, FeaturesImage, MetadataImage
from pykbroker.metadata.local_changes import LocalChanges
from pykbroker.metadata.topics import TopicImage
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.builder import build_batch
from pykbroker.replica import directory_move
from pykbroker.replica.directory_move import DirectoryMove, ReplicaDirectories
from pykbroker.replica.replica_manager import ReplicaManager
from tests.controller.images import broker
from tests.replica.stand import NODE_ID, Stand, UnsyncedFiles, partition_image

T0 = TopicPartition("t", 0)


class TwoDirectories(Stand):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.logs.release()
        paths = [str(folder / "one"), str(folder / "two")]
        self.logs = LogManager(paths, clock=self.clock, files=UnsyncedFiles())
        self.logs.open(node_id=NODE_ID, cluster_id=None, new_cluster_id=lambda: str(Uuid.random()))
        self.logs.load(self.config_for)
        self.replicas = ReplicaManager(node_id=NODE_ID, logs=self.logs, clock=self.clock, config_for=self.config_for)
        self.changes = 0
        self.directories.on_change = self._changed
        self.one, self.two = self.logs.directories

    def _changed(self) -> None:
        self.changes += 1

    @property
    def directories(self) -> ReplicaDirectories:
        return self.replicas.directories

    def refusal(self, tp: TopicPartition, path: str) -> int:
        with pytest.raises(KafkaError) as caught:
            self.directories.alter(tp, path)
        return caught.value.code

    def started(self) -> DirectoryMove:
        """The move of t-0 to the second directory, begun."""
        self.directories.alter(T0, self.two.path)
        move = self.directories.moves[T0]
        self.directories.start(move)
        return move

    def futures(self) -> list[str]:
        return [name for name in os.listdir(self.two.path) if name.endswith("-future")]

    def metadata(self, version: int = LATEST_METADATA_VERSION, *, is_registered: bool = True) -> MetadataImage:
        directories = (self.one.id, self.two.id) if is_registered else ()
        return MetadataImage.empty()._replace(
            topics=self.image.topics,
            features=FeaturesImage({METADATA_VERSION: version}),
            brokers={NODE_ID: broker(NODE_ID, directories=directories)},
        )


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[TwoDirectories]:
    stand = TwoDirectories(tmp_path)
    stand.create("t")
    assert stand.logs.directory_of(T0) is stand.one
    yield stand
    stand.close()


def batch() -> bytearray:
    return build_batch([(b"k", b"v", [], 1_700_000_000_000)])


def test_where_it_is_nothing_moves(stand: TwoDirectories) -> None:
    stand.directories.alter(T0, stand.one.path)
    assert (stand.directories.moves, stand.changes) == ({}, 0)


def test_a_move_from_begin_to_end(stand: TwoDirectories) -> None:
    partition = stand.partition("t")
    partition.append(batch(), -1, stand.clock.wall_ms())
    move = stand.started()
    assert (stand.directories.next_move(), stand.changes) == (move, 1)
    assert stand.directories.is_wanted(move)
    partition.append(batch(), -1, stand.clock.wall_ms())
    assert move.copy is not None
    assert move.copy.next_round() is None
    stand.directories.finish(move)
    assert stand.logs.directory_of(T0) is stand.two
    assert partition.log is stand.logs.get(T0)
    assert (partition.log.log_end_offset, partition.log.high_watermark) == (2, 2)
    assert (stand.directories.next_move(), stand.futures()) == (None, [])
    partition.append(batch(), -1, stand.clock.wall_ms())
    assert partition.log.high_watermark == 3


def test_who_waits_at_the_partition_looks_again(stand: TwoDirectories) -> None:
    class Waiter:
        woken = 0

        def on_append(self, partition: object, size: int) -> None:
            raise AssertionError

        def on_change(self) -> None:
            self.woken += 1

    waiter = Waiter()
    stand.partition("t").waiters.add(waiter)
    move = stand.started()
    assert move.copy is not None
    assert move.copy.next_round() is None
    stand.directories.finish(move)
    assert waiter.woken == 1


def test_asked_again_it_goes_on(stand: TwoDirectories) -> None:
    move = stand.started()
    stand.directories.alter(T0, stand.two.path)
    assert stand.directories.moves == {T0: move}
    assert stand.directories.is_wanted(move)


def test_asked_to_stay_it_stops(stand: TwoDirectories) -> None:
    move = stand.started()
    assert len(stand.futures()) == 1
    stand.directories.alter(T0, stand.one.path)
    assert (stand.directories.moves, stand.futures()) == ({}, [])
    assert not stand.directories.is_wanted(move)
    stand.directories.cancel(move)


def test_a_topic_that_is_made_again_does_not_move(stand: TwoDirectories) -> None:
    stand.directories.alter(T0, stand.two.path)
    (move,) = stand.directories.moves.values()
    stand.delete("t")
    stand.create("t")
    assert not stand.directories.is_wanted(move), "it is another partition"


def test_wishes_are_remembered_as_far_as_memory_allows(stand: TwoDirectories, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory_move, "MAX_PREFERRED", 3)
    for index in (1, 2, 3, 1, 4, 5):
        stand.refusal(TopicPartition("t", index), stand.two.path)
    assert [tp.partition for tp in stand.logs.preferred] == [1, 4, 5]


def test_a_topic_that_is_deleted_does_not_move(stand: TwoDirectories) -> None:
    move = stand.started()
    stand.delete("t")
    assert not stand.directories.is_wanted(move)
    stand.directories.cancel(move)
    assert stand.futures() == []


@pytest.mark.parametrize(("length", "code"), [(213, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION), (214, 17)])
def test_names_that_leave_no_room(stand: TwoDirectories, length: int, code: int) -> None:
    assert stand.refusal(TopicPartition("n" * length, 0), stand.one.path) == code


def test_directories_that_are_none(stand: TwoDirectories) -> None:
    for path in ("/nowhere", "", stand.one.path + "/", os.path.relpath(stand.one.path)):
        assert stand.refusal(T0, path) == ErrorCode.LOG_DIR_NOT_FOUND


def test_a_directory_that_is_offline(stand: TwoDirectories) -> None:
    stand.logs.fail(stand.two, OSError("broken"))
    assert stand.refusal(T0, stand.two.path) == ErrorCode.KAFKA_STORAGE_ERROR
    stand.directories.alter(T0, stand.one.path)


def test_nothing_moves_while_any_directory_is_offline(tmp_path: Path) -> None:
    stand = TwoDirectories(tmp_path)
    stand.logs._paths.append(str(tmp_path / "three"))
    stand.logs.release()
    stand.logs.open(node_id=NODE_ID, cluster_id=None, new_cluster_id=lambda: "")
    stand.create("t")
    stand.logs.fail(stand.logs.directories[2], OSError("broken"))
    other = next(each for each in stand.logs.directories[:2] if each is not stand.logs.directory_of(T0))
    assert stand.refusal(T0, other.path) == ErrorCode.KAFKA_STORAGE_ERROR
    stand.close()


def test_a_replica_of_another_broker_and_one_that_comes(stand: TwoDirectories) -> None:
    unknown, elsewhere = TopicPartition("new", 0), TopicPartition("t", 1)
    topic = stand.image.topics.get("t")
    assert topic is not None
    away = partition_image(2, 0)._replace(replicas=(2,), isr=(2,))
    partitions = {**topic.partitions, 1: away}
    stand.image.topics = type(stand.image.topics)(
        {topic.id: topic._replace(partitions=partitions)}, {"t": topic._replace(partitions=partitions)}
    )
    for _ in stand.replicas.apply(LocalChanges({}, {}, set(), set()), stand.image):  # type: ignore[arg-type]
        pass
    assert stand.refusal(elsewhere, stand.two.path) == ErrorCode.REPLICA_NOT_AVAILABLE
    assert stand.refusal(unknown, stand.one.path) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert stand.refusal(unknown, stand.two.path) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    stand.create("u")
    stand.create("new")
    assert stand.logs.directory_of(unknown) is stand.two


@pytest.mark.parametrize("side", ["one", "two"])
def test_a_disk_that_fails_takes_its_directory_offline(stand: TwoDirectories, side: str) -> None:
    move = stand.started()
    failing = getattr(stand, side)
    stand.directories.fail(move, CopyError(f"{failing.path}/t-0/file", OSError(5, "broken")))
    assert [directory.is_online for directory in stand.logs.directories] == [side == "two", side == "one"]
    assert stand.directories.moves == {}


def test_a_copy_that_is_wrong_is_no_fault_of_the_disk(stand: TwoDirectories) -> None:
    move = stand.started()
    stand.directories.fail(move, CopyError(f"{stand.two.path}/t-0", ValueError("too short")))
    assert all(directory.is_online for directory in stand.logs.directories)
    assert (stand.directories.moves, stand.futures()) == ({}, [])


def test_files_that_go_with_a_cancelled_move_are_no_fault_either(stand: TwoDirectories) -> None:
    move = stand.started()
    stand.directories.cancel(move)
    stand.directories.fail(move, CopyError(f"{stand.two.path}/t-0", FileNotFoundError(2, "gone")))
    assert all(directory.is_online for directory in stand.logs.directories)


def test_what_a_stop_interrupted_begins_anew(stand: TwoDirectories) -> None:
    stand.logs.interrupted_copies = {T0: stand.two, TopicPartition("gone", 0): stand.two}
    stand.directories.resume()
    assert list(stand.directories.moves) == [T0]
    assert stand.logs.interrupted_copies == {}


def test_what_the_cluster_does_not_know(stand: TwoDirectories) -> None:
    found = stand.directories.misplaced(stand.metadata())
    assert [(directory, [str(key.topic_partition) for key in keys]) for directory, keys in found.items()] == [
        (stand.one.id, ["t-0"])
    ]
    assert stand.directories.misplaced(stand.metadata(16)) == {}, "nor can it be told"
    topic = stand.image.topics.get("t")
    assert isinstance(topic, TopicImage)
    known = {0: topic.partitions[0]._replace(directories=(stand.one.id,))}
    stand.set_topic(topic._replace(partitions=known))
    assert stand.directories.misplaced(stand.metadata()) == {}


def test_directories_that_are_not_registered_are_not_told(stand: TwoDirectories) -> None:
    """After an upgrade of the metadata.version: the controller took them for lost, and their replicas for offline."""
    assert stand.directories.misplaced(stand.metadata(is_registered=False)) == {}
    assert stand.directories.misplaced(stand.metadata()).keys() == {stand.one.id}, "it is not forgotten"


def test_what_the_cluster_knows_is_not_looked_at_again(stand: TwoDirectories) -> None:
    """A broker has thousands of replicas, and the controller says something of one after the other."""
    directories = stand.directories
    assert stand.create("u", partitions=3)
    told = directories.misplaced(stand.metadata())
    assert directories.unsure == {key.topic_partition for keys in told.values() for key in keys}
    for name in ("t", "u"):
        topic = stand.image.topics.get(name)
        assert topic is not None
        lying = {index: stand.logs.directory_of(TopicPartition(name, index)) for index in topic.partitions}
        known = {
            index: state._replace(directories=(place.id,))
            for (index, state), place in zip(topic.partitions.items(), lying.values(), strict=True)
            if place is not None
        }
        stand.set_topic(topic._replace(partitions=known))
    assert directories.misplaced(stand.metadata()) == {}
    assert directories.unsure == set()
    stand.elect("u", NODE_ID, 1, index=2)
    assert {tp.topic for tp in directories.unsure} == {"u"}
    # A cluster that learns of directories with its metadata.version learns of all.
    directories.misplaced(stand.metadata())
    before = MetadataDelta(stand.metadata(16))
    directories.on_metadata_update(before, stand.metadata())
    assert len(directories.unsure) == 4


def test_a_move_that_was_given_up_is_told_too(stand: TwoDirectories) -> None:
    """The controller may have been told of its target already."""
    move = stand.started()
    topic = stand.image.topics.get("t")
    assert topic is not None
    stand.set_topic(topic._replace(partitions={0: topic.partitions[0]._replace(directories=(stand.two.id,))}))
    assert stand.directories.misplaced(stand.metadata()) == {}
    before = stand.changes
    stand.directories.cancel(move)
    assert stand.changes == before + 1
    assert list(stand.directories.misplaced(stand.metadata())) == [stand.one.id]


def test_on_its_way_a_replica_is_not_misplaced(stand: TwoDirectories) -> None:
    stand.started()
    assert stand.directories.misplaced(stand.metadata()) == {}
