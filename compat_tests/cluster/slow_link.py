"""A link that takes its time: packets that the router sends into a tun device come back out of it later.

`python -m compat_tests.cluster.slow_link DEVICE SECONDS`, in the router's namespace, until it is terminated: the
device goes with it. No order is changed and nothing is lost.
"""

import fcntl
import os
import select
import struct
import subprocess
import sys
import time
from collections import deque

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_MAX_PACKET = 65536


def open_tun(name: str) -> int:
    """The descriptor of a new device that carries IP packets, one a read and one a write."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    subprocess.run(["ip", "link", "set", name, "txqueuelen", "10000", "up"], check=True)
    return descriptor


def carry(descriptor: int, seconds: float) -> None:
    waiting: deque[tuple[float, bytes]] = deque()
    while True:
        left = waiting[0][0] - time.monotonic() if waiting else None
        select.select([descriptor], [], [], None if left is None else max(left, 0))
        try:
            while True:
                waiting.append((time.monotonic() + seconds, os.read(descriptor, _MAX_PACKET)))
        except BlockingIOError:
            pass
        while waiting and waiting[0][0] <= time.monotonic():
            os.write(descriptor, waiting.popleft()[1])


def main() -> None:
    name, seconds = sys.argv[1:]
    descriptor = open_tun(name)
    print("ready", flush=True)
    carry(descriptor, float(seconds))


if __name__ == "__main__":
    main()
