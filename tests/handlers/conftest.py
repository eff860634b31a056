from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controller.stand import ClusterStand
from tests.handlers.cluster_asker import ClusterAsker, ShareAsker


@pytest.fixture
def cluster_stand(tmp_path: Path) -> Iterator[ClusterStand]:
    stand = ClusterStand(tmp_path)
    yield stand
    stand.close()


@pytest.fixture
def cluster(cluster_stand: ClusterStand) -> ClusterAsker:
    return ClusterAsker(cluster_stand)


@pytest.fixture
def coordinated(tmp_path: Path) -> Iterator[ClusterAsker]:
    """With few partitions of the internal topics: the dialogues about transactions and share states."""
    stand = ClusterStand(
        tmp_path,
        offsets_topic_num_partitions="2",
        transaction_state_log_num_partitions="2",
        share_coordinator_state_topic_num_partitions="2",
    )
    yield ClusterAsker(stand)
    stand.close()


@pytest.fixture
def sharing(tmp_path: Path) -> Iterator[ShareAsker]:
    """The dialogues about records of share groups."""
    stand = ClusterStand(tmp_path, share_coordinator_state_topic_num_partitions="1")
    yield ShareAsker(stand)
    stand.close()
