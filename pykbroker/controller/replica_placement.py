"""Where replicas of new partitions go: striped over racks and brokers, unfenced ones first (StripedReplicaPlacer)."""

import random
from collections.abc import Iterable
from typing import NamedTuple

from pykbroker.errors import KafkaError
from pykbroker.metadata.image import BrokerRegistration
from pykbroker.protocol.error_codes import ErrorCode


class UsableBroker(NamedTuple):
    id: int
    rack: str | None
    fenced: bool


def usable_brokers(brokers: Iterable[BrokerRegistration]) -> list[UsableBroker]:
    """Those that may get replicas: not shutting down, with a directory that is not cordoned (KIP-1066).

    One that has shut down is fenced, and may (BrokerHeartbeatManager.touch): it comes back.
    """
    return [
        UsableBroker(b.id, b.rack, b.fenced)
        for b in brokers
        if (b.fenced or not b.in_controlled_shutdown) and has_uncordoned_directory(b)
    ]


def has_uncordoned_directory(broker: BrokerRegistration) -> bool:
    if not broker.directories or broker.cordoned_directories is None:
        return True
    return not set(broker.directories) <= set(broker.cordoned_directories)


def place(
    brokers: Iterable[UsableBroker], partitions: int, replication_factor: int, rng: random.Random
) -> list[list[int]]:
    """Broker ids per partition, the preferred leader first. Raises KafkaError(INVALID_REPLICATION_FACTOR)."""
    racks = _Racks(brokers, rng)
    _check(racks, replication_factor)
    return [racks.place(replication_factor) for _ in range(partitions)]


def _check(racks: "_Racks", replication_factor: int) -> None:
    if replication_factor <= 0:
        raise _refused(f"Invalid replication factor {replication_factor}: the replication factor must be positive.")
    if racks.unfenced == 0:
        raise _refused("All brokers are currently fenced, or have all their log directories cordoned.")
    if replication_factor > racks.total:
        raise _refused(
            f"The target replication factor of {replication_factor} cannot be reached because only "
            f"{racks.total} broker(s) are registered or some brokers have all their log directories cordoned."
        )


def _refused(message: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_REPLICATION_FACTOR, message)


class _Brokers:
    """Brokers of one rack in a ring; each round starts one further on."""

    def __init__(self, ids: list[int], rng: random.Random) -> None:
        self.ids = sorted(ids)
        self._offset = rng.randrange(len(ids)) if ids else 0
        self._index = 0
        self._round = 0

    def next(self, round_number: int) -> int | None:
        if not self.ids:
            return None
        if self._round != round_number:
            self._round = round_number
            self._index = 0
            self._offset = (self._offset + 1) % len(self.ids)
        if self._index >= len(self.ids):
            return None
        broker = self.ids[(self._index + self._offset) % len(self.ids)]
        self._index += 1
        return broker


class _Racks:
    def __init__(self, brokers: Iterable[UsableBroker], rng: random.Random) -> None:
        by_rack: dict[str | None, tuple[list[int], list[int]]] = {}
        for broker in brokers:
            unfenced, fenced = by_rack.setdefault(broker.rack, ([], []))
            (fenced if broker.fenced else unfenced).append(broker.id)
        names = sorted(by_rack, key=lambda rack: rack or "")
        self._racks = [(_Brokers(by_rack[name][0], rng), _Brokers(by_rack[name][1], rng)) for name in names]
        self.unfenced = sum(len(unfenced.ids) for unfenced, _ in self._racks)
        self.total = self.unfenced + sum(len(fenced.ids) for _, fenced in self._racks)
        self._rng = rng
        self._round = 0
        self._offset = rng.randrange(len(names)) if names else 0

    def place(self, replication_factor: int) -> list[int]:
        # A new round for every set of leaders; with one broker there is nothing to vary.
        if self._round == self.unfenced and self.unfenced > 1:
            self._shuffle()
            self._round = 0
        self._offset %= len(self._racks)
        first_rack, leader = self._leader()
        replicas = [leader]
        rack = self._offset
        while len(replicas) < replication_factor:
            broker = None
            if rack == first_rack:
                first_rack = -1  # the leader's rack is passed over once
            else:
                broker = self._next(rack)
            rack = (rack + 1) % len(self._racks)
            if broker is not None:
                replicas.append(broker)
        self._round += 1
        self._offset += 1
        return replicas

    def _leader(self) -> tuple[int, int]:
        rack = self._offset
        while True:
            broker = self._racks[rack][0].next(self._round)
            if broker is not None:
                return rack, broker
            rack = (rack + 1) % len(self._racks)

    def _next(self, rack: int) -> int | None:
        unfenced, fenced = self._racks[rack]
        broker = unfenced.next(self._round)
        return fenced.next(self._round) if broker is None else broker

    def _shuffle(self) -> None:
        self._rng.shuffle(self._racks)
        for unfenced, fenced in self._racks:
            self._rng.shuffle(unfenced.ids)
            self._rng.shuffle(fenced.ids)
