"""Counters as plain ints: incremented where things happen, read by whoever shows them."""


class NetworkMetrics:
    """Totals since start, over all listeners. Kafka: socket-server-metrics."""

    __slots__ = ("connections_closed", "connections_opened", "connections_rejected", "malformed_frames")

    def __init__(self) -> None:
        self.connections_opened = 0
        self.connections_closed = 0
        self.connections_rejected = 0
        self.malformed_frames = 0

    def as_dict(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__}
