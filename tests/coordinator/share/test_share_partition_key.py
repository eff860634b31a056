"""Where a share partition's state is: what java.lang.String.hashCode and Utils.abs make of its text."""

import pytest

from pykbroker.coordinator.share.share_partition_key import SharePartitionKey
from pykbroker.ids import Uuid
from pykbroker.protocol.hashes import partition_for_id

TOPIC = Uuid.parse("siUfYwalTFbUkza3RPuuTw")


@pytest.mark.parametrize(
    ("group", "partition", "of_50", "of_10"),
    [
        ("g", 0, 34, 4),
        ("g", 1, 33, 3),
        ("", 0, 41, 1),
        ("a:b", 7, 13, 3),
        ("grüße-📦", 2147483647, 12, 2),
        ("payments.share", 12, 48, 8),
        ("g", -1, 24, 4),
    ],
)
def test_the_partition_of_a_key(group: str, partition: int, of_50: int, of_10: int) -> None:
    key = str(SharePartitionKey(group, TOPIC, partition))
    assert (partition_for_id(key, 50), partition_for_id(key, 10)) == (of_50, of_10)


@pytest.mark.parametrize("group", ["g", "a:b", ":", "g:", " x"])
@pytest.mark.parametrize("partition", [0, -1, 2**31 - 1, -(2**31)])
def test_text_and_back(group: str, partition: int) -> None:
    key = SharePartitionKey(group, TOPIC, partition)
    assert SharePartitionKey.parse(str(key)) == key


def test_the_text_is_normal() -> None:
    assert str(SharePartitionKey.parse(f"g:{TOPIC}==:+007::")) == f"g:{TOPIC}:7"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "g",
        f"g:{TOPIC}",
        f"g:{TOPIC}:",
        f":{TOPIC}:0",
        f" \t:{TOPIC}:0",
        f"g:{TOPIC}=:0",
        f"g:{TOPIC}A:0",
        f"g:{str(TOPIC)[:-1]}:0",
        f"g:{TOPIC}:x",
        f"g:{TOPIC}:2147483648",
        f"g:{TOPIC}:{'9' * 5000}",
    ],
)
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|has no|is not"):
        SharePartitionKey.parse(text)
