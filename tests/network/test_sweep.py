"""Sweep: idle, gone and blocking connections."""

import struct
from typing import Any

import trio
import trio.testing

from pykbroker.network.memory_budget import PATIENCE
from pykbroker.network.sweep import INTERVAL, Sweep
from tests.network.conftest import serving


def sweep_of(server: Any, max_idle: float | None = None) -> Sweep:
    return Sweep(server.connections, server.shared, max_idle)


async def test_idle_connections_are_closed() -> None:
    async with serving() as server:
        idle, waiting = await server.connect(), await server.connect()
        await idle.stream.send_all(b"\0\0")
        await waiting.send(b"wait")
        await trio.testing.wait_all_tasks_blocked(0.01)
        sweep = sweep_of(server, 10.0)
        sweep.once(trio.current_time() + 9)
        assert len(server.connections) == 2
        sweep.once(trio.current_time() + 11)
        await idle.closed()
        server.release.set()
        assert await waiting.receive() == b"wait"


async def test_who_hung_up_does_not_wait_on() -> None:
    async with serving() as server:
        gone, patient = await server.connect(), await server.connect()
        await gone.send(b"wait", b"and more behind it")
        await patient.send(b"wait")
        await trio.testing.wait_all_tasks_blocked(0.01)
        sweep = sweep_of(server)
        later = trio.current_time() + 2 * INTERVAL
        sweep.once(later)
        assert len(server.connections) == 2
        await gone.stream.aclose()
        await trio.testing.wait_all_tasks_blocked(0.01)
        sweep.once(later)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert len(server.connections) == 1
        server.release.set()
        assert await patient.receive() == b"wait"


async def test_half_a_frame_does_not_block_the_memory_for_ever() -> None:
    async with serving(budget=600_000) as server:
        silent = [await server.connect() for _ in range(3)]
        for client in silent:
            await client.stream.send_all(struct.pack(">i", 100 << 20) + b"x" * 100_000)
            await trio.testing.wait_all_tasks_blocked(0.01)
        honest = await server.connect()
        body = b"h" * 200_000
        async with trio.open_nursery() as nursery:
            nursery.start_soon(honest.send, body)
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert server.shared.budget.waiting
            sweep = sweep_of(server)
            for second in range(5):
                sweep.once(trio.current_time() + PATIENCE + 1 + second)
                await trio.testing.wait_all_tasks_blocked(0.01)
            assert await honest.receive() == body
        assert len(server.connections) >= 1


async def test_it_runs_once_a_second(autojump_clock: trio.testing.MockClock) -> None:
    async with serving() as server:
        with trio.move_on_after(3.5):
            await sweep_of(server, 2.0).run()
        assert server.slow == []
