from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controller.stand import ClusterStand
from tests.handlers.cluster_asker import ClusterAsker


@pytest.fixture
def cluster_stand(tmp_path: Path) -> Iterator[ClusterStand]:
    stand = ClusterStand(tmp_path)
    yield stand
    stand.close()


@pytest.fixture
def cluster(cluster_stand: ClusterStand) -> ClusterAsker:
    return ClusterAsker(cluster_stand)
