"""All kinds of clients on a local cluster while its brokers are killed, paused and stopped; the checker judges."""

from pathlib import Path

import pytest

from compat_tests.cluster.histories import cluster_in, run

pytestmark = pytest.mark.own_broker
EVENTS = 3
# Others: `python -m compat_tests.cluster.histories`.
SEED = 2


@pytest.mark.timeout(300)
def test_no_client_has_seen_what_may_not_be(tmp_path: Path) -> None:
    with cluster_in(tmp_path) as cluster:
        one = run(cluster, SEED, EVENTS)
    print(one.figures())
    assert one.committed() > EVENTS
