"""One directory goes from pykbroker to the real Kafka and back, stopped in order each time; neither misses anything.

And nothing in any file displeases Kafka's own dump tool, or our check.
"""

from pathlib import Path
from typing import Any

import pytest

from compat_tests.disk.dumps import check_dir_complaints, dump_complaints
from compat_tests.disk.handover import asking, data_of, kafka_on, ours_on
from compat_tests.disk.workload import await_compaction, create_everything, everything, write_round
from compat_tests.wire.conftest import SocketAsker

pytestmark = pytest.mark.own_broker


def check_same(asker: SocketAsker, before: dict[str, Any]) -> None:
    now = everything(asker)
    for kind, rows in before.items():
        if not isinstance(rows, dict):
            assert now[kind] == rows, kind
            continue
        assert now[kind].keys() == rows.keys(), kind
        for name, row in rows.items():
            assert now[kind][name] == row, (kind, name)


@pytest.mark.timeout(180)
def test_there_and_back(tmp_path: Path) -> None:
    data = data_of(tmp_path)
    with ours_on(tmp_path) as broker, asking(broker.bootstrap) as asker:
        create_everything(asker)
        write_round(asker, 1)
        await_compaction(asker)
        written = everything(asker)
    assert len(list((data / "codecs-0").glob("*.log"))) > 1
    assert not dump_complaints(data)
    assert not check_dir_complaints(data)
    with kafka_on(tmp_path) as kafka, asking(kafka.bootstrap) as asker:
        check_same(asker, written)
        write_round(asker, 2)
        written = everything(asker)
    assert not check_dir_complaints(data)
    with ours_on(tmp_path) as broker, asking(broker.bootstrap) as asker:
        check_same(asker, written)
        write_round(asker, 3)
        written = everything(asker)
        broker.stop()
        broker.start()
        with asking(broker.bootstrap) as again:
            check_same(again, written)
    assert not dump_complaints(data)
    assert not check_dir_complaints(data)
