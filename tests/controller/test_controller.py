import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pykbroker.controller.result import MAX_RECORDS_PER_USER_OP, ControllerResult
from pykbroker.errors import KafkaError
from pykbroker.metadata.delta import ReplayError
from pykbroker.metadata.features import INITIAL_FEATURES
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.persisted.metadata.begin_transaction_record import BeginTransactionRecord
from pykbroker.protocol.persisted.metadata.no_op_record import NoOpRecord
from pykbroker.protocol.persisted.metadata.remove_topic_record import RemoveTopicRecord
from pykbroker.raft import quorum_state, snapshot
from pykbroker.raft.formatting import write_bootstrap
from pykbroker.raft.quorum_state import QuorumState
from pykbroker.raft.single_voter import NotTheOnlyVoter
from tests.controller.nodes import ControllerNode, LosingFiles, now, records_of, topic_records
from tests.metadata.history import uuid
from tests.raft.logs import NOW, latest, setting


@pytest.fixture
def node(tmp_path):
    return ControllerNode(tmp_path).start()


def same_cluster(one, other):
    """Apart from how often the node was started."""
    return one._replace(offset=0, epoch=0, controllers={}) == other._replace(offset=0, epoch=0, controllers={})


def names_of(records):
    return [type(record).__name__ for record in records]


def answer(value, *records):
    return lambda _image: ControllerResult(list(records), value)


# Start


def test_the_first_start_writes_what_kafkas_controller_writes(node):
    assert names_of(records_of(node)) == [
        "BeginTransactionRecord",
        *["FeatureLevelRecord"] * len(INITIAL_FEATURES),
        "ConfigRecord",
        "EndTransactionRecord",
        "RegisterControllerRecord",
    ]
    assert node.image is node.controller.image
    assert (node.image.offset, node.image.epoch) == (4 + len(INITIAL_FEATURES), 1)
    assert node.image.features.finalized == INITIAL_FEATURES
    assert node.image.configs.broker("") == {"min.insync.replicas": "1"}
    assert node.image.controllers[1].incarnation_id == uuid(77)
    assert node.log.high_watermark == node.log.end_offset == node.image.offset + 1


def test_later_starts_lead_a_new_epoch_and_find_everything(node):
    node.bring_up(1)
    node.create("t", [1])
    node.set_config("x", "1", topic="t")
    for start in range(2, 5):
        before = node.image
        node = node.again()
        assert same_cluster(node.image, before)
        assert node.image.epoch == start
        assert quorum_state.read(node.log.directory) == QuorumState(1, start, voters=(1,))
    assert names_of(records_of(node))[-3:] == ["RegisterControllerRecord"] * 3


def test_the_features_of_the_formatter_count(tmp_path):
    write_bootstrap(str(tmp_path), {"metadata.version": 12, "eligible.leader.replicas.version": 0}, NOW)
    node = ControllerNode(tmp_path).start()
    # Before metadata transactions, ELR and registered controllers.
    assert names_of(records_of(node)) == ["FeatureLevelRecord", "FeatureLevelRecord"]
    assert node.image.features.finalized == {"metadata.version": 12}
    node.bring_up(1)
    assert same_cluster(node.again().image, node.image)


def test_a_transaction_that_nobody_ended_is_aborted(node):
    before = node.image
    node.log.append([BeginTransactionRecord(), *topic_records("t", [1])], latest)
    node = node.again()
    assert same_cluster(node.image, before)
    assert names_of(records_of(node))[-2:] == ["AbortTransactionRecord", "RegisterControllerRecord"]
    assert same_cluster(node.again().image, before)


def test_a_bootstrap_that_was_torn_is_written_anew(tmp_path):
    node = ControllerNode(tmp_path)
    node.log.append([BeginTransactionRecord()], latest)
    node.log.append([setting("a")], latest)
    node.start()
    assert node.image.features.metadata_version == 30
    assert node.image.configs.topic("t") == {}
    assert names_of(records_of(node))[2] == "AbortTransactionRecord"


def test_the_log_of_other_controllers_is_left_alone(tmp_path):
    node = ControllerNode(tmp_path)
    quorum_state.write(node.log.directory, QuorumState(2, 5, voters=(1, 2, 3)))
    with pytest.raises(NotTheOnlyVoter):
        node.start()
    assert node.log.end_offset == 0


def test_who_follows_from_the_start_is_told_once(tmp_path):
    node = ControllerNode(tmp_path)
    told = []
    node.publisher.subscribe(type("S", (), {"on_metadata_update": lambda _, delta, image: told.append(image)})())
    node.start()
    assert told == [node.image]


# Requests


def test_an_answer_comes_when_its_records_are_published(node):
    told = []
    node.publisher.subscribe(type("S", (), {"on_metadata_update": lambda _, d, image: told.append((d, image))})())
    told.clear()
    before = node.image
    pending = node.controller.submit(answer("done", *topic_records("t", [1])))
    assert pending.result() == "done"
    [(delta, image)] = told
    assert delta.base is before
    assert image is node.image
    assert "t" in node.image.topics


