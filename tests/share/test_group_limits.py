"""What the configs of a share group say, next to those of the broker."""

import pytest

from pykbroker.config.broker_config import BrokerConfig
from pykbroker.metadata.image import GROUP_RESOURCE
from pykbroker.share.group_limits import READ_COMMITTED, READ_UNCOMMITTED, GroupLimits, timestamp_of
from pykbroker.share.share_partition import Limits
from tests.config.images import image_of

NOW = 1_700_000_000_000


def limits_of(overrides: dict[str, str], **broker: str) -> GroupLimits:
    config = BrokerConfig({name.replace("_", "."): value for name, value in broker.items()})
    image = image_of({(GROUP_RESOURCE, "group"): overrides})
    return GroupLimits(lambda: config, lambda: image)


def test_a_group_without_configs_has_those_of_the_broker() -> None:
    limits = limits_of({}, group_share_record_lock_duration_ms="20000", group_share_delivery_count_limit="7")
    assert limits.of("group") == Limits(20.0, 7, 2000, True)
    assert limits.isolation_level("group") == READ_UNCOMMITTED
    assert limits.auto_offset_reset("group") == "latest"


def test_a_group_has_its_own_and_others_have_not() -> None:
    limits = limits_of(
        {
            "share.record.lock.duration.ms": "15500",
            "share.delivery.count.limit": "3",
            "share.partition.max.record.locks": "150",
            "share.renew.acknowledge.enable": "false",
            "share.isolation.level": "read_committed",
            "share.auto.offset.reset": "by_duration:PT1H",
        }
    )
    assert limits.of("group") == Limits(15.5, 3, 150, False)
    assert limits.isolation_level("group") == READ_COMMITTED
    assert limits.auto_offset_reset("group") == "by_duration:PT1H"
    assert limits.of("other") == Limits(30.0, 5, 2000, True)
    assert limits.isolation_level("other") == READ_UNCOMMITTED


@pytest.mark.parametrize(("value", "lock_duration"), [("1", 15.0), ("3600000", 60.0)])
def test_what_the_broker_does_not_allow_counts_as_the_nearest_that_it_does(value: str, lock_duration: float) -> None:
    assert limits_of({"share.record.lock.duration.ms": value}).of("group").lock_duration == lock_duration


# Instant.minus(Duration.parse(…)).toEpochMilli() of Java.
@pytest.mark.parametrize(
    ("duration", "timestamp"),
    [
        ("PT0S", NOW),
        ("PT1.001S", 1699999998999),
        ("+PT1H", 1699996400000),
        ("PT1H-30M", 1699998200000),
        ("P+1DT+2H", 1699906400000),
        ("pt0.0005S", 1699999999999),
        ("PT0.0015S", 1699999999998),
    ],
)
def test_a_share_partition_begins_as_long_ago_as_by_duration_says(duration: str, timestamp: int) -> None:
    assert timestamp_of(f"by_duration:{duration}", NOW) == timestamp


def test_each_millisecond_counts() -> None:
    assert all(timestamp_of(f"by_duration:PT{ms / 1000:.3f}S", NOW) == NOW - ms for ms in range(1000, 2000))
