"""Three brokers and one partition through elections, crashes and late news: what scenarios.md section 1 asks."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.record.builder import build_batch
from pykbroker.replica.delayed_produce import DelayedProduce
from pykbroker.replica.list_offsets import LATEST, latest_offset, offset_for
from pykbroker.replica.partition import ACKS_ALL
from tests.replica.cluster import LAG, Cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


def replicated(cluster: Cluster, *values: str) -> None:
    """In all logs, and known to be."""
    for value in values:
        cluster.produce(value)
    cluster.fetch(rounds=3)


def assert_replicas_agree(cluster: Cluster, values: list[str]) -> None:
    cluster.settle()
    assert {node_id: cluster.values(node_id) for node_id in cluster.nodes} == dict.fromkeys(cluster.nodes, values)
    assert set(cluster.high_watermarks().values()) == {cluster.partition(cluster.state.leader).log.log_end_offset}


# How far is committed


def test_committed_is_what_all_in_sync_have(cluster: Cluster) -> None:
    cluster.produce("a")
    assert cluster.high_watermarks() == {1: 0, 2: 0, 3: 0}
    cluster.fetch(2, rounds=2)  # the second one says that the first was stored
    assert cluster.high_watermarks()[1] == 0
    cluster.fetch(3, rounds=2)
    assert cluster.high_watermarks() == {1: 1, 2: 0, 3: 0}, "followers hear of it with their next fetch"
    cluster.fetch()
    assert cluster.high_watermarks() == {1: 1, 2: 1, 3: 1}


def test_acks_all_waits_for_them(cluster: Cluster) -> None:
    partition = cluster.partition(1)
    cluster.produce("a")
    wakes: list[bool] = []
    waiting = DelayedProduce({partition: 1}, lambda: wakes.append(True))
    waiting.arm()
    cluster.fetch(2, rounds=3)
    assert not wakes
    cluster.fetch(3, rounds=2)
    assert (wakes, waiting.errors) == ([True], {partition: 0})


def test_below_min_isr_nothing_is_committed(tmp_path: Path) -> None:
    """KIP-966: a record that only the leader has could be lost with it."""
    cluster = Cluster(tmp_path, min_insync_replicas="2")
    cluster.decide(isr=(1,))
    cluster.publish()
    with pytest.raises(KafkaError) as raised:
        cluster.produce("a")
    assert raised.value.code == ErrorCode.NOT_ENOUGH_REPLICAS
    cluster.produce("a", acks=1)
    assert cluster.high_watermarks()[1] == 0
    cluster.fetch(2, rounds=2)
    cluster.alter(1)
    assert cluster.state.isr == (1, 2)
    assert cluster.high_watermarks()[1] == 1
    cluster.close()


def test_one_that_catches_up_is_waited_for_before_it_is_in(cluster: Cluster) -> None:
    """The maximal ISR: what the controller may agree to any moment (KIP-497)."""
    cluster.decide(isr=(1, 2))
    cluster.publish()
    cluster.fetch(3, rounds=2)
    assert cluster.partition(1).isr == (1, 2)
    cluster.produce("a")
    cluster.fetch(2, rounds=2)
    assert cluster.high_watermarks()[1] == 0
    cluster.alter(1)
    assert cluster.partition(1).isr == (1, 2, 3)
    cluster.fetch(3, rounds=2)
    assert cluster.high_watermarks()[1] == 1


def test_who_lags_leaves_and_comes_back(cluster: Cluster) -> None:
    cluster.produce("a")
    for _ in range(4):
        cluster.pass_time(LAG / 3)
        cluster.fetch(2, rounds=2)
        cluster.shrink()
        cluster.alter()
    assert cluster.state.isr == (1, 2)
    assert cluster.high_watermarks()[1] == 1
    cluster.fetch(3, rounds=2)
    cluster.alter()
    assert cluster.state.isr == (1, 2, 3)


def test_until_the_controller_agrees_a_laggard_holds_the_high_watermark(cluster: Cluster) -> None:
    cluster.produce("a")
    for _ in range(4):
        cluster.pass_time(LAG / 3)
        cluster.fetch(2, rounds=2)
    cluster.shrink()
    assert cluster.high_watermarks()[1] == 0
    cluster.alter()
    assert cluster.high_watermarks()[1] == 1


def test_a_replica_that_is_fenced_or_restarted_does_not_join(cluster: Cluster) -> None:
    """KIP-841, KIP-903: what it fetched in an earlier life it may have lost."""
    cluster.decide(isr=(1, 2))
    cluster.brokers[3] = cluster.brokers[3]._replace(fenced=True)
    cluster.publish()
    cluster.fetch(3, rounds=2)
    cluster.alter()
    assert cluster.state.isr == (1, 2)
    cluster.brokers[3] = cluster.brokers[3]._replace(fenced=False, epoch=999)
    cluster.publish(1)
    cluster.fetch(3, rounds=2)  # it does not know yet that it is another one
    cluster.alter()
    assert cluster.state.isr == (1, 2)
    cluster.publish(3)
    cluster.pass_time(2)
    cluster.fetch(3, rounds=3)
    cluster.alter()
    assert cluster.state.isr == (1, 2, 3)


def test_the_controller_refuses_one_that_it_has_fenced_meanwhile(cluster: Cluster) -> None:
    """INELIGIBLE_REPLICA: back to what was agreed, and asked again when it fetches again."""
    cluster.decide(isr=(1, 2))
    cluster.publish()
    cluster.fetch(3, rounds=2)
    cluster.brokers[3] = cluster.brokers[3]._replace(fenced=True)
    cluster.alter()
    assert (cluster.state.isr, cluster.partition(1).isr) == ((1, 2), (1, 2))
    assert cluster.partition(1).in_sync is not None
    assert cluster.partition(1).in_sync.state.maximal_isr == (1, 2)  # type: ignore[union-attr]
    cluster.brokers[3] = cluster.brokers[3]._replace(fenced=False)
    cluster.fetch(3)
    cluster.alter()
    assert cluster.state.isr == (1, 2, 3)


# scenarios.md, section 1


def test_a_follower_restarts_and_leads_before_it_fetched_again(cluster: Cluster) -> None:
    """Row 1, KIP-101: it has the record, and does not know that it is committed. Truncating to its high watermark would
    lose what was acknowledged."""
    replicated(cluster, "a")
    cluster.produce("b")
    cluster.fetch(2, 3, rounds=1)
    cluster.fetch(2, 3, rounds=1)
    assert cluster.high_watermarks()[1] == 2, "acknowledged"
    cluster.nodes[2].logs.checkpoint_high_watermarks()
    cluster.crash(2)
    cluster._boot(2)  # within its session: nobody noticed
    cluster.publish(2)
    cluster.crash(1)
    cluster.fence(1)
    assert cluster.state.leader == 2
    cluster.publish()
    assert cluster.values(2) == ["a", "b"]
    cluster.start(1)
    assert_replicas_agree(cluster, ["a", "b"])


def test_two_failovers_in_a_row_and_an_epoch_that_the_follower_does_not_know(cluster: Cluster) -> None:
    """Row 2, KAFKA-6361, KIP-279: each leader appended what no other has; only prefixes that are the same stay."""
    replicated(cluster, "a", "b")
    cluster.produce("1-only", acks=1)
    cluster.elect(2, isr=(2, 3))
    cluster.publish(2, 3)
    cluster.produce("2-only", acks=1)
    cluster.elect(3, isr=(3,))
    cluster.publish(3)
    cluster.produce("c", acks=1)
    cluster.produce("d", acks=1)
    cluster.publish()
    cluster.pass_time(2)
    assert_replicas_agree(cluster, ["a", "b", "c", "d"])
    assert [cluster.partition(node).log.leader_epochs.entries for node in (1, 2, 3)] == [[(0, 0), (2, 2)]] * 3


def test_elections_without_data_leave_no_epochs_that_loop(cluster: Cluster) -> None:
    """Row 3, KAFKA-10706: an epoch begun at the log end and never used must not be asked for again and again."""
    replicated(cluster, "a")
    for leader in (2, 1, 2, 1, 3):
        cluster.elect(leader)
        cluster.publish(leader)
    cluster.publish()
    cluster.produce("b")
    assert_replicas_agree(cluster, ["a", "b"])
    assert cluster.partition(1).log.leader_epochs.entries == [(0, 0), (5, 1)]


def test_the_high_watermark_is_told_after_a_truncation(cluster: Cluster) -> None:
    """It came with the diverging epoch, when it did not count: nothing else moves it while nobody writes."""
    replicated(cluster, "a", "b")
    cluster.elect(2)
    cluster.publish(2)
    cluster.elect(3)
    cluster.publish(2, 3)
    cluster.elect(1)
    cluster.publish(1)
    cluster.partition(2).log.update_high_watermark(1)
    cluster.publish()
    cluster.fetch(rounds=3)
    assert cluster.high_watermarks() == {1: 2, 2: 2, 3: 2}


def test_a_missed_epoch_of_the_same_leader(cluster: Cluster) -> None:
    """Row 4, KAFKA-7164: the leader is who it was, and its log is not: every epoch is compared."""
    replicated(cluster, "a")
    cluster.produce("lost", acks=1)
    cluster.fetch(3)
    cluster.crash(1, keep=1)  # its disk had not got the record
    cluster._boot(1)
    cluster.decide(leader=1, isr=(1, 2))
    cluster.publish(1, 2)
    cluster.produce("b", acks=1)
    assert cluster.values(3) == ["a", "lost"]
    cluster.publish(3)
    cluster.pass_time(2)
    assert_replicas_agree(cluster, ["a", "b"])


def test_an_unclean_election_cuts_the_longer_log_of_the_leader_before(cluster: Cluster) -> None:
    """Row 5, KAFKA-10751: consumers who ask by epoch are told where the logs part (KIP-320)."""
    replicated(cluster, "a")
    cluster.decide(isr=(1,))
    cluster.publish(1)
    cluster.pass_time(LAG + 1)  # nobody is waited for any more
    for value in ("b", "c", "d"):
        cluster.produce(value)
    assert cluster.high_watermarks()[1] == 4, "committed by an ISR of one: this is what min.insync.replicas is for"
    cluster.crash(1)
    cluster.elect(2, isr=(2,), leader_recovery_state=1)
    cluster.publish()
    cluster.produce("x")
    cluster.start(1)
    cluster.settle()
    assert cluster.values(1) == ["a", "x"]
    assert cluster.partition(2).last_offset_for_epoch(-1, 0) == (0, 1)
    assert_replicas_agree(cluster, ["a", "x"])


def test_a_new_leader_tells_no_latest_offset_before_its_epoch_is_committed(cluster: Cluster) -> None:
    """Row 6, KIP-207: its high watermark may lag behind what the one before had committed."""
    replicated(cluster, "a")
    cluster.produce("b")
    cluster.fetch(2, 3, rounds=1)
    cluster.fetch(2, 3, rounds=1)
    assert cluster.high_watermarks() == {1: 2, 2: 1, 3: 1}
    cluster.elect(2, isr=(2, 3))
    cluster.publish()
    partition = cluster.partition(2)
    with pytest.raises(KafkaError) as raised:
        latest_offset(partition)
    assert raised.value.code == ErrorCode.OFFSET_NOT_AVAILABLE
    assert offset_for(partition, LATEST, isolation_level=0, replica_id=3, current_leader_epoch=-1).offset == 2
    assert cluster.values(2, committed=True) == ["a"]
    cluster.fetch(3, rounds=2)
    assert latest_offset(partition) == 2


def test_what_a_consumer_has_seen_stays(cluster: Cluster) -> None:
    """Row 7: acks=1 may lose records, but none that anybody has read."""
    replicated(cluster, "a")
    cluster.produce("b", acks=1)
    cluster.fetch(2, rounds=2)
    assert cluster.values(1, committed=True) == ["a"], "broker 3 is in sync and has it not"
    cluster.crash(1)
    cluster.fence(1)
    cluster.elect(3)
    cluster.publish()
    cluster.produce("c", acks=1)
    cluster.start(1)
    assert_replicas_agree(cluster, ["a", "c"])


def numbered(value: str, sequence: int) -> bytearray:
    """Of an idempotent producer."""
    return build_batch([(None, value.encode(), [], 0)], producer_id=7, producer_epoch=0, base_sequence=sequence)


def test_a_retry_at_the_next_leader_is_answered_with_the_first_offset(cluster: Cluster) -> None:
    """Row 8: the leader is killed with the answers in its hands; its successor has the batches, and knows whose."""
    replicated(cluster, "a")
    for sequence, value in enumerate(("b", "c")):
        cluster.partition(1).append(numbered(value, sequence), ACKS_ALL, 0)
    cluster.fetch(2, 3, rounds=2)
    cluster.crash(1)
    cluster.fence(1)
    cluster.publish()
    leader = cluster.partition(cluster.state.leader)
    answers = [leader.append(numbered(value, sequence), ACKS_ALL, 0) for sequence, value in enumerate(("b", "c"))]
    assert [(answer.duplicate, answer.first_offset) for answer in answers] == [(True, 1), (True, 2)]
    assert not leader.append(numbered("d", 2), ACKS_ALL, 0).duplicate
    cluster.start(1)
    assert_replicas_agree(cluster, ["a", "b", "c", "d"])


def test_a_retry_of_what_only_the_leader_before_had_is_written(cluster: Cluster) -> None:
    """Row 8, the other half: no copy is left of the first attempt, and the second one makes exactly one."""
    replicated(cluster, "a")
    cluster.partition(1).append(numbered("b", 0), ACKS_ALL, 0)
    cluster.crash(1)
    cluster.fence(1)
    cluster.publish()
    cluster.produce("x", acks=1)
    answer = cluster.partition(cluster.state.leader).append(numbered("b", 0), ACKS_ALL, 0)
    assert (answer.duplicate, answer.first_offset) == (False, 2)
    cluster.start(1)
    assert_replicas_agree(cluster, ["a", "x", "b"])


# Any order of events


@pytest.mark.parametrize("seed", range(25))
def test_any_history(tmp_path: Path, seed: int) -> None:
    """With min.insync.replicas=2 and clean elections: what is acknowledged or was visible stays where it is, and no two
    logs differ below the high watermark of both; whoever hears late of what."""
    cluster = Cluster(tmp_path, min_insync_replicas="2")
    History(cluster, Random(seed)).run(150)
    cluster.close()


class History:
    def __init__(self, cluster: Cluster, random: Random) -> None:
        self.cluster = cluster
        self.random = random
        self.seen: dict[int, str] = {}
        self.count = 0

    def run(self, steps: int) -> None:
        actions = [self.produce] * 4 + [self.fetch] * 8 + [self.alter] * 2 + [self.publish] * 3
        actions += [self.pass_time, self.elect, self.crash, self.start, self.fence]
        for _ in range(steps):
            self.random.choice(actions)()
            self.look()
        self.recover()
        assert_replicas_agree(self.cluster, self.cluster.values(self.cluster.state.leader))
        self.look()

    def any_node(self) -> int:
        return self.random.choice(sorted(self.cluster.nodes))

    def produce(self) -> None:
        """To whoever thinks that it leads."""
        node = self.any_node()
        self.count += 1
        with suppress(KafkaError):  # it leads not, or too few are in sync
            self.cluster.produce(f"{self.count}", self.random.choice((1, -1)), node)

    def fetch(self) -> None:
        self.cluster.fetch(self.any_node())

    def alter(self) -> None:
        self.cluster.alter(self.any_node())

    def publish(self) -> None:
        self.cluster.publish(self.any_node())

    def pass_time(self) -> None:
        self.cluster.pass_time(self.random.choice((1.0, 1.0, LAG + 1)))
        self.cluster.shrink()

    def elect(self) -> None:
        """Cleanly: of those in sync that are alive."""
        state, brokers = self.cluster.state, self.cluster.brokers
        eligible = [node for node in state.isr if node in self.cluster.nodes and not brokers[node].fenced]
        if eligible:
            self.cluster.elect(self.random.choice(eligible))

    def crash(self) -> None:
        """With what the disk had not got yet, when others have it."""
        cluster = self.cluster
        node = self.any_node()
        if len(cluster.nodes) < 3 or len(cluster.state.isr) < 2:
            return
        log = cluster.partition(node).log
        cluster.crash(node, keep=self.random.randint(log.log_start_offset, log.log_end_offset))
        cluster.fence(node)

    def start(self) -> None:
        for node in set(self.cluster.brokers) - set(self.cluster.nodes):
            self.cluster.start(node)

    def fence(self) -> None:
        """A session is lost, its broker does not know; it comes back at once."""
        node = self.any_node()
        self.cluster.fence(node)
        self.cluster.brokers[node] = self.cluster.brokers[node]._replace(fenced=False)
        self.elect_if_nobody_leads()

    def elect_if_nobody_leads(self) -> None:
        if self.cluster.state.leader < 0:
            self.elect()

    def recover(self) -> None:
        self.start()
        self.elect_if_nobody_leads()
        for _ in range(3):
            self.cluster.settle()
            self.cluster.pass_time(2)

    def look(self) -> None:
        """What a consumer reads anywhere, at the same offset always the same."""
        for node in self.cluster.nodes:
            log = self.cluster.partition(node).log
            for offset, value in enumerate(self.cluster.values(node, committed=True), log.log_start_offset):
                assert self.seen.setdefault(offset, value) == value, f"offset {offset} at broker {node}"
        if self.cluster.state.leader in self.cluster.nodes:
            self.check_leader(self.cluster.state.leader)

    def check_leader(self, node: int) -> None:
        """Whoever was elected has everything that was ever visible."""
        values = self.cluster.values(node)
        assert [values[offset] if offset < len(values) else None for offset in sorted(self.seen)] == [
            self.seen[offset] for offset in sorted(self.seen)
        ]
