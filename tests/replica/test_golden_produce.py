"""The answers of a real broker to Produce of 710 batches, good and damaged, and the bytes that it stored."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from pykbroker.clock import ManualClock
from pykbroker.handlers.broker import produce
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from pykbroker.record.batch import parse_header
from tests.golden_data import golden_lines
from tests.replica.stand import Stand, context

VERSION = 8
CONFIGS = {
    "default": {},
    "log-append-time": {"message_timestamp_type": "LogAppendTime"},
    "compression-lz4": {"compression_type": "lz4"},
    "compacted": {"cleanup_policy": "compact"},
}


def sent_batches() -> dict[tuple[str, str], str]:
    """The bytes of each vector by file and case; the batches' base offset zeroed as the recording did."""
    vectors = {}
    for line in golden_lines("records/batches.jsonl.gz"):
        case = f"{line['case']}/v{line['magic']}/{line['codec']}"
        vectors["batches", case] = "00" * 8 + line["hex"][16:]
    for line in golden_lines("records/broken.jsonl.gz"):
        vectors["broken", line["case"]] = line["hex"]
    return vectors


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """One for all lines: each takes a topic of its own."""
    stand = Stand(tmp_path_factory.mktemp("golden"))
    stand.clock = ManualClock(wall_ms=1_795_000_000_000)
    stand.replicas.clock = stand.clock
    yield stand
    stand.close()


BATCHES = sent_batches()
LINES = list(golden_lines("records/broker.jsonl.gz"))


def send(stand: Stand, topic: str, records: bytearray) -> PartitionProduceResponse:
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=records)])
    request = ProduceRequest(acks=-1, timeout_ms=1000, topic_data=[data])
    frame = memoryview(request.encode(VERSION))
    ctx = context(ApiKey.PRODUCE, VERSION)
    try:
        answer = produce.handle_frame(stand, ctx, frame, 0)  # type: ignore[arg-type]
    except produce.KafkaError as error:
        response = produce.error_response(request, error, VERSION)
    else:
        assert answer is not None
        response, _ = ProduceResponse.decode(bytes(answer.parts[0]), VERSION)  # type: ignore[arg-type]
    return response.responses[0].partition_responses[0]


def stored(stand: Stand, topic: str) -> bytes:
    log = stand.partition(topic).log
    read = log.read(0, 1 << 30, upper_bound=log.high_watermark, min_one=True)
    return b"".join(os.pread(r.file.fileno(), r.length, r.position) for r in read.segments)


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line['file']}-{line['case']}-{line['topic_config']}")
def test_answers_and_stores_what_kafka_does(stand: Stand, line: dict[str, Any]) -> None:
    topic = f"topic-{len(stand.overrides)}"
    stand.create(topic, **CONFIGS[line["topic_config"]])
    row = send(stand, topic, bytearray.fromhex(BATCHES[line["file"], line["case"]]))
    expected = line["answer"]
    assert row.error_code == expected["error_code"]
    assert row.base_offset == expected["base_offset"]
    assert row.log_start_offset == expected["log_start_offset"]
    append_time = stand.clock.wall_ms() if expected["log_append_time"] == "now" else expected["log_append_time"]
    assert row.log_append_time_ms == append_time
    errors = [[error.batch_index, error.batch_index_error_message is not None] for error in row.record_errors]
    assert errors == expected["record_errors"]
    assert (row.error_message is not None) == expected["has_message"]
    log = stand.partition(topic).log
    if "high_watermark" in line:
        assert (log.high_watermark, log.last_stable_offset) == (line["high_watermark"], line["last_stable_offset"])
    if "stored_hex" in line:
        assert stored(stand, topic).hex() == line["stored_hex"]
    if "stored_attributes" in line:
        assert parse_header(stored(stand, topic)).attributes == line["stored_attributes"]
    if row.error_code:
        assert log.log_end_offset == 0
