"""cluster status, from an image and the processes."""

import os
from typing import Any

from pykbroker.console.status import as_text, resident_bytes, status
from pykbroker.console.supervisor import Child, State
from pykbroker.ids import Uuid
from pykbroker.metadata.delta import MetadataDelta
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord
from pykbroker.protocol.persisted.metadata.register_broker_record import RegisterBrokerRecord
from pykbroker.protocol.persisted.metadata.topic_record import TopicRecord

TOPIC = Uuid.random()
GONE = 2**22 + 1  # above the kernel's highest pid


def image(*partitions: tuple[int, list[int], list[int]]) -> MetadataImage:
    delta = MetadataDelta(MetadataImage.empty("a-cluster"))
    for broker, fenced in ((1, False), (2, True)):
        delta.replay(RegisterBrokerRecord(broker_id=broker, fenced=fenced, incarnation_id=Uuid.random()))
    delta.replay(TopicRecord(name="t", topic_id=TOPIC))
    for index, (leader, replicas, isr) in enumerate(partitions):
        delta.replay(PartitionRecord(partition_id=index, topic_id=TOPIC, leader=leader, replicas=replicas, isr=isr))
    return delta.apply(1, 1)


def children() -> list[Child]:
    made = [Child(number) for number in (1, 2, 3)]
    made[0].state, made[0].pid, made[0].address = State.SERVING, os.getpid(), "localhost:9092"
    made[1].state, made[1].pid, made[1].address = State.SERVING, GONE, "localhost:9093"
    made[2].state, made[2].pid, made[2].how = State.DIED, GONE, "ended by signal 9"
    return made


def shown(*partitions: tuple[int, list[int], list[int]]) -> dict[str, Any]:
    return status(children(), image(*partitions), os.getpid())


def test_what_each_broker_leads_and_lacks() -> None:
    found = shown((1, [1, 2, 3], [1, 2]), (2, [2, 3], [2]), (-1, [3], []))
    assert [(row["leaders"], row["replicas"], row["behind"]) for row in found["brokers"]] == [
        (1, 1, 0),
        (1, 2, 0),
        (0, 3, 3),
    ]
    assert (found["partitions"], found["under_replicated"], found["leaderless"]) == (3, 3, 1)
    assert [row["fenced"] for row in found["brokers"]] == [False, True, True]
    assert found["cluster_id"] == "a-cluster"


def test_for_a_person() -> None:
    lines = as_text(shown((1, [1, 2, 3], [1, 2])))
    assert lines[0].split() == ["broker", "address", "pid", "state", "leaders", "replicas", "behind", "memory"]
    assert lines[1].startswith(f"1       localhost:9092  {os.getpid()}")
    assert "MiB" in lines[1]
    assert "fenced" in lines[2]
    assert "died (ended by signal 9)" in lines[3]
    assert lines[4] == "1 partitions: 1 with copies missing from the ISR, 0 without a leader"
    assert lines[5].endswith("; cluster a-cluster")


def test_all_in_sync() -> None:
    assert as_text(shown((1, [1], [1])))[4] == "1 partitions: all in sync"


def test_memory() -> None:
    assert resident_bytes(os.getpid()) > 10 << 20
    assert resident_bytes(GONE) == 0
