import os

from pykbroker.raft.opening import metadata_log_config, open_metadata_log
from tests.raft.logs import PARTITION, WatchedFiles, append, config, names, open_log


def test_a_new_directory_is_formatted_once(tmp_path):
    files = WatchedFiles()
    log = open_log(tmp_path, files=files)
    assert sorted(os.listdir(tmp_path)) == [PARTITION, "bootstrap.checkpoint"]
    assert (tmp_path / PARTITION / "partition.metadata").read_text() == "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ"
    assert files.take()[:3] == ["bootstrap.checkpoint.part", f"{tmp_path.name}/", f"{tmp_path.name}/"]
    before = (tmp_path / "bootstrap.checkpoint").read_bytes()
    log.close()
    open_log(tmp_path, files=files)
    assert files.take() == ["partition.metadata"]  # synced by the close, with all that was never flushed
    assert (tmp_path / "bootstrap.checkpoint").read_bytes() == before


def test_a_bootstrap_of_kafkas_formatter_stays(tmp_path):
    (tmp_path / "bootstrap.checkpoint").write_bytes(b"Kafka's")
    open_log(tmp_path)
    assert (tmp_path / "bootstrap.checkpoint").read_bytes() == b"Kafka's"


def test_the_log_goes_on_where_it_was(tmp_path):
    log = open_log(tmp_path)
    append(log, "a", "b")
    log.close()
    log = open_log(tmp_path)
    assert names(log) == [["a", "b"]]
    assert append(log, "c") == 2


def test_settings_are_those_of_the_metadata_log():
    topic = metadata_log_config(config(metadata_log_segment_bytes=9_000_000, metadata_log_segment_ms=77))
    assert (topic.segment_bytes, topic.segment_ms) == (9_000_000, 77)
    assert (topic.retention_ms, topic.retention_bytes) == (-1, -1)
    assert topic.max_message_bytes == 8 * 1024 * 1024
    assert metadata_log_config(config(internal_metadata_log_segment_bytes=100)).segment_bytes == 100


def test_segments_roll_at_their_size(tmp_path):
    log = open_metadata_log(
        str(tmp_path), files=WatchedFiles(), clock=_clock(), config=config(internal_metadata_log_segment_bytes=300)
    )
    for index in range(10):
        append(log, f"name-{index}")
    segments = sorted(name for name in os.listdir(tmp_path / PARTITION) if name.endswith(".log"))
    assert len(segments) > 3
    log = open_log(tmp_path)
    assert [batch[0] for batch in names(log)] == [f"name-{index}" for index in range(10)]


def _clock():
    from pykbroker.clock import ManualClock

    return ManualClock()
