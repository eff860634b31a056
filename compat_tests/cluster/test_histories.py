"""All kinds of clients on a local cluster while its brokers are killed, paused and stopped; the checker judges."""

import time
from pathlib import Path

import pytest

from compat_tests.cluster.histories import cluster_in, run

pytestmark = pytest.mark.own_broker
EVENTS = 3


@pytest.mark.timeout(300)
def test_no_client_has_seen_what_may_not_be(tmp_path: Path) -> None:
    seed = time.time_ns() % 1_000_000
    print(f"seed {seed}")
    with cluster_in(tmp_path) as cluster:
        one = run(cluster, seed, EVENTS)
    print(one.figures())
    assert one.committed() > EVENTS
