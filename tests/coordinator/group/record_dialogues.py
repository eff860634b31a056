"""Records what a real broker answers: python -m tests.coordinator.group.record_dialogues HOST:PORT [DIALOGUE...]"""

import gzip
import json
import sys
import time
from pathlib import Path

import trio

from pykbroker.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from pykbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from pykbroker.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from tests.coordinator.group import consumer_dialogues, streams_dialogues  # noqa: F401 - make more of them
from tests.coordinator.group.dialogues import DIALOGUES, TOPICS
from tests.coordinator.group.speakers import RemoteSpeaker

ANSWERS = Path(__file__).with_name("answers.json.gz")
SETTLE = 0.15


async def record(host: str, port: int, names: list[str]) -> dict[str, object]:
    admin = RemoteSpeaker(host, port, "", {}, SETTLE)
    topics = [CreatableTopic(name=name, num_partitions=count, replication_factor=1) for name, count in TOPICS.items()]
    await admin.call("admin", CreateTopicsRequest(topics=topics, timeout_ms=10_000), 7)
    rows = await admin.call("admin", MetadataRequest(topics=[MetadataRequestTopic(name=name) for name in TOPICS]), 12)
    topic_ids = {row.name: row.topic_id for row in rows.topics}
    # The first look-up makes the topic, in which groups are stored.
    while (await admin.call("admin", FindCoordinatorRequest(key="g"), 3)).error_code:  # noqa: ASYNC110 - a broker away
        await trio.sleep(1)
    await trio.sleep(1)
    recorded: dict[str, object] = {}
    for name in names:
        speaker = RemoteSpeaker(host, port, f"{name}-{time.time_ns():x}", topic_ids, SETTLE)
        await DIALOGUES[name](speaker)
        await speaker.aclose()
        recorded[name] = speaker.lines
        print(name, len(speaker.lines), file=sys.stderr)
    await admin.aclose()
    return recorded


def main() -> None:
    host, _, port = sys.argv[1].partition(":")
    known = json.loads(gzip.decompress(ANSWERS.read_bytes())) if ANSWERS.exists() else {}
    known.update(trio.run(record, host, int(port), sys.argv[2:] or list(DIALOGUES)))
    ANSWERS.write_bytes(gzip.compress(json.dumps(known, indent=0).encode(), mtime=0))


if __name__ == "__main__":
    main()
