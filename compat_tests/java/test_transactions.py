"""Java's own tools: a transactional producer, kafka-transactions, and kafka-dump-log of what we write."""

import re
from contextlib import closing
from pathlib import Path

import pytest

from compat_tests.brokers import pykbroker
from compat_tests.confluent.test_confluent import create
from compat_tests.java.tools import run
from compat_tests.wire.conftest import SocketAsker
from tests.handlers.transaction_dialogue import begun, stable_offsets

TRANSACTIONS = "org.apache.kafka.tools.TransactionsCommand"


def test_a_transactional_producer(bootstrap: str, topic: str) -> None:
    create(bootstrap, topic, 2)
    output = run(
        "org.apache.kafka.tools.ProducerPerformance",
        "--bootstrap-server", bootstrap, "--topic", topic, "--num-records", "5000", "--record-size", "100",
        "--throughput", "20000", "--transactional-id", f"tx-{topic}", "--transaction-duration-ms", "20",
    )  # fmt: skip
    assert "5000 records sent" in output
    ends = run("org.apache.kafka.tools.GetOffsetShell", "--bootstrap-server", bootstrap, "--topic", topic)
    # Every transaction left a marker in each partition that it wrote to.
    assert sum(int(line.rsplit(":", 1)[1]) for line in ends.splitlines() if line.startswith(topic)) > 5005
    consumed = run(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        "--bootstrap-server", bootstrap, "--topic", topic, "--from-beginning", "--max-messages", "5000",
        "--isolation-level", "read_committed", "--timeout-ms", "20000",
    )  # fmt: skip
    assert "Processed a total of 5000 messages" in consumed


def test_the_tool_for_transactions(bootstrap: str, topic: str) -> None:
    asker = SocketAsker(bootstrap)
    with closing(asker.client):
        created = asker.create(1, topic)
        # On a busy machine four tools take longer than a minute, after which the coordinator itself would abort it.
        producer = begun(asker, f"tx-{topic}", timeout_ms=600_000)
        producer_id, _ = producer.identity
        assert producer.produce(created).error_code == 0

        def tool(*arguments: str) -> str:
            return run(TRANSACTIONS, "--bootstrap-server", bootstrap, *arguments)

        listed = tool("list")
        assert re.search(rf"^{producer.id}\s+\d+\s+{producer_id}\s+Ongoing", listed, re.MULTILINE), listed
        described = tool("describe", "--transactional-id", producer.id)
        assert re.search(rf"{producer.id}\s+{producer_id}\s+0\s+Ongoing\s+600000\s+.*{topic}-0", described), described
        writers = tool("describe-producers", "--topic", topic, "--partition", "0")
        assert re.search(rf"^{producer_id}\s+0\s+-1\s+0\s+\d+\s+0", writers, re.MULTILINE), writers
        tool("abort", "--topic", topic, "--partition", "0", "--start-offset", "0")
        assert stable_offsets(asker, created) == (2, 2, [(producer_id, 0)])


@pytest.mark.own_broker
def test_the_log_of_transactions_is_kafkas(tmp_path: Path, topic: str) -> None:
    with pykbroker(tmp_path / "data", "transaction.state.log.num.partitions=1") as broker:
        asker = SocketAsker(broker.bootstrap)
        with closing(asker.client):
            created = asker.create(1, topic)
            producer = begun(asker, "tx")
            assert producer.produce(created).error_code == 0
            assert producer.end(True) == 0
            producer.at_rest()
    files = [str(path) for path in (tmp_path / "data" / "__transaction_state-0").glob("*.log")]
    dumped = run(
        "org.apache.kafka.tools.DumpLogSegments",
        "--transaction-log-decoder",
        "--deep-iteration",
        "--files",
        ",".join(files),
    )
    assert re.findall(r'"transactionStatus":(\d)', dumped) == ["0", "1", "2", "4"], dumped
    assert topic in dumped
    data = [str(path) for path in (tmp_path / "data" / f"{topic}-0").glob("*.log")]
    markers = run("org.apache.kafka.tools.DumpLogSegments", "--print-data-log", "--files", ",".join(data))
    assert re.search(r"endTxnMarker: COMMIT coordinatorEpoch: 0", markers), markers
