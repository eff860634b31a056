from math import inf

import pytest

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.replica.follower_progress import FollowerProgress


def fetched(follower: FollowerProgress, offset: int, leader_end: int, now: float, epoch: int = 5) -> None:
    follower.fetched(offset, 0, leader_end, epoch, 5, now)


def test_who_fetches_from_the_end_has_everything() -> None:
    follower = FollowerProgress(2)
    assert (follower.log_end_offset, follower.last_caught_up, follower.broker_epoch) == (-1, -inf, None)
    fetched(follower, 10, 10, 1.0)
    assert (follower.log_end_offset, follower.last_caught_up, follower.broker_epoch) == (10, 1.0, 5)
    fetched(follower, 10, 12, 2.0)
    assert follower.last_caught_up == 1.0


def test_under_a_steady_load_the_end_at_the_fetch_before_counts() -> None:
    follower = FollowerProgress(2)
    for step in range(5):
        fetched(follower, 10 * step, 10 * step + 10, float(step))
    assert follower.last_caught_up == 3.0, "at 4 it had all that there was at 3"


def test_caught_up_is_the_end_or_not_long_ago() -> None:
    follower = FollowerProgress(2)
    fetched(follower, 10, 10, 1.0)
    assert follower.is_caught_up(10, 99.0, 30.0)
    assert follower.is_caught_up(11, 31.0, 30.0)
    assert not follower.is_caught_up(11, 31.1, 30.0)


def test_a_fetch_of_an_earlier_life_says_nothing() -> None:
    follower = FollowerProgress(2)
    fetched(follower, 3, 10, 1.0)
    with pytest.raises(KafkaError) as raised:
        fetched(follower, 9, 10, 2.0, epoch=4)
    assert raised.value.code == ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert (follower.log_end_offset, follower.last_fetch) == (3, 1.0)
    fetched(follower, 4, 10, 3.0, epoch=-1)
    assert follower.log_end_offset == 4, "who tells no epoch is taken as it is"
    follower.fetched(5, 0, 10, 4, None, 4.0)
    assert follower.log_end_offset == 5, "nobody is registered to compare with"


def test_a_new_leader_knows_nothing_and_gives_time() -> None:
    follower = FollowerProgress(2)
    fetched(follower, 10, 10, 1.0)
    follower.reset(20, 5.0, is_new_leader=True, is_in_sync=True)
    assert (follower.log_end_offset, follower.broker_epoch, follower.last_caught_up) == (-1, None, 5.0)
    follower.reset(20, 6.0, is_new_leader=True, is_in_sync=False)
    assert follower.last_caught_up == -inf


def test_the_same_leader_in_a_new_epoch_remembers_how_far_it_is() -> None:
    follower = FollowerProgress(2)
    fetched(follower, 10, 12, 1.0)
    follower.reset(12, 5.0, is_new_leader=False, is_in_sync=False)
    assert (follower.log_end_offset, follower.broker_epoch, follower.last_caught_up) == (10, 5, -inf)
    fetched(follower, 12, 15, 6.0)
    assert follower.last_caught_up == -inf, "not before a fetch of this epoch reached its end"
