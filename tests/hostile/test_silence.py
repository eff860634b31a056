"""Half a frame and silence: closed when it has been idle for connections.max.idle.ms; time is virtual."""

import struct
from pathlib import Path

import pytest
import trio
import trio.testing

from pykbroker.broker import Broker
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.protocol.apis import ApiKey
from tests.hostile.broker_process import framed, header

IDLE_SECONDS = 600.0
ASK = framed(header(ApiKey.API_VERSIONS, 0))


class VirtualClock:
    def __init__(self, loop: trio.testing.MockClock) -> None:
        self._loop = loop

    def monotonic(self) -> float:
        return self._loop.current_time()

    def wall_ms(self) -> int:
        return 1_700_000_000_000 + round(self._loop.current_time() * 1000)


async def is_closed(stream: trio.SocketStream) -> bool:
    """Whether the broker has hung up; does not wait for it in virtual time."""
    with trio.move_on_after(1.2):
        return await stream.receive_some(1) == b""
    return False


@pytest.mark.parametrize(
    "start", [b"", b"\0", b"\0\0", struct.pack(">i", 1000), struct.pack(">i", 1 << 20) + header(ApiKey.PRODUCE, 9)]
)
async def test_who_says_half_and_no_more_is_closed(
    start: bytes, tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    """scenarios.md section 3, connections: idle close (slowloris)."""
    settings = {"listeners": "PLAINTEXT://127.0.0.1:0", "log.dirs": str(tmp_path / "data")}
    broker = Broker(BrokerConfig(settings), VirtualClock(mock_clock))
    addresses: list[tuple[str, int]] = []
    ready = trio.Event()

    def on_ready(host: str, port: int) -> None:
        addresses.append((host, port))
        ready.set()

    mock_clock.rate = 4.0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(broker.run, on_ready)
        await ready.wait()
        silent, busy = [await trio.open_tcp_stream(*addresses[0]) for _ in range(2)]
        await silent.send_all(start)
        await trio.testing.wait_all_tasks_blocked(0.02)  # until the broker has seen it
        mock_clock.jump(IDLE_SECONDS - 60)
        await busy.send_all(ASK)
        assert await busy.receive_some(10_000)
        mock_clock.jump(40)
        assert not await is_closed(silent)
        mock_clock.jump(20)
        assert await is_closed(silent)
        await busy.send_all(ASK)
        assert await busy.receive_some(10_000)
        for stream in (silent, busy):
            await stream.aclose()
        broker.stop()
