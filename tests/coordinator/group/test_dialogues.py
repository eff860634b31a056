"""Every answer of the group handlers equals that of Apache Kafka 4.3.1, field by field."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from pykbroker.clock import SystemClock
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.coordinator.group.service import GroupCoordinatorService
from pykbroker.ids import Uuid
from tests.coordinator.group import consumer_dialogues, streams_dialogues  # noqa: F401 - make more of them
from tests.coordinator.group.dialogues import DIALOGUES, SETTINGS, TOPICS
from tests.coordinator.group.speakers import FakeServices, LocalSpeaker
from tests.coordinator.memory_log import MemoryLog

ANSWERS: dict[str, list[dict[str, Any]]] = json.loads(
    gzip.decompress(Path(__file__).with_name("answers.json.gz").read_bytes())
)
TOPIC_IDS = {name: Uuid(15 * b"\1" + bytes([index])) for index, name in enumerate(TOPICS)}


@pytest.mark.parametrize("name", list(DIALOGUES))
async def test_dialogue(name: str) -> None:
    config = BrokerConfig()
    for key, value in SETTINGS.items():
        setattr(config, key.replace(".", "_"), int(value))
    service = GroupCoordinatorService(config, SystemClock(), MemoryLog(), image=lambda: broker.image)
    broker = FakeServices(config, service, TOPIC_IDS)
    for partition in range(config.offsets_topic_num_partitions):
        service.on_elected(partition, 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.runtime.run)
        speaker = LocalSpeaker(nursery, broker, f"{name}-local", TOPIC_IDS)
        await DIALOGUES[name](speaker)
        nursery.cancel_scope.cancel()
    for ours, kafkas in zip(speaker.lines, ANSWERS[name], strict=True):
        assert ours == kafkas