def test_a_decision_without_records_writes_nothing(node):
    end = node.log.end_offset
    assert node.controller.submit(answer("same")).result() == "same"
    assert node.log.end_offset == end


def test_a_decision_that_raises_leaves_nothing(node):
    def decide(_image):
        raise KafkaError(ErrorCode.POLICY_VIOLATION, "no")

    before = node.controller.image
    with pytest.raises(KafkaError, match="no"):
        node.controller.submit(decide)
    with pytest.raises(KafkaError, match="no"):
        now(node.controller.execute(decide))
    assert node.controller.image is before is node.image


def test_a_record_that_does_not_fit_never_reaches_the_log(node):
    before, end = node.controller.image, node.log.end_offset
    with pytest.raises(ReplayError):
        node.controller.submit(answer(None, *topic_records("t", [1]), RemoveTopicRecord(topic_id=uuid(5))))
    assert (node.controller.image, node.log.end_offset) == (before, end)
    assert node.controller.submit(answer(1, setting("a"))).result() == 1


def test_answers_wait_for_the_disk_in_order(node):
    wakes = []
    controller = node.controller
    controller.on_write = lambda: wakes.append(controller.next_offset)
    before = node.image
    first = controller.submit(answer(1, setting("a")))
    job = controller.sync_job()
    second = controller.submit(answer(2, setting("b")))
    seen = []
    reader = controller.submit(lambda image: ControllerResult([], seen.append(image)))
    assert wakes == [before.offset + 2, before.offset + 3]
    assert node.image is before
    assert seen == [controller.image]
    assert controller.image.configs.topic("t") == {"a": "v", "b": "v"}
    controller.commit(job())
    assert (first.done, second.done, reader.done) == (True, False, False)
    assert node.image.configs.topic("t") == {"a": "v"}
    controller.commit(controller.sync_job()())
    assert (second.result(), reader.result()) == (2, None)
    assert node.image is controller.image
    assert not controller.has_writes


def test_a_reader_that_asks_when_all_is_durable_does_not_wait(node):
    node.controller.on_write = lambda: None
    assert node.controller.submit(answer(1)).done


def test_many_records_are_several_batches_and_one_answer(node):
    records = [NoOpRecord() for _ in range(2 * MAX_RECORDS_PER_USER_OP + 1)]
    node.controller.on_write = lambda: None
    pending = node.controller.submit(answer("all", *records))
    offset = node.image.offset
    node.controller.commit(offset + 1 + MAX_RECORDS_PER_USER_OP)
    assert node.image.offset == offset + MAX_RECORDS_PER_USER_OP
    assert not pending.done
    node.controller.commit(node.log.sync())
    assert pending.result() == "all"


def test_closing_answers_who_waits_but_tells_nobody_else(node):
    node.controller.on_write = lambda: None
    before = node.image
    pending = node.controller.submit(answer(1, *topic_records("t", [1])))
    node.controller.close()
    assert pending.result() == 1
    assert node.image is before
    assert "t" in node.again().image.topics


def test_a_full_disk_is_told_to_the_client(tmp_path):
    class Disk(LosingFiles):
        full = False

        def pwrite(self, fd, data, position):
            if self.full:
                raise OSError(28, "No space left on device")
            return os.pwrite(fd, data, position)

    disk = Disk()
    node = ControllerNode(tmp_path, files=disk).start()
    before = node.controller.image
    disk.full = True
    with pytest.raises(KafkaError) as caught:
        node.controller.submit(answer(None, setting("a")))
    assert caught.value.code == ErrorCode.KAFKA_STORAGE_ERROR
    assert node.controller.image is before
    disk.full = False
    assert node.controller.submit(answer(1, setting("a"))).result() == 1


