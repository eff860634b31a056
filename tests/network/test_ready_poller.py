"""One epoll for all readers: no wake is lost, not even one that comes with the end of the stream."""

import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from pykbroker.network.ready_poller import ReadyPoller, make_poller

Pair = tuple[socket.socket, socket.socket]


@asynccontextmanager
async def running() -> AsyncIterator[ReadyPoller]:
    poller = ReadyPoller()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poller.run)
        yield poller
        nursery.cancel_scope.cancel()
    poller.close()


async def test_a_waiter_wakes_for_bytes(socket_pair: Pair) -> None:
    ours, theirs = socket_pair
    async with running() as poller, trio.open_nursery() as nursery:
        poller.add(ours.fileno())
        nursery.start_soon(poller.wait_readable, ours.fileno())
        await trio.testing.wait_all_tasks_blocked()
        assert nursery.child_tasks
        theirs.send(b"x")


async def test_bytes_that_came_before_the_wait_are_not_forgotten(socket_pair: Pair) -> None:
    ours, theirs = socket_pair
    theirs.send(b"before it is added")
    async with running() as poller:
        poller.add(ours.fileno())
        await poller.wait_readable(ours.fileno())
        assert ours.recv(100) == b"before it is added"
        theirs.send(b"while nobody waits")
        await trio.testing.wait_all_tasks_blocked()
        await poller.wait_readable(ours.fileno())
        assert ours.recv(100) == b"while nobody waits"


async def test_bytes_and_the_end_in_one_wake(socket_pair: Pair) -> None:
    """The reader takes a short read for an empty socket; the end must wake it all the same."""
    ours, theirs = socket_pair
    async with running() as poller:
        poller.add(ours.fileno())
        theirs.send(b"last words")
        theirs.close()
        await poller.wait_readable(ours.fileno())
        assert ours.recv(100) == b"last words"
        with trio.fail_after(5):
            await poller.wait_readable(ours.fileno())
        assert ours.recv(100) == b""


async def test_closing_wakes_the_waiter(socket_pair: Pair) -> None:
    ours, _ = socket_pair
    async with running() as poller:
        poller.add(ours.fileno())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(refused, poller, ours.fileno())
            await trio.testing.wait_all_tasks_blocked()
            poller.forget(ours.fileno())


async def refused(poller: ReadyPoller, fd: int) -> None:
    with pytest.raises(trio.ClosedResourceError):
        await poller.wait_readable(fd)


async def test_a_number_that_is_used_again_starts_afresh(socket_pair: Pair) -> None:
    ours, theirs = socket_pair
    async with running() as poller:
        poller.add(ours.fileno())
        theirs.send(b"old")
        await trio.testing.wait_all_tasks_blocked()
        poller.forget(ours.fileno())
        ours.recv(100)
        poller.add(ours.fileno())
        with trio.move_on_after(0):
            await poller.wait_readable(ours.fileno())
            pytest.fail("woken by what the socket before had")
        theirs.send(b"new")
        await poller.wait_readable(ours.fileno())


async def test_a_cancelled_waiter_leaves_nothing(socket_pair: Pair) -> None:
    ours, theirs = socket_pair
    async with running() as poller:
        poller.add(ours.fileno())
        with trio.move_on_after(0):
            await poller.wait_readable(ours.fileno())
        theirs.send(b"later")
        await trio.testing.wait_all_tasks_blocked()
        await poller.wait_readable(ours.fileno())


async def test_many_wake_in_a_bunch() -> None:
    pairs = [socket.socketpair() for _ in range(300)]
    try:
        async with running() as poller, trio.open_nursery() as nursery:
            for ours, _ in pairs:
                poller.add(ours.fileno())
                nursery.start_soon(poller.wait_readable, ours.fileno())
            await trio.testing.wait_all_tasks_blocked()
            for _, theirs in pairs:
                theirs.send(b"x")
    finally:
        for pair in pairs:
            for one in pair:
                one.close()


def test_there_is_none_without_epoll(monkeypatch: pytest.MonkeyPatch) -> None:
    poller = make_poller()
    assert (poller is not None) == hasattr(select, "epoll")
    if poller is not None:
        poller.close()
    monkeypatch.setattr("pykbroker.network.ready_poller._EVENTS", 0)
    assert make_poller() is None


async def test_bytes_and_the_end_before_anybody_waits(socket_pair: Pair) -> None:
    """Found by five thousand connects and disconnects: the one wake for both came before the connection's task began,
    which read the bytes and never heard of the end."""
    ours, theirs = socket_pair
    theirs.send(b"last words")
    theirs.close()
    async with running() as poller:
        poller.add(ours.fileno())
        await trio.testing.wait_all_tasks_blocked()
        for expected in (b"last words", b""):
            with trio.fail_after(5):
                await poller.wait_readable(ours.fileno())
            assert ours.recv(100) == expected
        poller.forget(ours.fileno())
        assert not poller._ended
