"""What `pykbroker cluster status` shows: each broker's process, what it leads, which copies it lacks."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pykbroker.console.supervisor import LIVING, Child

if TYPE_CHECKING:
    from pykbroker.metadata.image import MetadataImage

Row = dict[str, Any]
COLUMNS = ("broker", "address", "pid", "state", "leaders", "replicas", "behind", "memory")


class PartitionCounts:
    """By broker: partitions that it leads, that it has a copy of, and of those where its copy is not in the ISR."""

    def __init__(self, image: "MetadataImage") -> None:
        self.leaders: dict[int, int] = {}
        self.replicas: dict[int, int] = {}
        self.behind: dict[int, int] = {}
        self.total = self.under_replicated = self.leaderless = 0
        for topic in image.topics:
            for partition in topic.partitions.values():
                self._add(partition.leader, partition.replicas, partition.isr)

    def _add(self, leader: int, replicas: tuple[int, ...], isr: tuple[int, ...]) -> None:
        self.total += 1
        self.under_replicated += len(isr) < len(replicas)
        self.leaderless += leader < 0
        self.leaders[leader] = self.leaders.get(leader, 0) + 1
        for replica in replicas:
            self.replicas[replica] = self.replicas.get(replica, 0) + 1
            if replica not in isr:
                self.behind[replica] = self.behind.get(replica, 0) + 1


def status(children: Iterable[Child], image: "MetadataImage", console_pid: int) -> Row:
    """As JSON. `memory` is resident bytes, 0 for a process that is gone."""
    counts = PartitionCounts(image)
    return {
        "cluster_id": image.cluster_id,
        "console": {"pid": console_pid, "memory": resident_bytes(console_pid)},
        "brokers": [_row(child, image, counts) for child in children],
        "partitions": counts.total,
        "under_replicated": counts.under_replicated,
        "leaderless": counts.leaderless,
    }


def _row(child: Child, image: "MetadataImage", counts: PartitionCounts) -> Row:
    number, is_alive = child.number, child.state in LIVING
    broker = image.brokers.get(number)
    return {
        "broker": number,
        "address": child.address,
        "pid": child.pid if is_alive else 0,
        "state": child.state.value,
        "how": child.how,
        "fenced": broker is None or broker.fenced,
        "leaders": counts.leaders.get(number, 0),
        "replicas": counts.replicas.get(number, 0),
        "behind": counts.behind.get(number, 0),
        "memory": resident_bytes(child.pid) if is_alive else 0,
    }


def resident_bytes(pid: int) -> int:
    """0 for a process that is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            lines = (line.split() for line in file if line.startswith("VmRSS:"))
            return next((int(fields[1]) * 1024 for fields in lines), 0)
    except OSError:
        return 0


def as_text(shown: Row) -> list[str]:
    """For a person: one line per broker, then the whole."""
    rows = [COLUMNS, *(_cells(row) for row in shown["brokers"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    healthy = not shown["under_replicated"] and not shown["leaderless"]
    state = "all in sync" if healthy else (
        f"{shown['under_replicated']} with copies missing from the ISR, {shown['leaderless']} without a leader"
    )  # fmt: skip
    console = shown["console"]
    return [
        *lines,
        f"{shown['partitions']} partitions: {state}",
        f"controller: pid {console['pid']}, {_size(console['memory'])}; cluster {shown['cluster_id']}",
    ]


def _cells(row: Row) -> tuple[str, ...]:
    state = row["state"]
    if state == "serving" and row["fenced"]:
        state = "fenced"
    if state == "died" and row["how"]:
        state = f"died ({row['how']})"
    numbers = (str(row["leaders"]), str(row["replicas"]), str(row["behind"]))
    return (str(row["broker"]), row["address"] or "-", str(row["pid"] or "-"), state, *numbers, _size(row["memory"]))


def _size(count: int) -> str:
    return f"{count / (1 << 20):.0f} MiB" if count else "-"
