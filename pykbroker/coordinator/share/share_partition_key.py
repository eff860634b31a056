"""SharePartitionKey: which share partition, and its text form, by which the share coordinator is found."""

import re
from typing import NamedTuple

from pykbroker.ids import Uuid

_UNPADDED = 22
# Integer.parseInt takes a sign, and nothing around the digits.
_INT32 = re.compile(r"[+-]?[0-9]+")
_LAST_INT32 = 2**31 - 1
# What String.trim takes away.
_BLANK = "".join(map(chr, range(0x21)))


class SharePartitionKey(NamedTuple):
    group_id: str
    topic_id: Uuid
    partition: int

    def __str__(self) -> str:
        """What is hashed (asCoordinatorKey)."""
        return f"{self.group_id}:{self.topic_id}:{self.partition}"

    @classmethod
    def parse(cls, text: str) -> "SharePartitionKey":
        """groupId:topicId:partition; colons in the group id are its own. Raises ValueError."""
        parts = text.split(":")
        while parts and not parts[-1]:  # String.split knows no empty parts at the end
            parts.pop()
        if len(parts) < 3:
            raise ValueError(f"{text!r} is not groupId:topicId:partition")
        group_id = ":".join(parts[:-2])
        if not group_id.strip(_BLANK):
            raise ValueError(f"{text!r} has no group id")
        return cls(group_id, Uuid.parse(_without_padding(parts[-2])), _int32(parts[-1]))


def _without_padding(text: str) -> str:
    """Raises ValueError when it is padded by half."""
    padding = text[_UNPADDED:]
    if padding not in ("", "=="):
        raise ValueError(f"{text!r} is not a Kafka uuid")
    return text[:_UNPADDED]


def _int32(text: str) -> int:
    value = int(text) if _INT32.fullmatch(text) and len(text) <= 32 else _LAST_INT32 + 1
    if not -_LAST_INT32 - 1 <= value <= _LAST_INT32:
        raise ValueError(f"{text!r} is no partition")
    return value
