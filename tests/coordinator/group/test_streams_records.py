"""The records of streams groups after each dialogue equal those that Apache Kafka 4.3.1 wrote, in its order.

`python -m tests.coordinator.group.test_streams_records DATA_FOLDER` takes them from a broker right after the dialogues
were told to it, before sessions end. Hashes depend on topic ids: only whether there is one is compared. Times and hosts
are left out.
"""

import gzip
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import trio

from pykbroker.clock import SystemClock
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.coordinator.group.service import GroupCoordinatorService
from pykbroker.coordinator.log_records import decode_batches
from pykbroker.coordinator.shard import CoordinatorRecord
from pykbroker.protocol.message import Message, Struct
from tests.coordinator.group import streams_dialogues  # noqa: F401 - makes more of them
from tests.coordinator.group.dialogues import DIALOGUES, SETTINGS
from tests.coordinator.group.speakers import FakeServices, LocalSpeaker
from tests.coordinator.group.test_dialogues import TOPIC_IDS
from tests.coordinator.memory_log import MemoryLog

RECORDS = Path(__file__).with_name("streams_records.json.gz")
NAMES = [name for name in DIALOGUES if name.startswith("streams_")]
PREFIX = re.compile(rf"^({'|'.join(sorted(NAMES, key=len, reverse=True))})-[0-9a-z]+-")
LEFT_OUT = ("unknown_tags", "assignment_timestamp", "client_host")


def plain(value: Any, name: str = "") -> Any:
    if isinstance(value, Struct | Message):
        return {key: plain(getattr(value, key), key) for key in value.__slots__ if key not in LEFT_OUT}
    if isinstance(value, list):
        return [plain(row) for row in value]
    if name == "metadata_hash":
        return bool(value)
    return re.sub(PREFIX.pattern[1:], "PREFIX-", value) if isinstance(value, str) else value


def streams_records(batches: Iterable[bytes]) -> dict[str, list[Any]]:
    """By dialogue as it was told last; those of a group are in the order of the log, groups in that of their names."""
    found: dict[str, dict[str, list[Any]]] = {}
    for batch in batches:
        for entry in decode_batches("group", batch):
            record = entry.content
            if not isinstance(record, CoordinatorRecord) or not type(record.key).__name__.startswith("StreamsGroup"):
                continue
            group_id: str = record.key.group_id  # type: ignore[attr-defined]
            match = PREFIX.match(group_id)
            if match is not None:
                row = [type(record.key).__name__, record.version, plain(record.key), plain(record.value)]
                found.setdefault(match[1], {}).setdefault(group_id, []).append(row)
    return {name: _last(groups) for name, groups in found.items()}


def _last(groups: dict[str, list[Any]]) -> list[Any]:
    last = _told(max(groups))
    return [row for group_id, rows in sorted(groups.items()) if _told(group_id) == last for row in rows]


def _told(group_id: str) -> str:
    match = PREFIX.match(group_id)
    assert match is not None
    return match[0]


@pytest.mark.parametrize("name", NAMES)
async def test_records(name: str) -> None:
    config = BrokerConfig()
    for key, value in SETTINGS.items():
        setattr(config, key.replace(".", "_"), int(value))
    log = MemoryLog()
    service = GroupCoordinatorService(config, SystemClock(), log, image=lambda: broker.image)
    broker = FakeServices(config, service, TOPIC_IDS)
    for partition in range(config.offsets_topic_num_partitions):
        service.on_elected(partition, 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(service.runtime.run)
        await DIALOGUES[name](LocalSpeaker(nursery, broker, f"{name}-0", TOPIC_IDS))
        nursery.cancel_scope.cancel()
    ours = streams_records(batch for batches in log.batches.values() for batch in batches)
    kafkas = json.loads(gzip.decompress(RECORDS.read_bytes()))
    assert len(kafkas) == len(NAMES) - 1  # one dialogue is of refusals only
    for mine, theirs in zip(ours.get(name, []), kafkas.get(name, []), strict=True):
        assert mine == theirs


def main() -> None:
    logs = sorted(Path(sys.argv[1]).glob("__consumer_offsets-*/*.log"))
    records = streams_records(path.read_bytes() for path in logs)
    RECORDS.write_bytes(gzip.compress(json.dumps(records).encode(), mtime=0))
    print({name: len(rows) for name, rows in records.items()}, file=sys.stderr)


if __name__ == "__main__":
    main()
