"""One run of a cluster by seed: load, failures for a while, then everything heals and must come to rest."""

import gc
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, ClassVar
from unittest.mock import patch

from pykbroker import verify
from pykbroker.config.topic_config import TopicConfig
from pykbroker.errors import KafkaError
from pykbroker.ids import Uuid
from pykbroker.protocol.messages.alter_partition import AlterPartitionRequest
from pykbroker.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from pykbroker.protocol.messages.elect_leaders import ElectLeadersRequest, TopicPartitions
from pykbroker.record.batch import BatchHeader, iterate_batches
from pykbroker.record.reader import iterate_records
from pykbroker.replica.partition import ACKS_ALL, Partition
from tests.cluster.broker import CONFIG, LEAVING, RUNNING, Process
from tests.cluster.clients import Consumer, Producer
from tests.cluster.disk import Disk
from tests.cluster.ledger import TOPIC, Ledger, close_gaps, end_of, log_of, on_disk
from tests.cluster.plots import PLOTS, Trap
from tests.cluster.quorum import CONTROLLER, Quorum
from tests.cluster.world import Network, World

TROUBLE = 12.0
REST = 90.0
FIRST_CLIENT = 100


def scratch() -> str | None:
    """In memory where there is such a place."""
    return "/dev/shm" if os.path.isdir("/dev/shm") else None


