"""The dialogues with the group coordinator over a socket: every answer is the one that Apache Kafka 4.3.1 gave."""

import time
from pathlib import Path

import pytest
import trio

from compat_tests.brokers import pykbroker
from tests.coordinator.group.dialogues import DIALOGUES, SETTINGS
from tests.coordinator.group.record_dialogues import record
from tests.coordinator.group.test_dialogues import ANSWERS

pytestmark = pytest.mark.own_broker


@pytest.mark.timeout(300)
def test_every_dialogue(tmp_path: Path) -> None:
    settings = [f"{key}={value}" for key, value in SETTINGS.items()]
    with pykbroker(tmp_path / "data", *settings) as broker:
        host, _, port = broker.bootstrap.rpartition(":")
        began = time.monotonic()
        answers = trio.run(record, host, int(port), list(DIALOGUES))
        assert time.monotonic() - began < 200
    for name, lines in answers.items():
        assert lines == ANSWERS[name], name
