import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykbroker.controller.leader_election import (
    ONLINE,
    PREFERRED,
    UNCLEAN,
    Assignment,
    Rules,
    partition_change,
)
from pykbroker.metadata.partition_change import merge
from pykbroker.metadata.topics import PartitionImage
from pykbroker.protocol.persisted.metadata.partition_change_record import PartitionChangeRecord
from tests.metadata.history import CALM, uuid

TOPIC = uuid(1)
NODES = (1, 2, 3)
RULES = Rules(metadata_version=30, elr_enabled=True, min_isr=1)


def partition(isr=(1, 2, 3), leader=1, elr=(), last_known=(), recovery=0, replicas=NODES):
    return PartitionImage(
        replicas=replicas,
        directories=tuple(uuid(replica) for replica in replicas),
        isr=isr,
        removing_replicas=(),
        adding_replicas=(),
        leader=leader,
        leader_recovery_state=recovery,
        leader_epoch=5,
        partition_epoch=7,
        elr=elr,
        last_known_elr=last_known,
    )


def change(before, *, isr=None, up=NODES, rules=RULES, unclean=()):
    return partition_change(
        before,
        TOPIC,
        0,
        isr=before.isr if isr is None else isr,
        is_acceptable=lambda replica: replica in up and replica not in unclean,
        rules=rules,
        unclean_shutdown=unclean,
    )


def record(**fields):
    return PartitionChangeRecord(topic_id=TOPIC, partition_id=0, **fields)


ALONE = {"replicas": (1,)}


@pytest.mark.parametrize(
    ("before", "options", "expected"),
    [
        # As the real 4.3.1 wrote them, one broker with min.insync.replicas 1.
        (
            partition((1,), 1, **ALONE),
            {"isr": (), "up": ()},
            record(isr=[], leader=-1, eligible_leader_replicas=[1], last_known_elr=[1]),
        ),
        (
            partition((), -1, elr=(1,), last_known=(1,), **ALONE),
            {"up": (1,)},
            record(isr=[1], leader=1, eligible_leader_replicas=[], last_known_elr=[]),
        ),
        (
            partition((), -1, elr=(1,), last_known=(1,), **ALONE),
            {"unclean": (1,)},
            record(eligible_leader_replicas=[]),
        ),
        (
            partition((), -1, last_known=(1,), **ALONE),
            {"up": (1,)},
            record(isr=[1], leader=1, leader_recovery_state=1, last_known_elr=[]),
        ),
        (partition((1,), 1, **ALONE), {"isr": (), "unclean": (1,)}, record(isr=[], leader=-1, last_known_elr=[1])),
        # Several brokers.
        (partition(), {}, None),
        (partition(), {"isr": (2, 3), "up": (2, 3)}, record(isr=[2, 3], leader=2)),
        (partition(), {"isr": (1, 3)}, record(isr=[1, 3])),
        (partition(leader=-1), {"up": (3,)}, record(leader=3)),
        (partition((2,), 2), {"isr": (2, 1)}, record(isr=[2, 1])),
        (
            partition((1, 2), 1),
            {"isr": (2,), "up": (2,), "rules": RULES._replace(min_isr=2)},
            record(isr=[2], leader=2, eligible_leader_replicas=[1]),
        ),
        (
            partition((2,), 2, elr=(1,)),
            {"isr": (), "up": (), "rules": RULES._replace(min_isr=2)},
            record(isr=[], leader=-1, eligible_leader_replicas=[1, 2], last_known_elr=[2]),
        ),
        (
            partition((), -1, elr=(1, 2), last_known=(2,)),
            {"up": (2, 3), "rules": RULES._replace(min_isr=2)},
            record(isr=[2], leader=2, eligible_leader_replicas=[1], last_known_elr=[]),
        ),
        (
            partition((2,), 2, elr=(1,)),
            {"isr": (2, 3), "rules": RULES._replace(min_isr=2)},
            record(isr=[2, 3], eligible_leader_replicas=[]),
        ),
        # Nobody in sync is there: only an unclean election finds a leader.
        (partition((1,), -1), {"up": (2, 3)}, None),
        (
            partition((1,), -1),
            {"up": (2, 3), "rules": RULES._replace(election=UNCLEAN)},
            record(isr=[2], leader=2, leader_recovery_state=1),
        ),
        (
            partition((1,), -1, recovery=1),
            {"up": (3,), "rules": RULES._replace(election=UNCLEAN)},
            record(isr=[3], leader=3),
        ),
        # The preferred replica takes over only when asked.
        (partition(leader=2), {}, None),
        (partition(leader=2), {"rules": RULES._replace(election=PREFERRED)}, record(leader=1)),
        (partition(leader=2), {"up": (2, 3), "rules": RULES._replace(election=PREFERRED)}, None),
        # Before ELR the last ISR stays.
        (
            partition((1,), 1),
            {"isr": (), "up": (), "rules": RULES._replace(elr_enabled=False)},
            record(leader=-1),
        ),
        (
            partition((2,), 2, elr=(1,)),
            {"rules": RULES._replace(elr_enabled=False)},
            record(eligible_leader_replicas=[]),
        ),
        # Before 3.6 a shrinking ISR needed a new leader epoch.
        (
            partition(),
            {"isr": (1, 3), "rules": Rules(11, False, 1)},
            record(isr=[1, 3], leader=1),
        ),
        (partition((1,), 1), {"isr": (1, 2), "rules": Rules(11, False, 1)}, record(isr=[1, 2])),
    ],
)
def test_known_cases(before, options, expected):
    assert change(before, **options) == expected