class Simulation:
    """`is_unclean`: the topic allows unclean elections, and everything may be lost but agreement."""

    FAULTS: ClassVar[dict[str, int]] = {
        "kill": 4,
        "cut_power": 4,
        "cut_power_of_several": 1,
        "stop_in_order": 3,
        "cut_link": 4,
        "isolate": 3,
        "lose_packets": 2,
        "slow_down": 1,
        "stall_packets": 2,
        "stop_process": 2,
        "burst": 2,
        "jump_clock": 2,
        "reassign": 3,
        "elect_preferred": 2,
        "delete_records": 2,
        "retain": 1,
        "flush": 4,
        "checkpoint": 4,
        "restart_controller": 1,
        "lose_who_joins": 2,
        "lead_to_and_fro": 2,
        "lose_what_replaced": 2,
    }
    TROUBLE_MAKERS = 12

    def __init__(self, seed: int, folder: Path, *, is_unclean: bool = False) -> None:
        self.seed = seed
        self.folder = folder
        self.world = World(seed)
        self.random = random = self.world.random
        self.is_unclean = is_unclean
        self.network = Network(self.world)
        self.done: deque[str] = deque(maxlen=40)
        self.node_ids = list(range(1, 1 + random.choice((3, 3, 4, 5))))
        self.processes: dict[int, Process] = {}
        self.disks: dict[int, Disk] = {}
        self.traps: list[Trap] = []
        self.quorum = Quorum(self.world, folder / "controller")
        has_elr = random.random() >= 0.3
        if not has_elr:
            self.quorum.without_elr()
        min_in_sync = random.choice((2, 2, 2, 1))
        self.ledger = Ledger(self.processes.get, min_in_sync, is_lenient=is_unclean)
        self.quorum.listeners.append(self.ledger.on_change)
        self.configs = {
            "min.insync.replicas": str(min_in_sync),
            "unclean.leader.election.enable": str(is_unclean).lower(),
        }
        self.log_config = TopicConfig.build(CONFIG, self.configs)
        self.log_config.segment_bytes = random.choice((300, 600, 100_000))
        self.log_config.retention_bytes = random.choice((-1, -1, 1500))
        self.log_config.index_interval_bytes = 100
        self.log_config.segment_index_bytes = 240
        self.log_config.retention_ms = -1
        self.topic_id = Uuid.random()
        self.producers: list[Producer] = []
        self.seen: dict[int, dict[int, str]] = {}
        self.is_over = False

    # The cluster

    def boot(self, node_id: int) -> None:
        if node_id in self.processes:
            return
        self.say(f"start {node_id}")
        process = self.processes[node_id] = Process(
            node_id,
            self.folder / str(node_id),
            self.world,
            self.network,
            self.quorum,
            self.ledger,
            self.log_config,
            self.processes.get,
            self.disks.pop(node_id, None),
        )
        process.on_gone = lambda: self.gone(node_id)
        process.on_alteration = lambda request: self.altered(process, request)

    def say(self, what: str) -> None:
        self.done.append(f"{self.world.now:.2f} {what}")

    def prepare(self) -> None:
        for node_id in self.node_ids:
            (self.folder / str(node_id) / "data").mkdir(parents=True)
            self.boot(node_id)
        assert self.world.run(10, lambda: all(not b.fenced for b in self.brokers()) and len(self.brokers()) > 2)
        self.world.run(1)
        indexes = range(self.random.choice((1, 2, 3)))
        assignments = [self.random.sample(self.node_ids, 3) for _ in indexes]
        self.quorum.create_topic(TOPIC, assignments, self.configs)
        topic = self.quorum.image.topics.get(TOPIC)
        assert topic is not None
        self.topic_id = topic.id
        number = FIRST_CLIENT
        for index in indexes:
            for acks in (ACKS_ALL, ACKS_ALL, 1)[: self.random.choice((1, 2, 3))]:
                number += 1
                self.add_producer(number, index, acks)
            number += 1
            self.add_consumer(number, index)

    def brokers(self) -> list[Any]:
        return list(self.quorum.image.brokers.values())

    def add_producer(self, number: int, index: int, acks: int) -> None:
        where = (number, self.world, self.network, self.processes.get, self.node_ids, index)
        producer = Producer(*where, acks=acks, in_flight=self.random.choice((1, 2, 5)))
        self.producers.append(producer)
        pause = self.random.choice((0.4, 1.2))

        def write() -> None:
            if not self.is_over:
                producer.write(self.random.choice((1, 1, 2)))
                self.world.after(pause * 2 * self.random.random(), write)

        self.world.after(self.random.random(), write)

    def add_consumer(self, number: int, index: int) -> None:
        seen = self.seen[index] = {}
        copies = self.ledger.copies(index)

        def on_seen(offset: int, value: str) -> None:
            if not self.is_unclean and not copies.lost_from:
                assert seen.get(offset, value) == value, f"{seen[offset]} was at {offset} of {index}, now {value}"
            seen[offset] = value

        def on_reset(position: int) -> int:
            is_fine = self.is_unclean or copies.lost_from or position <= copies.deleted_to
            assert is_fine, f"a consumer of {index} has lost its position {position}"
            return self.random.choice((0, copies.deleted_to))

        where = (number, self.world, self.network, self.processes.get, self.node_ids, index)
        consumer = Consumer(*where, topic_id=self.topic_id, on_seen=on_seen, on_reset=on_reset)
        self.world.after(1.0, consumer.poll)

    # What goes wrong

    def any_process(self, *phases: str) -> Process | None:
        found = [one for _, one in sorted(self.processes.items()) if not phases or one.phase in phases]
        return self.random.choice(found) if found else None

    def later(self, action: Callable[[], object], longest: float = 5.0) -> None:
        self.world.after(self.somewhen(longest), action)

    def somewhen(self, longest: float) -> float:
        return self.random.choice((0.2, 1.0, longest)) * self.random.random()

    def gone(self, node_id: int) -> None:
        """After a stop in order: its files are all on disk."""
        self.say(f"gone {node_id}")
        process = self.processes[node_id]
        self.end(process, is_cut=self.random.random() < 0.3)

    def altered(self, process: Process, request: AlterPartitionRequest) -> None:
        """A leader is about to ask for another ISR."""
        for trap in list(self.traps):
            trap(process, request)

    def end(self, process: Process, *, is_cut: bool, back_in: float = -1.0) -> None:
        """`back_in` seconds; -1: at some time."""
        node_id = process.node_id
        before = {index: (self.ledger.held(node_id, index), end_of(process, index)) for index in self.ledger.partitions}
        process.end()
        if is_cut:
            process.files.cut()
            close_gaps(process.folder)
        else:
            self.disks[node_id] = process.files
        del self.processes[node_id]
        self.ledger.died(node_id, before, on_disk(process.folder), is_cut=is_cut)
        if back_in < 0:
            self.later(lambda: self.boot(node_id))
        else:
            self.world.after(back_in, lambda: self.boot(node_id))

    def kill(self, *, is_cut: bool = False) -> None:
        process = self.any_process()
        if process is not None:
            self.say(f"{'power' if is_cut else 'kill'} {process.node_id}")
            self.end(process, is_cut=is_cut)

    def cut_power(self) -> None:
        self.kill(is_cut=True)

    def cut_power_of_several(self) -> None:
        for _ in range(self.random.randint(2, len(self.node_ids))):
            self.kill(is_cut=self.random.random() < 0.8)

    def stop_in_order(self) -> None:
        process = self.any_process(RUNNING)
        if process is not None:
            self.say(f"stop {process.node_id}")
            process.begin_to_leave()

    def cut_link(self) -> None:
        one, other = self.random.sample([CONTROLLER, *self.node_ids], 2)
        self.cut({(one, other)} | ({(other, one)} if self.random.random() < 0.5 else set()), self.somewhen(8.0))

    def isolate(self) -> None:
        """From other brokers, from the controller, from clients; one way or both."""
        one = self.random.choice(self.node_ids)
        clients = [producer.number for producer in self.producers]
        circles = [[CONTROLLER], self.node_ids, clients, [CONTROLLER, *self.node_ids]]
        others = [other for other in self.random.choice(circles) if other != one]
        links = set()
        if (way := self.random.random()) < 0.75:
            links |= {(one, other) for other in others}
        if way > 0.25:
            links |= {(other, one) for other in others}
        self.cut(links, self.somewhen(8.0))

    def cut(self, links: set[tuple[int, int]], seconds: float) -> None:
        self.say(f"cut {sorted(links)}")
        self.network.cut |= links

        def heal() -> None:
            self.say("healed")
            self.network.cut -= links

        self.world.after(seconds, heal)

    def lose_packets(self) -> None:
        self.network.loss = self.random.choice((0.02, 0.1, 0.3))
        self.later(lambda: setattr(self.network, "loss", 0.0))

    def slow_down(self) -> None:
        self.network.slowness = self.random.choice((0.02, 0.1))
        self.later(lambda: setattr(self.network, "slowness", 0.004))

    def stall_packets(self) -> None:
        self.network.stalls = self.random.choice((0.05, 0.2))
        self.later(lambda: setattr(self.network, "stalls", 0.0))

    def stop_process(self) -> None:
        """SIGSTOP and SIGCONT: it knows nothing of the time between."""
        process = self.any_process()
        if process is not None:
            seconds = self.random.choice((0.5, 3.0, 6.0)) * self.random.random()
            self.say(f"pause {process.node_id} for {seconds:.2f}")
            self.network.stopped[process.node_id] = self.world.now + seconds

    def burst(self) -> None:
        """More than is under way as a rule."""
        self.write_much(self.some_index())

    def write_much(self, index: int) -> None:
        for producer in self.producers:
            if producer.index == index:
                for _ in range(self.random.randint(2, 8)):
                    producer.write(self.random.choice((1, 2, 3)))

    def jump_clock(self) -> None:
        process = self.any_process()
        if process is not None:
            process.clock.skew_ms += self.random.choice((-3_600_000, -5000, 5000, 3_600_000))

    def some_index(self) -> int:
        return self.random.choice(sorted(self.seen))

    def reassign(self) -> None:
        index = self.some_index()
        replicas = self.random.sample(self.node_ids, min(len(self.node_ids), self.random.choice((3, 3, 4))))
        self.say(f"reassign {index} {replicas}")
        wanted = ReassignablePartition(index, self.random.choice((replicas, replicas, replicas, None)))
        self.ask(AlterPartitionReassignmentsRequest(topics=[ReassignableTopic(TOPIC, [wanted])]))

    def elect_preferred(self) -> None:
        self.say("preferred")
        self.ask(ElectLeadersRequest(election_type=0, topic_partitions=None))

    def elect_uncleanly(self) -> None:
        self.say("unclean")
        self.ask(ElectLeadersRequest(election_type=1, topic_partitions=[TopicPartitions(TOPIC, [self.some_index()])]))

    def ask(self, request: Any) -> None:
        try:
            self.quorum.ask(request)
        except KafkaError as error:
            self.say(str(error))

    def led(self) -> Partition | None:
        """Of somebody who thinks so."""
        process = self.any_process(RUNNING, LEAVING)
        led = [partition for partition in process.replicas if partition.is_leader] if process is not None else []
        return self.random.choice(led) if led else None

    def delete_records(self) -> None:
        partition = self.led()
        if partition is not None:
            log = partition.log
            offset = self.random.randint(log.log_start_offset, log.high_watermark)
            self.say(f"delete {partition.topic_partition} to {offset}")
            self.ledger.deleted(partition.topic_partition.partition, offset)
            partition.delete_records_before(offset)

    def retain(self) -> None:
        process = self.any_process(RUNNING)
        for log in process.logs.all() if process is not None else ():
            log.delete_old_segments(process.clock.wall_ms())  # type: ignore[union-attr]
            self.ledger.deleted(log.topic_partition.partition, log.log_start_offset)

    def flush(self) -> None:
        process = self.any_process(RUNNING)
        if process is not None:
            process.sync()

    def checkpoint(self) -> None:
        process = self.any_process(RUNNING)
        if process is not None:
            process.logs.checkpoint_high_watermarks()
            process.logs.checkpoint_log_start_offsets()

    def restart_controller(self) -> None:
        self.say("controller")
        self.quorum.restart()

    # One run

    def run(self) -> None:
        """Raises AssertionError, or what the cluster raised, with the seed."""
        try:
            with patch.object(os, "urandom", Random(self.seed).randbytes), patch.object(verify, "ENABLED", True):
                self.prepare()
                self.plan()
                self.world.run(TROUBLE)
                self.settle()
                self.check()
        except BaseException as error:
            error.add_note(f"{type(self).__name__} seed {self.seed} at {self.world.now:.2f}; {'; '.join(self.done)}")
            raise
        finally:
            self.close()

    def plan(self) -> None:
        names = self.random.choices(
            list(self.FAULTS), list(self.FAULTS.values()), k=self.random.randint(1, self.TROUBLE_MAKERS)
        )
        if "stop_in_order" in names:
            # Like Kafka's the snapshot of a clean stop has the last batch of each producer only: an earlier one that is
            # sent again after that is out of order.
            for producer in self.producers:
                producer.in_flight = 1
        for name in names:
            action = partial(PLOTS[name], self) if name in PLOTS else getattr(self, name)
            self.world.after(1.0 + (TROUBLE - 1.0) * self.random.random(), action)

    def settle(self) -> None:
        """Nothing fails any more: it must come to rest."""
        self.say("settle")
        self.is_over = True
        self.network.heal()
        for node_id in self.node_ids:
            self.boot(node_id)
        if not self.world.run(REST, self.is_at_rest):
            raise AssertionError(f"it does not come to rest: {self.state()}")

    def is_at_rest(self) -> bool:
        self.network.heal()
        return all(map(self._is_settled, self.seen)) and all(producer.is_idle for producer in self.producers)

    def _is_settled(self, index: int) -> bool:
        image = self.quorum.image.topics.partition(TOPIC, index)
        if image is None or image.leader < 0 or set(image.isr) != set(image.replicas):
            return False
        logs = [log_of(self.processes[id_], index) if id_ in self.processes else None for id_ in image.replicas]
        ends = {end for log in logs if log is not None for end in (log.log_end_offset, log.high_watermark)}
        return None not in logs and len(ends) == 1

    def state(self) -> str:
        lines = []
        for index in self.seen:
            image = self.quorum.image.topics.partition(TOPIC, index)
            found = {}
            for node_id, process in sorted(self.processes.items()):
                log = log_of(process, index)
                found[node_id] = process.phase, log and (log.log_start_offset, log.high_watermark, log.log_end_offset)
            lines.append(f"{index}: {image} {found}")
        idle = [(one.number, one.index, one.leader, one.is_idle) for one in self.producers]
        return "; ".join([*lines, str(idle), str([(b.id, b.fenced) for b in self.brokers()])])

    def check(self) -> None:
        for index in self.seen:
            self._check_partition(index)

    def _check_partition(self, index: int) -> None:
        image = self.quorum.image.topics.partition(TOPIC, index)
        assert image is not None
        logs = [log_of(self.processes[node_id], index) for node_id in image.replicas]
        contents = [content(log) for log in logs]
        # Who led before deleted records were gone everywhere may still have them.
        start = max(log.log_start_offset for log in logs if log is not None)
        found = [[batch for batch in one if batch[0].base_offset >= start] for one in contents]
        for one in found:
            assert one == found[0], f"replicas of {index} differ: {[[header for header, _ in one] for one in found]}"
        values = values_of(contents[0])
        copies = self.ledger.copies(index)
        for producer in self.producers:
            if producer.index == index:
                self._check_producer(producer, values, start)
        if self.is_unclean:
            return
        for batch in copies.committed.values():
            assert batch.base < start or batch.base in values, f"{batch} of {index} is lost"
        if not copies.lost_from:
            for offset, value in self.seen[index].items():
                assert offset < start or values.get(offset) == value, f"{value} was read at {offset} of {index}"

    def _check_producer(self, producer: Producer, values: dict[int, str], start: int) -> None:
        mine = [value for value in values.values() if value.startswith(f"{producer.number}-")]
        copies = self.ledger.copies(producer.index)
        is_excused = self.is_unclean or bool(copies.lost_from)
        if producer.acks != ACKS_ALL:
            return
        # As in Kafka: the batch before the last, sent again to a leader that was cut back, is out of order.
        may_begin_anew = is_excused or (copies.is_shortened and producer.in_flight > 1)
        assert may_begin_anew or producer.epoch == 0, f"producer {producer.number} had to begin anew"
        # Behind lost batches a log takes the next one that comes, and what a producer that begins anew sends again.
        if not may_begin_anew or (producer.epoch == 0 and not self.is_unclean):
            assert len(set(mine)) == len(mine), f"written twice: {mine}"
            assert mine == sorted(mine, key=lambda value: int(value.split("-")[1])), f"out of order: {mine}"
        for offset, sent in producer.acked:
            if is_excused and offset >= min(copies.lost_from, default=0):
                continue
            found = tuple(values.get(offset + each) for each in range(len(sent.values)))
            assert offset + len(sent.values) <= start or found == sent.values or offset < start, (
                f"{sent} was acknowledged at {offset} of {producer.index}, there is {found}"
            )

    def close(self) -> None:
        for process in self.processes.values():
            process.end()
        self.quorum.close()