# Crashes


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(["create", "sync", "snapshot", "cut power", "kill"]), max_size=25))
def test_what_was_answered_outlives_a_power_cut(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("node")
    files = LosingFiles()
    node = ControllerNode(folder, files=files).start()
    waiting, answered = [], {}

    def hold():
        node.controller.on_write = lambda: None

    def collect():
        answered.update({name: True for name, pending in waiting if pending.done})

    hold()
    for number, step in enumerate(steps):
        if step == "create":
            name = f"t{number}"
            waiting.append((name, node.controller.submit(answer(name, *topic_records(name, [1], [1])))))
        elif step == "sync":
            node.controller.commit(node.controller.sync_job()())
        elif step == "snapshot":
            node.controller.snapshot_done(node.controller.snapshot_job()())
        else:
            collect()
            if step == "cut power":
                files.cut_power(folder)
            node = node.again(files=files)
            hold()
            waiting.clear()
            assert answered.keys() <= set(node.image.topics.names())
        collect()
        for topic in node.image.topics:
            assert len(topic.partitions) == 2
        assert set(answered) <= set(node.image.topics.names())


# Time


def test_brokers_that_are_not_heard_are_fenced(node):
    node.bring_up(1, 2, 3)
    node.create("t", [2, 3, 1], [3, 2, 1])
    assert node.controller.next_deadline() == node.clock.monotonic() + 9
    node.clock.advance(5)
    node.heartbeat(3)
    node.clock.advance(5)
    node.controller.on_deadline(node.clock.monotonic())
    assert [broker.id for broker in node.image.brokers.values() if broker.fenced] == [2]
    assert (node.partition("t").leader, node.partition("t").isr) == (3, (3, 1))
    assert node.controller.next_deadline() == node.clock.monotonic() + 4


def test_a_broker_whose_process_has_ended_is_fenced_at_once(node):
    node.bring_up(1, 2, 3)
    node.create("t", [2, 3, 1], [3, 2, 1])
    node.controller.broker_died(2)
    assert [broker.id for broker in node.image.brokers.values() if broker.fenced] == [2]
    assert (node.partition("t").leader, node.partition("t").isr) == (3, (3, 1))
    assert not node.controller.heartbeats.has_valid_session(2, node.image.brokers[2].epoch, node.clock.monotonic())
    before = node.image
    node.controller.broker_died(2)
    node.controller.broker_died(7)
    assert node.image is before


def test_the_node_itself_is_not_watched(node):
    node.bring_up(1)
    node.clock.advance(1000)
    node.controller.on_deadline(node.clock.monotonic())
    assert not node.image.brokers[1].fenced


def test_after_a_restart_others_get_a_session_to_be_heard_in(node):
    node.bring_up(1, 2)
    node = node.again()
    node.clock.advance(8)
    node.controller.on_deadline(node.clock.monotonic())
    assert not node.image.brokers[2].fenced
    node.clock.advance(2)
    node.controller.on_deadline(node.clock.monotonic())
    assert node.image.brokers[2].fenced


# Snapshots


def take_snapshot(node):
    node.controller.snapshot_done(node.controller.snapshot_job()())


def test_a_snapshot_is_due_after_so_many_bytes(tmp_path):
    node = ControllerNode(tmp_path, metadata_log_max_record_bytes_between_snapshots=2000).start()
    while not node.controller.is_snapshot_due(node.clock.monotonic()):
        assert node.log.bytes_since_snapshot < 2000
        node.set_config(f"name-{node.image.offset}", "x" * 200, topic="t")
    assert node.log.bytes_since_snapshot >= 2000
    take_snapshot(node)
    assert not node.controller.is_snapshot_due(node.clock.monotonic())


def test_a_snapshot_is_due_an_hour_after_a_change(node):
    assert node.controller.next_deadline() == float("inf")
    node.set_config("x", "1")
    changed_at = node.clock.monotonic()
    node.clock.advance(1800)
    node.set_config("x", "2")
    assert not node.controller.is_snapshot_due(node.clock.monotonic())
    assert node.controller.next_deadline() == changed_at + 3600
    node.clock.advance(1800)
    assert node.controller.is_snapshot_due(node.clock.monotonic())
    take_snapshot(node)
    assert node.controller.next_deadline() == float("inf")
    node.clock.advance(90_000)
    assert not node.controller.is_snapshot_due(node.clock.monotonic())


def test_no_interval_no_snapshot(tmp_path):
    node = ControllerNode(tmp_path, metadata_log_max_snapshot_interval_ms=0).start()
    node.set_config("x", "1")
    assert node.controller.next_deadline() == float("inf")


def test_a_start_from_a_snapshot_finds_the_same(node):
    node.bring_up(1, 2)
    node.create("t", [1, 2], [2, 1])
    take_snapshot(node)
    node.create("u", [1])
    again = node.again()
    assert same_cluster(again.image, node.image)
    # The log is not needed as far as the snapshot goes.
    [found] = snapshot.find_snapshots(node.log.directory)
    assert found.end_offset == node.image.offset - 1
    again.log._log.truncate_fully_and_start_at(found.end_offset)
    again = node.again()
    assert again.image.topics.names() == ["t"]
    assert again.image.brokers == node.image.brokers


def test_old_snapshots_go_as_retention_says(tmp_path):
    node = ControllerNode(tmp_path, metadata_max_retention_bytes=1, internal_metadata_log_segment_bytes=2000).start()
    for number in range(12):
        node.set_config(f"name-{number}", "x" * 300, topic="t")
        take_snapshot(node)
    assert len(snapshot.find_snapshots(node.log.directory)) == 1
    assert node.log.start_offset > 0
    assert same_cluster(node.again().image, node.image)


def test_a_snapshot_holds_what_was_published_when_the_job_was_made(node):
    node.create("t", [1])
    job = node.controller.snapshot_job()
    node.create("u", [1])
    snapshot_id = job()
    assert snapshot_id.end_offset == node.image.offset - 1
    node.controller.snapshot_done(snapshot_id)
    assert same_cluster(node.again().image, node.image)
