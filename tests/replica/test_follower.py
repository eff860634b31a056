"""What one answer of the leader makes of a follower's log."""

import errno
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from pykbroker.errors import KafkaError
from pykbroker.log.unified_log import UnifiedLog
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.fetch import EpochEndOffset, PartitionData
from pykbroker.replica.follower import Follower, Outcome
from pykbroker.replica.list_offsets import EARLIEST, LATEST
from pykbroker.replica.partition import Partition
from tests.log.logs import NOW, FailingFiles, batch, open_log
from tests.replica.stand import partition_image

LEADER = 2


class Truncation:
    """UnifiedLog's own, without checkpoints."""

    def truncations(self) -> AbstractContextManager[None]:
        return nullcontext()

    def truncate_to(self, log: UnifiedLog, offset: int) -> bool:
        return log.truncate_to(offset)

    def truncate_fully_and_start_at(self, log: UnifiedLog, offset: int) -> None:
        log.truncate_fully_and_start_at(offset)


class Story:
    """A log with batches of (base offset, records, epoch), followed in leader epoch 9."""

    def __init__(self, folder: Path, *batches: tuple[int, int, int], high_watermark: int = 0) -> None:
        self.files = FailingFiles()
        self.log = open_log(folder / "t-0", files=self.files)
        for base_offset, count, epoch in batches:
            self.log.append_as_follower(records(base_offset, count, epoch), NOW)
        self.log.update_high_watermark(high_watermark)
        image = partition_image(LEADER, 9)._replace(replicas=(LEADER, 1), isr=(LEADER,))
        self.partition = Partition(self.log.topic_partition, image.directories[0], 1, self.log, image)
        self.partition.apply(image)
        self.follower = Follower(self.partition, Truncation())

    def take(self, data: bytearray | bytes = b"", high_watermark: int = 0, **fields: object) -> Outcome:
        fields.setdefault("log_start_offset", 0)
        return self.follower.take(PartitionData(records=data, high_watermark=high_watermark, **fields), NOW)

    def diverge(self, epoch: int, end_offset: int) -> tuple[int, int]:
        """(next offset, last fetched epoch)."""
        assert self.take(diverging_epoch=EpochEndOffset(epoch=epoch, end_offset=end_offset)) is Outcome.GOES_ON
        assert self.follower.fetch_offset == self.log.log_end_offset
        return self.follower.fetch_offset, self.follower.last_fetched_epoch


def records(base_offset: int, count: int = 1, epoch: int = 9) -> bytearray:
    return batch((NOW,) * count, base_offset=base_offset, leader_epoch=epoch)


