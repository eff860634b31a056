"""Values in the metadata log and in the remote log metadata topic: uvarint frame version 1, record type, version, body
(org.apache.kafka.server.common.serialization.AbstractApiMessageSerde)."""

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.protocol.lookup import persisted_class
from pykbroker.protocol.message import Message
from pykbroker.protocol.primitives import Buffer, read_uvarint, write_uvarint
from pykbroker.protocol.record_types import RECORD_TYPES

FRAME_VERSION = 1


def frame_record(message: Message, version: int) -> bytes:
    """The record as it stands in the log. Raises as Message.encode."""
    out = bytearray((FRAME_VERSION,))
    write_uvarint(out, message.API_KEY)
    write_uvarint(out, version)
    message.encode_into(out, version)
    return bytes(out)


def parse_record(value: Buffer, folder: str = "metadata") -> tuple[Message, int]:
    """(record, its version). `folder`: "metadata" or "storage". Raises MalformedFrame for an unknown frame version,
    record type or record version, and for bytes left over: what we do not understand is never skipped."""
    frame_version, pos = read_uvarint(value, 0)
    if frame_version != FRAME_VERSION:
        raise MalformedFrame(f"metadata record of frame version {frame_version}, only {FRAME_VERSION} is known", 0)
    record_type, pos = read_uvarint(value, pos)
    version, pos = read_uvarint(value, pos)
    names = RECORD_TYPES[folder].get(record_type)
    if names is None:
        raise MalformedFrame(f"unknown {folder} record type {record_type}", 1)
    try:
        message, pos = persisted_class(folder, names[1]).decode(value, version, pos)
    except KafkaError as error:
        raise MalformedFrame(error.message or str(error), pos) from None
    if pos != len(value):
        raise MalformedFrame(f"{len(value) - pos} bytes left over behind {names[1]} v{version}", pos)
    return message, version
