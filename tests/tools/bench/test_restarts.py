"""Every round of the restart suite recovers the same: a copy of what the killed broker left."""

from pathlib import Path

import pytest

from tools.bench import restarts
from tools.bench.processes import Broker


class PlayedBroker(Broker):
    """Notes in its directory what became of it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(1, "127.0.0.1:9", 0.0)
        folder.mkdir(exist_ok=True)
        self.told = folder / "told"
        self.tell("start")

    def tell(self, what: str) -> None:
        with self.told.open("a") as file:
            file.write(what + "\n")

    def memory_mb(self) -> float:
        return 42.0

    def stop(self) -> None:
        self.tell("stop")

    def kill(self) -> None:
        self.tell("kill")


def test_rounds_do_not_change_what_they_recover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    awaited = []
    monkeypatch.setattr(restarts, "SETTLE", 0)
    monkeypatch.setattr(restarts, "new_topic", lambda *_: "topic")
    monkeypatch.setattr(restarts, "write", lambda *_: None)
    monkeypatch.setattr(restarts, "await_record", lambda _, topic, partition: awaited.append((topic, partition)))
    suite = restarts.Restarts(PlayedBroker, tmp_path, partitions=10, megabytes=1)
    assert suite.fill()["restarts: memory after that, MB"] == 42
    for _ in range(2):
        assert set(suite.round()) == set(restarts.TARGETS)
        assert (suite.killed / "told").read_text().split() == ["start", "kill"]
        assert (suite.work / "told").read_text().split() == ["start", "kill", "start", "stop", "start", "stop"]
    assert awaited == [("topic", 0), ("topic", 9)] * 4
