"""How many connections may come: in total, per address, per second. Sans-I/O. ConnectionQuotas; KIP-402, KIP-612."""

from collections.abc import Callable, Mapping

UNLIMITED = 2**31 - 1  # Kafka's default of every one of these limits


class ConnectionLimits:
    """Counts the connections of all listeners. Configs: max.connections, max.connections.per.ip(.overrides),
    max.connection.creation.rate."""

    def __init__(
        self,
        total: int = UNLIMITED,
        per_ip: int = UNLIMITED,
        per_ip_overrides: Mapping[str, int] | None = None,
        creation_rate: int = UNLIMITED,
    ) -> None:
        self._total = total
        self._per_ip = per_ip
        self._overrides = dict(per_ip_overrides or {})
        self._rate = creation_rate
        self._by_ip: dict[str, int] = {}
        self._tokens = float(creation_rate)
        self._tokens_at = 0.0
        self._when_free: list[Callable[[], None]] = []
        self.count = 0

    def change(self, total: int, per_ip: int, per_ip_overrides: Mapping[str, int], creation_rate: int) -> None:
        """Other limits for the connections to come; none is closed that is there."""
        self._total = total
        self._per_ip = per_ip
        self._overrides = dict(per_ip_overrides)
        if creation_rate != self._rate:
            self._rate = creation_rate
            self._tokens = min(self._tokens, float(creation_rate))
        self._wake()

    @property
    def is_full(self) -> bool:
        """No listener accepts before a connection ends: new ones wait in the backlog, as with Kafka."""
        return self.count >= self._total

    def when_free(self, callback: Callable[[], None]) -> None:
        """Calls back once, when the next connection ends."""
        self._when_free.append(callback)

    def pause_before_accepting(self, now: float) -> float:
        """Takes a permit of the creation rate; the seconds to wait before using it."""
        if self._rate >= UNLIMITED:
            return 0.0
        self._tokens = min(self._rate, self._tokens + (now - self._tokens_at) * self._rate)
        self._tokens_at = now
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate)

    def admit(self, ip: str) -> bool:
        """Counts a connection in; False: its address has too many, close it."""
        open_now = self._by_ip.get(ip, 0)
        if open_now >= self._overrides.get(ip, self._per_ip):
            return False
        self._by_ip[ip] = open_now + 1
        self.count += 1
        return True

    def forget(self, ip: str) -> None:
        """Counts a connection out."""
        left = self._by_ip[ip] - 1
        if left:
            self._by_ip[ip] = left
        else:
            del self._by_ip[ip]
        self.count -= 1
        self._wake()

    def _wake(self) -> None:
        if self._when_free:
            callbacks, self._when_free = self._when_free, []
            for callback in callbacks:
                callback()


def parse_overrides(text: str) -> dict[str, int]:
    """ "127.0.0.1:200,host:5" as max.connections.per.ip.overrides has it. Raises ValueError that names the part."""
    overrides: dict[str, int] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        ip, _, number = part.rpartition(":")
        if not ip or not number.strip().isdigit():
            raise ValueError(f"{part!r} is not of the form ip:count")
        overrides[ip.strip()] = int(number)
    return overrides
