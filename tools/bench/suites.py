"""What is measured. A suite takes a broker, puts a load on it and returns figures; targets are those of the project."""

import time
from collections.abc import Callable

from tools.bench import groups, loads
from tools.bench.processes import Broker
from tools.bench.wire import batch_of, produce_frame

Figures = dict[str, float]
# Asked of pykbroker: as ratio to Kafka; where a unit follows, as it is. "≤" for costs, "≥" for speeds.
TARGETS = {
    "start: to the ready line, s": "≤ 0.4 s",
    "start: to the first acknowledged record, s": "≤ 0.5 s",
    "start: idle memory, MB": "≤ 50 MB",
    "start: first group of 10 stable, s": "≤ 0.2",
    "start: first group of 50 stable, s": "≤ 0.2",
    "produce: CPU s/GB": "≤ 1.0",
    "fetch: CPU s/GB": "≤ 1.0",
    "confluent-kafka produces, MB/s": "≥ 1.0",
    "confluent-kafka consumes, MB/s": "≥ 1.0",
    "tiny: requests/s": "≥ 0.7",
    **groups.TARGETS,
}
MEGABYTES = 400
SETTLE = 1.0  # seconds before idle memory is looked at


def start(make: Callable[[], Broker]) -> Figures:
    """A new broker, its first record, its memory when it has nothing to do, its first group; one for a large group."""
    large = make()
    try:
        large_group = groups.first_group(large, 50)
    finally:
        large.stop()
    broker = make()
    try:
        serving = time.monotonic()
        loads.first_record(broker.address)
        acknowledged = broker.ready_seconds + time.monotonic() - serving
        time.sleep(SETTLE)
        idle = broker.memory_mb()
        return {
            "start: to the ready line, s": broker.ready_seconds,
            "start: to the first acknowledged record, s": acknowledged,
            "start: idle memory, MB": idle,
            "start: first group of 10 stable, s": groups.first_group(broker, 10),
            "start: first group of 50 stable, s": large_group,
        }
    finally:
        broker.stop()


def data(broker: Broker) -> Figures:
    """1 kB records in batches of 1 MB by raw sockets, then read back: what the broker spends on each GB."""
    topic = loads.new_topic(broker.address, loads.CONNECTIONS)
    figures: Figures = {}
    for name, load in (("produce", loads.raw_produce), ("fetch", loads.raw_fetch)):
        cpu, own_cpu = broker.cpu_seconds(), time.process_time()
        seconds = load(broker.address, topic, MEGABYTES)
        figures[f"{name}: CPU s/GB"] = (broker.cpu_seconds() - cpu) / MEGABYTES * 1000
        figures[f"{name}: MB/s"] = MEGABYTES / seconds
        figures[f"{name}: load generator busy, %"] = (time.process_time() - own_cpu) / seconds * 100
    return figures


def tiny(broker: Broker, seconds: float = 4, connections: int = 50, partitions: int = 10) -> Figures:
    """One record of ten bytes per request, one request in flight on each of 50 connections."""
    topic = loads.new_topic(broker.address, partitions)
    batch = batch_of(1, 10)
    frames = [produce_frame(topic, partition, batch) for partition in range(partitions)]
    cpu, own_cpu = broker.cpu_seconds(), time.process_time()
    answered, elapsed = loads.tiny_requests(broker.address, frames, connections, seconds)
    return {
        "tiny: requests/s": answered / elapsed,
        "tiny: CPU s per 10,000 requests": (broker.cpu_seconds() - cpu) / answered * 10_000,
        "tiny: load generator busy, %": (time.process_time() - own_cpu) / elapsed * 100,
    }


def clients(broker: Broker, partitions: int = 4) -> Figures:
    """confluent-kafka (librdkafka) produces 1 kB records and reads them back."""
    topic = loads.new_topic(broker.address, partitions)
    produced = loads.confluent_produce(broker.bootstrap, topic, MEGABYTES)
    consumed = loads.confluent_consume(broker.bootstrap, topic, partitions, MEGABYTES)
    return {
        "confluent-kafka produces, MB/s": MEGABYTES / produced,
        "confluent-kafka consumes, MB/s": MEGABYTES / consumed,
    }


LOADS: dict[str, Callable[[Broker], Figures]] = {
    "data": data,
    "clients": clients,
    "tiny": tiny,
    "groups": groups.groups,
}
START = "start"
NAMES = (START, *LOADS)


def measure(suite: str, broker: Broker) -> Figures:
    """One round of a load, with the broker's peak memory."""
    broker.forget_peak()
    figures = LOADS[suite](broker)
    return {**figures, f"{suite}: peak memory, MB": broker.peak_memory_mb()}
