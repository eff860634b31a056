"""What a crash may leave of a data directory, and somewhat worse, driven by a seed."""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

from pykbroker.record.batch import iterate_frames

# Kafka does not start on a damaged metadata log; a coordinator that forgot an end writes its markers again, later.
SPARED = ("__cluster_metadata", "__transaction_state", "-delete")


def damage(data: Path, random: Random) -> list[str]:
    """Does something to a third of the partitions, and to the checkpoints; what it did."""
    done = []
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        if any(part in folder.name for part in SPARED) or random.random() < 2 / 3:
            continue
        kind = random.choice(KINDS)
        kind(max(folder.glob("*.log")), random)
        done.append(f"{folder.name}: {kind.__name__}")
    for checkpoint in sorted(data.glob("*-checkpoint")):
        if random.random() < 0.3 and not checkpoint.name.startswith("log-start"):
            checkpoint.unlink()
            done.append(f"{checkpoint.name}: gone")
    return done


def cut_short(log: Path, random: Random) -> None:
    size = log.stat().st_size
    with log.open("r+b") as file:
        file.truncate(max(size - random.randint(1, 100), 0))


def hole_before_last(log: Path, random: Random) -> None:
    """A power cut took whole batches of an older segment that nobody had synced yet, and left the newest."""
    if (older := older_than(log)) is not None:
        starts = [position for position, _ in iterate_frames(older.read_bytes())]
        os.truncate(older, random.choice(starts[-3:]))


def torn_before_last(log: Path, random: Random) -> None:
    if (older := older_than(log)) is not None:
        cut_short(older, random)


def older_than(log: Path) -> Path | None:
    return max((path for path in log.parent.glob("*.log") if path < log and path.stat().st_size), default=None)


def zeros_behind(log: Path, random: Random) -> None:
    with log.open("ab") as file:
        file.write(bytes(random.randint(1, 5000)))


def noise_behind(log: Path, random: Random) -> None:
    with log.open("ab") as file:
        file.write(random.randbytes(random.randint(1, 500)))


def flipped_bit(log: Path, random: Random) -> None:
    """In the last batch, or in the one before."""
    content = bytearray(log.read_bytes())
    if content:
        content[-random.randint(1, min(len(content), 150))] ^= 1 << random.randrange(8)
        log.write_bytes(content)


def no_indexes(log: Path, random: Random) -> None:
    for path in log.parent.iterdir():
        if path.name.endswith("index") and random.random() < 0.7:
            path.unlink()


def no_snapshots(log: Path, random: Random) -> None:
    for path in log.parent.glob("*.snapshot"):
        if random.random() < 0.7:
            path.unlink()


def noise_in_indexes(log: Path, random: Random) -> None:
    for suffix in (".index", ".timeindex"):
        log.with_suffix(suffix).write_bytes(random.randbytes(24))


KINDS: tuple[Callable[[Path, Random], None], ...] = (
    cut_short,
    hole_before_last,
    torn_before_last,
    zeros_behind,
    noise_behind,
    flipped_bit,
    no_indexes,
    no_snapshots,
    noise_in_indexes,
)
