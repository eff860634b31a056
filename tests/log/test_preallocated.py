"""preallocate=true: the active segment's file is as long as it may become, a hole behind the batches."""

from pathlib import Path

from tests.log.logs import append, batch, open_log, read_all


def size_of(directory: Path, base_offset: int) -> int:
    return (directory / f"{base_offset:020d}.log").stat().st_size


def test_the_file_is_long_until_the_segment_is_sealed(tmp_path: Path) -> None:
    directory = tmp_path / "t-0"
    log = open_log(directory, preallocate=True, segment_bytes=1000)
    append(log, batch())
    assert size_of(directory, 0) == 1000
    size = log.active.size
    log.roll(1)
    assert (size_of(directory, 0), size_of(directory, 1)) == (size, 1000)
    append(log, batch())
    log.close()
    assert size_of(directory, 1) == size
    assert len(list(read_all(open_log(directory, preallocate=True)))) == 2


def test_a_killed_broker_leaves_zeros_that_are_cut(tmp_path: Path) -> None:
    """Ours or Kafka's, and also when preallocate was taken back meanwhile."""
    directory = tmp_path / "t-0"
    log = open_log(directory, preallocate=True, segment_bytes=1000)
    for _ in range(3):
        append(log, batch())
    del log
    again = open_log(directory, clean=False)
    assert again.log_end_offset == 3
    assert size_of(directory, 0) == again.active.size
