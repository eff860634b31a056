"""What a cluster says of itself, and waiting until it says what a test expects."""

import subprocess
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from tools.oracle.jars import java

ATTEMPTS = 20


class PartitionState(NamedTuple):
    leader: int
    epoch: int
    isr: frozenset[int]


def partitions(bootstrap: str, topic: str) -> dict[int, PartitionState]:
    (found,) = _ask(bootstrap, lambda admin: admin.describe_topics([topic]))
    return {
        row["partition_index"]: PartitionState(row["leader_id"], row["leader_epoch"], frozenset(row["isr_nodes"]))
        for row in found["partitions"]
    }


def unfenced(bootstrap: str) -> set[int]:
    """The brokers that are alive."""
    cluster = _ask(bootstrap, lambda admin: admin.describe_cluster())
    return {row["broker_id"] for row in cluster["brokers"] if not row.get("is_fenced")}


def _ask(bootstrap: str, question: Callable[[KafkaAdminClient], Any]) -> Any:
    """Whom it asks is the client's choice, and may be a broker that has just died: then it asks anew."""
    for attempt in range(1, ATTEMPTS + 1):
        admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        try:
            return question(admin)
        except KafkaError:
            if attempt == ATTEMPTS:
                raise
            time.sleep(0.5)
        finally:
            admin.close()
    raise AssertionError("unreachable")


def await_true(condition: Callable[[], bool], seconds: float, what: Callable[[], object]) -> float:
    """The seconds it took. Raises AssertionError with `what` there is instead."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            raise AssertionError(f"not within {seconds} s, but: {what()}")
        time.sleep(0.1)
    return time.monotonic() - started


def tool(name: str, *arguments: str) -> str:
    """What one of Kafka's own tools prints. Raises AssertionError when it fails."""
    done = subprocess.run(java(name, *arguments), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{name} {arguments}: {done.stdout}{done.stderr}"
    return done.stdout