def recorded():
    """2,500 random situations with what the PartitionChangeBuilder of Kafka 4.3.1 made of them."""
    path = Path(__file__).parent / "data" / "partition_changes.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def test_the_real_builder_makes_the_same_of_random_situations():
    for case in recorded():
        before = PartitionImage(
            replicas=tuple(case["replicas"]),
            directories=tuple(map(uuid, case["replicas"])),
            isr=tuple(case["isr"]),
            removing_replicas=tuple(case["removing"]),
            adding_replicas=tuple(case["adding"]),
            leader=case["leader"],
            leader_recovery_state=case["recovery"],
            leader_epoch=5,
            partition_epoch=7,
            elr=tuple(case["elr"]),
            last_known_elr=tuple(case["last_known_elr"]),
        )
        assignment = None
        if case["target_replicas"] is not None:
            assignment = Assignment(
                tuple(case["target_replicas"]), tuple(case["target_removing"]), tuple(case["target_adding"])
            )
        found = partition_change(
            before,
            TOPIC,
            0,
            isr=case["target_isr"],
            is_acceptable=case["up"].__contains__,
            rules=Rules(case["metadata_version"], case["elr_enabled"], case["min_isr"], case["election"]),
            unclean_shutdown=case["unclean"],
            assignment=assignment,
            directory_of=uuid,
        )
        change = case["change"]
        if change is not None and "directories" in change:
            change["directories"] = list(map(uuid, change["directories"]))
        assert found == (None if change is None else record(**change)), case


@st.composite
def situations(draw):
    subsets = st.sets(st.sampled_from(NODES)).map(lambda found: tuple(sorted(found)))
    isr = draw(subsets)
    outside = tuple(node for node in NODES if node not in isr)
    elr = tuple(node for node in outside if draw(st.booleans()))
    before = partition(
        isr=isr,
        leader=draw(st.sampled_from([-1, *isr])),
        elr=elr,
        last_known=draw(st.sampled_from([(), (1,), (2,), (1, 2)])),
        recovery=draw(st.integers(0, 1)),
        replicas=tuple(draw(st.permutations(NODES))),
    )
    rules = Rules(
        metadata_version=30,
        elr_enabled=draw(st.booleans()),
        min_isr=draw(st.integers(1, 3)),
        election=draw(st.sampled_from([ONLINE, PREFERRED, UNCLEAN])),
    )
    if not rules.elr_enabled:
        before = before._replace(elr=(), last_known_elr=())
    gone = draw(subsets)
    unclean = draw(subsets)
    return before, rules, gone, unclean, draw(subsets)


@settings(CALM, max_examples=100)
@given(situations())
def test_every_change_keeps_what_must_hold(situation):
    before, rules, gone, unclean, up = situation
    target = tuple(replica for replica in before.isr if replica not in (*gone, *unclean))
    up = tuple(replica for replica in up if replica not in (*gone, *unclean))
    found = change(before, isr=target, up=up, rules=rules, unclean=unclean)
    after = before if found is None else merge(before, found)
    if found is not None:
        assert after._replace(partition_epoch=7, leader_epoch=5) != before or found.leader == before.leader
    is_unclean = found is not None and after.leader_recovery_state == 1 and after.leader != before.leader
    assert after.leader == -1 or after.leader in up
    assert after.leader == -1 or after.leader in after.isr
    assert not set(after.isr) & set(after.elr)
    assert set(after.elr) <= {*before.isr, *before.elr}
    assert not set(after.elr) & set(unclean)
    if len(target) >= rules.min_isr:
        assert after.elr == ()
    if not rules.elr_enabled:
        assert after.elr == ()
        assert after.isr or not before.isr
    if after.leader not in (-1, before.leader) and not is_unclean and before.leader_recovery_state == 0:
        assert after.leader in (*target, *before.elr)
    if before.leader in target and before.leader in up and rules.election != PREFERRED:
        assert after.leader == before.leader
    if rules.election == UNCLEAN and up:
        assert after.leader != -1
    if not before.isr or set(before.isr) & {*target}:
        return
    # Everybody in sync went: with ELR they stay eligible unless they lost data.
    if rules.elr_enabled and after.leader == -1:
        assert set(before.isr) - set(unclean) <= set(after.elr)


@settings(CALM, max_examples=100)
@given(situations())
def test_changes_come_to_rest(situation):
    """As in Kafka an election may leave what the next look clears up, but never go round in circles."""
    before, rules, gone, unclean, up = situation
    up = tuple(replica for replica in up if replica not in (*gone, *unclean))
    target = tuple(replica for replica in before.isr if replica not in (*gone, *unclean))
    for _ in range(4):
        found = change(before, isr=target, up=up, rules=rules, unclean=unclean)
        if found is None:
            return
        before = merge(before, found)
        target = before.isr
    raise AssertionError(before)