class TestStoring:
    def test_goes_on_at_the_end_of_the_log(self, tmp_path: Path) -> None:
        story = Story(tmp_path, (0, 3, 4), (3, 2, 6))
        wanted = story.follower.wanted(1000)
        assert wanted == (9, 5, 6, 0, 1000)
        assert story.take(records(5, 2, 9), 6) is Outcome.GOES_ON
        assert story.follower.wanted(1000) == (9, 7, 9, 0, 1000)
        assert (story.log.high_watermark, story.follower.lag) == (6, 0)

    def test_an_empty_answer_moves_the_high_watermark(self, tmp_path: Path) -> None:
        story = Story(tmp_path, (0, 3, 4))
        assert (story.follower.lag, story.follower.is_in_sync) == (None, False)
        story.take(b"", 99)
        assert (story.log.high_watermark, story.follower.lag, story.follower.is_in_sync) == (3, 96, False)
        story.take(b"", 3)
        assert story.follower.is_in_sync

    def test_the_leaders_start_is_taken_over(self, tmp_path: Path) -> None:
        story = Story(tmp_path, (0, 3, 4))
        story.take(b"", 3, log_start_offset=2)
        assert (story.log.log_start_offset, story.follower.wanted(1).log_start_offset) == (2, 2)

    def test_a_corrupt_batch_is_fetched_again(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        story = Story(tmp_path)
        broken = records(0)
        broken[-1] ^= 1
        assert story.take(broken, 1) is Outcome.RETRIED
        assert "Found invalid messages during fetch for partition t-0 offset 0" in caplog.text
        assert (story.follower.fetch_offset, story.log.log_end_offset, story.log.high_watermark) == (0, 0, 0)
        assert story.take(records(0), 1) is Outcome.GOES_ON

    def test_a_leaders_log_that_begins_within_a_batch(self, tmp_path: Path) -> None:
        """DeleteRecords moved its start to 7: what it sends begins at 5, and so does our log."""
        story = Story(tmp_path)
        story.log.truncate_fully_and_start_at(7)
        story.follower = Follower(story.partition, Truncation())
        assert story.take(records(5, 5), 10, log_start_offset=7) is Outcome.GOES_ON
        assert (story.log.log_start_offset, story.log.log_end_offset, story.log.segments[0].base_offset) == (7, 10, 5)

    def test_batches_that_we_have_already(self, tmp_path: Path) -> None:
        story = Story(tmp_path, (0, 3, 4))
        assert story.take(records(2, 5), 7) is Outcome.FAILED
        assert story.log.log_end_offset == 3

    def test_somebody_else_wrote_into_the_log(self, tmp_path: Path) -> None:
        story = Story(tmp_path, (0, 3, 4))
        story.log.append_as_follower(records(3), NOW)
        assert story.take(records(3), 4) is Outcome.FAILED

    def test_a_broken_disk(self, tmp_path: Path) -> None:
        story = Story(tmp_path)
        story.files.failing["pwrite"] = errno.EIO
        assert story.take(records(0), 1) is Outcome.FAILED

    def test_what_nobody_has_foreseen(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Only this partition is given up, as in Kafka; the traceback is for us."""
        story = Story(tmp_path)
        story.partition.listeners.append(lambda _: 1 / 0)
        assert story.take(records(0), 1) is Outcome.FAILED
        assert caplog.records[-1].exc_info is not None

    def test_a_log_without_epochs_keeps_what_is_committed(self, tmp_path: Path) -> None:
        """Nothing in it can be compared with the leader's."""
        story = Story(tmp_path, (0, 3, -1), (3, 2, -1), high_watermark=3)
        assert story.follower.wanted(1) == (9, 3, -1, 0, 1)


class TestDiverging:
    def test_within_an_epoch_that_both_know(self, tmp_path: Path) -> None:
        story = Story(tmp_path, (0, 3, 4), (3, 1, 4), (4, 2, 6))
        assert story.diverge(4, 3) == (3, 4)
        assert story.log.leader_epochs.entries == [(4, 0)]

    def test_ours_of_that_epoch_is_shorter(self, tmp_path: Path) -> None:
        story = Story(tmp_path, (0, 3, 4), (3, 2, 6))
        assert story.diverge(4, 50) == (3, 4)

    def test_an_epoch_that_we_do_not_know(self, tmp_path: Path) -> None:
        """KIP-279: cut to the end of the epoch below, and let the leader compare again."""
        story = Story(tmp_path, (0, 3, 2), (3, 2, 6))
        assert story.diverge(5, 4) == (3, 2)

    def test_an_epoch_before_all_of_ours(self, tmp_path: Path) -> None:
        story = Story(tmp_path, (0, 3, 4), (3, 2, 6))
        assert story.diverge(1, 0) == (0, -1)

    def test_below_the_high_watermark_after_an_unclean_election(self, tmp_path: Path) -> None:
        story = Story(tmp_path, (0, 3, 4), (3, 2, 6), high_watermark=5)
        assert story.diverge(4, 3) == (3, 4)
        assert story.log.high_watermark == 3

    def test_offsets_of_that_answer_do_not_count_yet(self, tmp_path: Path) -> None:
        story = Story(tmp_path, (0, 3, 4), (3, 2, 6), high_watermark=2)
        diverging = EpochEndOffset(epoch=4, end_offset=3)
        story.take(b"", 5, log_start_offset=2, diverging_epoch=diverging)
        assert (story.log.high_watermark, story.log.log_start_offset) == (2, 0)

    def test_a_broken_disk(self, tmp_path: Path) -> None:
        story = Story(tmp_path, (0, 3, 4), (3, 2, 6))
        story.files.failing["truncate"] = errno.EIO
        assert story.take(diverging_epoch=EpochEndOffset(epoch=4, end_offset=3)) is Outcome.FAILED


class TestErrors:
    @pytest.mark.parametrize(
        "code",
        [
            ErrorCode.UNKNOWN_LEADER_EPOCH,
            ErrorCode.NOT_LEADER_OR_FOLLOWER,
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            ErrorCode.UNKNOWN_TOPIC_ID,
            ErrorCode.INCONSISTENT_TOPIC_ID,
            ErrorCode.KAFKA_STORAGE_ERROR,
        ],
    )
    def test_those_that_pass(self, tmp_path: Path, code: int) -> None:
        story = Story(tmp_path)
        assert story.take(error_code=code) is Outcome.RETRIED

    def test_a_later_leader_epoch_comes_with_the_metadata(self, tmp_path: Path) -> None:
        assert Story(tmp_path).take(error_code=ErrorCode.FENCED_LEADER_EPOCH) is Outcome.FENCED


class TestLookingUp:
    def out_of_range(self, tmp_path: Path, *batches: tuple[int, int, int]) -> Story:
        story = Story(tmp_path, *batches)
        assert story.take(error_code=ErrorCode.OFFSET_OUT_OF_RANGE) is Outcome.GOES_ON
        assert (story.follower.lookup, story.follower.is_ready(99.0)) == (LATEST, False)
        return story

    def test_the_leader_ends_before_us(self, tmp_path: Path) -> None:
        story = self.out_of_range(tmp_path, (0, 3, 4), (3, 2, 6))
        assert story.follower.looked_up(3, 0) is Outcome.GOES_ON
        assert story.follower.wanted(1) == (9, 3, 4, 0, 1)
        assert (story.follower.is_ready(99.0), story.follower.lag) == (True, 0)

    def test_the_leader_begins_behind_us(self, tmp_path: Path) -> None:
        story = self.out_of_range(tmp_path, (0, 3, 4))
        assert story.follower.looked_up(90, 0) is Outcome.GOES_ON
        assert story.follower.lookup == EARLIEST
        assert story.follower.looked_up(50, 0) is Outcome.GOES_ON
        assert story.follower.wanted(1) == (9, 50, -1, 50, 1)
        assert (story.log.log_start_offset, story.follower.lag) == (50, 40)

    def test_the_leader_has_what_we_lack_by_now(self, tmp_path: Path) -> None:
        story = self.out_of_range(tmp_path, (0, 3, 4))
        story.follower.looked_up(90, 0)
        story.follower.looked_up(0, 0)
        assert story.follower.wanted(1) == (9, 3, 4, 0, 1)
        assert story.follower.lag == 87

    def test_errors(self, tmp_path: Path) -> None:
        story = self.out_of_range(tmp_path, (0, 3, 4))
        story.follower.looked_up(90, 0)
        assert story.follower.looked_up(-1, ErrorCode.NOT_LEADER_OR_FOLLOWER) is Outcome.RETRIED
        assert story.follower.lookup == LATEST, "both questions again: there may be another leader"
        assert story.follower.looked_up(-1, ErrorCode.FENCED_LEADER_EPOCH) is Outcome.FENCED

    def test_a_broken_disk(self, tmp_path: Path) -> None:
        story = self.out_of_range(tmp_path, (0, 3, 4), (3, 2, 6))
        story.files.failing["truncate"] = errno.EIO
        assert story.follower.looked_up(3, 0) is Outcome.FAILED


def test_a_log_that_cannot_be_cut_back_is_not_followed(tmp_path: Path) -> None:
    story = Story(tmp_path, (0, 3, 4))
    story.log.leader_epochs.clear()
    story.log.update_high_watermark(0)
    story.files.failing["truncate"] = errno.EIO
    with pytest.raises(KafkaError):
        Follower(story.partition, Truncation())
