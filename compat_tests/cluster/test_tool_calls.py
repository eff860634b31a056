"""Kafka's own tools say of clusters of both kinds what they say of Kafka's alone; refusals are the controller's own.

With PYKBROKER_MIXED=all under each controller, with static and with dynamic voters.
"""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from compat_tests.cluster.mixed import KAFKA, OURS, MixedCluster
from compat_tests.cluster.tool_calls import ONE, TWO, recorded, transcript

pytestmark = [pytest.mark.own_broker, pytest.mark.timeout(600)]
EVERYTHING = os.environ.get("PYKBROKER_MIXED") == "all"
CHOSEN = [(OURS, False), (KAFKA, True)]


@pytest.mark.parametrize(("controller", "dynamic"), [*CHOSEN, (OURS, True), (KAFKA, False)] if EVERYTHING else CHOSEN)
def test_tools_and_refusals(controller: str, dynamic: bool, tmp_path: Path) -> None:
    cluster = MixedCluster(tmp_path, controller, {ONE: KAFKA, TWO: OURS}, dynamic=dynamic)
    with ExitStack() as stack:
        stack.callback(cluster.stop)
        cluster.start()
        said = transcript(cluster)
    assert cluster.complaints() == []
    (tmp_path / "said").write_text(said)
    assert said.splitlines() == recorded(dynamic).read_text().splitlines()
