"""Chains of events that chance alone would hardly bring about: each aims at one defence of replication.

Their parts vary by the seed, and other failures come in between.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pykbroker.protocol.messages.alter_partition import AlterPartitionRequest
from pykbroker.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from pykbroker.protocol.messages.elect_leaders import ElectLeadersRequest
from tests.cluster.broker import RUNNING, Process
from tests.cluster.ledger import TOPIC
from tests.cluster.quorum import CONTROLLER

if TYPE_CHECKING:
    from pykbroker.metadata.topics import PartitionImage
    from tests.cluster.simulation import Simulation

Trap = Callable[[Process, AlterPartitionRequest], None]


def lose_who_joins(sim: "Simulation") -> None:
    """A follower is killed, comes back, is about to join the ISR, and its power goes while the leader's AlterPartition
    is on its way. It registers anew before that arrives, without what it had (KIP-903)."""
    victim = sim.any_process(RUNNING)
    if victim is None:
        return
    node_id = victim.node_id
    sim.say(f"{node_id} is to be lost when it joins")
    sim.end(victim, is_cut=False, back_in=0.1)

    def trap(leader: Process, request: AlterPartitionRequest) -> None:
        joining = sim.processes.get(node_id)
        is_meant = any(
            one.broker_id == node_id and node_id not in isr_of(sim, row.partition_index)
            for topic in request.topics
            for row in topic.partitions
            for one in row.new_isr_with_epochs
        )
        if not is_meant or joining is None or joining is leader or joining.phase != RUNNING:
            return
        sim.traps.remove(trap)
        sim.say(f"{node_id} joins at {leader.node_id}, and is lost")
        released = sim.world.now + 2.0 + 2.0 * sim.random.random()
        leader.alterations.held_until = released
        sim.network.held[node_id, leader.node_id] = released + 0.2
        sim.end(joining, is_cut=True, back_in=0.1)

    sim.traps.append(trap)


def lead_to_and_fro(sim: "Simulation") -> None:
    """The leadership goes to a follower that lags, and back to a leader that has not heard of it; another follower has
    been cut back by the epoch in between, while its fetch of before is still on its way (KIP-320)."""
    index = sim.some_index()
    image = partition_of(sim, index)
    leader = None if image is None else sim.processes.get(image.leader)
    if image is None or leader is None or leader.phase != RUNNING or len(image.isr) < 3:
        return
    lagging, fetching = sim.random.sample([node_id for node_id in image.isr if node_id != image.leader], 2)
    sim.say(f"{index} is led by {image.leader}, {lagging} and {image.leader}, {fetching} has fetched before")
    first, second, third = (sim.random.uniform(*span) for span in ((0.3, 0.8), (0.2, 0.5), (0.03, 0.15)))
    sim.network.held[lagging, image.leader] = sim.world.now + first + second + third
    sim.write_much(index)

    def go_on() -> None:
        until = sim.world.now + second + third
        sim.network.held[fetching, image.leader] = until + 0.06 * sim.random.random()
        leader.metadata.held_until = until
        sim.write_much(index)

    sim.world.after(first, go_on)
    sim.world.after(first + second, lambda: lead(sim, index, lagging))
    sim.world.after(first + second + third, lambda: lead(sim, index, image.leader))


def lose_what_replaced(sim: "Simulation") -> None:
    """A leader is alone with synced records, which are cut off when it comes back; what replaces them is not synced
    when its power goes, and recovery must not believe the recovery point of before."""
    index = sim.some_index()
    image = partition_of(sim, index)
    alone = None if image is None else sim.processes.get(image.leader)
    if image is None or alone is None or alone.phase != RUNNING:
        return
    node_id = image.leader
    sim.say(f"{node_id} is alone with {index}, is cut back and loses power")
    others = [other for other in sim.node_ids if other != node_id]
    sim.cut({(other, node_id) for other in others} | {(node_id, CONTROLLER)}, 3.0 + sim.random.random())
    sim.write_much(index)

    def sync() -> None:
        if sim.processes.get(node_id) is alone:
            alone.sync()

    def lose() -> None:
        if sim.processes.get(node_id) is alone:
            sim.end(alone, is_cut=True)

    for moment in (0.2, 1.5, 4.0, 4.3):
        sim.world.after(moment, lambda: sim.write_much(index))
    sim.world.after(2.5, sync)
    sim.world.after(4.0 + 2.0 * sim.random.random(), lose)


PLOTS: dict[str, Callable[["Simulation"], None]] = {
    "lose_who_joins": lose_who_joins,
    "lead_to_and_fro": lead_to_and_fro,
    "lose_what_replaced": lose_what_replaced,
}


def partition_of(sim: "Simulation", index: int) -> "PartitionImage | None":
    return sim.quorum.image.topics.partition(TOPIC, index)


def isr_of(sim: "Simulation", index: int) -> tuple[int, ...]:
    image = partition_of(sim, index)
    return () if image is None else image.isr


def lead(sim: "Simulation", index: int, node_id: int) -> None:
    """As its preferred leader, if it may."""
    image = partition_of(sim, index)
    if image is None or node_id not in image.replicas:
        return
    wanted = [node_id, *(other for other in image.replicas if other != node_id)]
    topic = ReassignableTopic(TOPIC, [ReassignablePartition(index, wanted)])
    sim.ask(AlterPartitionReassignmentsRequest(topics=[topic]))
    sim.ask(ElectLeadersRequest(election_type=0, topic_partitions=None))
