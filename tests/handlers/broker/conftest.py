from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.handlers.broker.asker import MemoryAsker
from tests.replica.stand import Stand


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    stand = Stand(tmp_path)
    yield stand
    stand.close()


@pytest.fixture
def asker(stand: Stand) -> MemoryAsker:
    return MemoryAsker(stand)
