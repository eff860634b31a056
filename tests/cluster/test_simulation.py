"""Clusters of three to five brokers and a controller through crashes, power cuts and a bad network, by seed.

PYKBROKER_SEEDS=500-900 runs those seeds, of each kind, however many. A failure names its seed and what went wrong
before it; `PYKBROKER_SEEDS=7-8` plays seed 7 again exactly.
"""

from typing import ClassVar

import pytest

from tests.cluster.simulation import Simulation, UncleanSimulation, run
from tests.coordinator.simulation import seeds

# So many seeds are some seconds, and far from the time limit of a test where many run at once.
BLOCK = 20


def blocks(default: int) -> list[range]:
    """Of the seeds to run, small enough to be spread."""
    wanted = seeds(default)
    return [wanted[first : first + BLOCK] for first in range(0, len(wanted), BLOCK)]


def named(block: range) -> str:
    return f"{block.start}-{block.stop}"


@pytest.mark.parametrize("block", blocks(420), ids=named)
def test_nothing_committed_is_lost(block: range) -> None:
    """Scenarios 1 to 8, 11 and 33 in any order: what may be lost is told in ledger.py."""
    for seed in block:
        run(seed)


@pytest.mark.parametrize("block", blocks(80), ids=named)
def test_after_unclean_elections_all_replicas_agree(block: range) -> None:
    for seed in block:
        run(seed, UncleanSimulation)


class NoFault(Simulation):
    """Scenario 34: a cluster that nothing happens to."""

    TROUBLE_MAKERS = 1
    FAULTS: ClassVar[dict[str, int]] = {"flush": 1, "checkpoint": 1}


def test_a_healthy_cluster_loses_nothing() -> None:
    for seed in seeds(8)[:8]:
        simulation = run(seed, NoFault)
        assert simulation.ledger.losses == 0
        assert all(len(producer.acked) > 3 and not producer.dropped for producer in simulation.producers)


class Reassignments(Simulation):
    """Scenario 11: partitions move all the time under idempotent producers."""

    TROUBLE_MAKERS = 20
    FAULTS: ClassVar[dict[str, int]] = {"reassign": 4, "elect_preferred": 1, "lose_packets": 1}


def test_reassignments_under_an_idempotent_producer() -> None:
    """Scenario 11 (AutoMQ/automq#437, librdkafka#4953): nothing is written twice, nothing is lost."""
    for seed in seeds(8)[:8]:
        simulation = run(seed, Reassignments)
        assert simulation.ledger.losses == 0


def test_a_seed_replays_exactly() -> None:
    first, second = run(3), run(3)
    assert (first.world.events, first.done) == (second.world.events, second.done)
    assert first.seen == second.seen
