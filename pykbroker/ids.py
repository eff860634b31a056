"""Names of things: Kafka's Uuid, TopicPartition, TopicIdPartition, Endpoint."""

import base64
import binascii
import os
from typing import NamedTuple, Self


class Uuid(bytes):
    """16 bytes, printed as Kafka does: URL-safe base64 without padding (org.apache.kafka.common.Uuid)."""

    __slots__ = ()

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(self)[:22].decode()

    def __repr__(self) -> str:
        return f"Uuid({self!s})"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Inverse of str(). Raises ValueError unless text is 22 URL-safe base64 characters for 16 bytes."""
        if not text.isascii() or "+" in text or "/" in text:  # b64decode takes the other alphabet as well
            raise ValueError(f"{text!r} is not a Kafka uuid: a character outside of URL-safe base64")
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        except binascii.Error as error:
            raise ValueError(f"{text!r} is not a Kafka uuid: {error}") from None
        if len(raw) != 16:
            raise ValueError(f"{text!r} is not a Kafka uuid: {len(raw)} bytes instead of 16")
        return cls(raw)

    @classmethod
    def random(cls) -> Self:
        """A random (version 4) uuid; never a reserved one, and never one whose text begins with a dash, as in Kafka."""
        while True:
            raw = bytearray(os.urandom(16))
            raw[6] = raw[6] & 0x0F | 0x40
            raw[8] = raw[8] & 0x3F | 0x80
            uuid = cls(raw)
            if not str(uuid).startswith("-"):
                return uuid


ZERO_UUID = Uuid(16)
METADATA_TOPIC_ID = Uuid(15 * b"\0" + b"\1")
# Reserved directory ids (org.apache.kafka.common.DirectoryId).
DIRECTORY_MIGRATING = Uuid(16)
DIRECTORY_UNASSIGNED = Uuid(15 * b"\0" + b"\1")
DIRECTORY_LOST = Uuid(15 * b"\0" + b"\2")


class TopicPartition(NamedTuple):
    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


class TopicIdPartition(NamedTuple):
    topic_id: Uuid
    topic: str
    partition: int

    @property
    def topic_partition(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition} ({self.topic_id})"


class Endpoint(NamedTuple):
    listener: str
    security_protocol: str
    host: str
    port: int
