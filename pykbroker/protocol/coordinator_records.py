"""Keys and values in __consumer_offsets, __transaction_state and __share_group_state: the key is int16 record type and
body, the value int16 version and body (org.apache.kafka.coordinator.common.runtime.CoordinatorRecordSerde).

`folder` is the coordinator: "group", "transaction" or "share".
"""

from struct import Struct

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.protocol.lookup import persisted_class
from pykbroker.protocol.message import Message
from pykbroker.protocol.primitives import Buffer, read_int16
from pykbroker.protocol.record_types import RECORD_TYPES

# Keys have one schema version each; their first int16 is the record type.
KEY_VERSION = 0
_int16 = Struct(">h")


class UnknownRecordType(MalformedFrame):
    """A record of a newer Kafka. Its loader skips such records with a warning; so may ours."""

    def __init__(self, folder: str, record_type: int) -> None:
        super().__init__(f"unknown {folder} record type {record_type}", 0)
        self.record_type = record_type


def frame_key(key: Message) -> bytes:
    out = bytearray(_int16.pack(key.API_KEY))
    key.encode_into(out, KEY_VERSION)
    return bytes(out)


def frame_value(value: Message, version: int) -> bytes:
    """Raises as Message.encode."""
    out = bytearray(_int16.pack(version))
    value.encode_into(out, version)
    return bytes(out)


def frame_record(key: Message, value: Message | None, version: int) -> tuple[bytes, bytes | None]:
    """Key and value of a record; without a value it is a tombstone. Raises as Message.encode."""
    return frame_key(key), None if value is None else frame_value(value, version)


def parse_key(folder: str, key: Buffer) -> Message:
    """Raises UnknownRecordType, MalformedFrame."""
    record_type, pos = read_int16(key, 0)
    message, pos = persisted_class(folder, _names(folder, record_type)[0]).decode(key, KEY_VERSION, pos)
    return _whole(message, key, pos)


def parse_value(folder: str, key: Message, value: Buffer) -> tuple[Message, int]:
    """(value, its version) of the record with this key. Raises MalformedFrame, for a version without schema too."""
    version, pos = read_int16(value, 0)
    try:
        message, pos = persisted_class(folder, _names(folder, key.API_KEY)[1]).decode(value, version, pos)
    except KafkaError as error:
        raise MalformedFrame(error.message or str(error), 0) from None
    return _whole(message, value, pos), version


def _names(folder: str, record_type: int) -> tuple[str, str]:
    names = RECORD_TYPES[folder].get(record_type)
    if names is None:
        raise UnknownRecordType(folder, record_type)
    return names


def _whole(message: Message, data: Buffer, pos: int) -> Message:
    if pos != len(data):
        raise MalformedFrame(f"{len(data) - pos} bytes left over behind {type(message).__name__}", pos)
    return message