class UncleanSimulation(Simulation):
    FAULTS: ClassVar[dict[str, int]] = {**Simulation.FAULTS, "elect_uncleanly": 5, "cut_power_of_several": 3}

    def __init__(self, seed: int, folder: Path) -> None:
        super().__init__(seed, folder, is_unclean=True)


def content(log: Any) -> list[tuple[BatchHeader, bytes]]:
    """All batches of a log."""
    found = []
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        for region in log.read(offset, 1 << 20, upper_bound=log.log_end_offset, min_one=True).segments:
            data = os.pread(region.file.fileno(), region.length, region.position)
            for header, at in iterate_batches(data):
                found.append((header, data[at : at + header.size_in_bytes]))
                offset = header.next_offset
    return found


def values_of(batches: list[tuple[BatchHeader, bytes]]) -> dict[int, str]:
    """By offset."""
    return {
        header.base_offset + delta: (record.value or b"").decode()
        for header, data in batches
        for delta, record in enumerate(iterate_records(data, 0))
    }


def run(seed: int, kind: type[Simulation] = Simulation) -> Simulation:
    folder = Path(tempfile.mkdtemp(prefix="cluster", dir=scratch()))
    gc.disable()  # a fifth of the time goes there, and a run is short
    try:
        with patch.object(os, "urandom", Random(seed).randbytes):
            simulation = kind(seed, folder)
        simulation.run()
        return simulation
    finally:
        gc.enable()
        shutil.rmtree(folder, ignore_errors=True)
