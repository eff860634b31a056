"""Records of the internal topics by name and field, and control records: for a person to read, and to see that they
can be read."""

from collections.abc import Callable

from pykbroker.errors import KafkaError, MalformedFrame
from pykbroker.log.inspection.row import Row
from pykbroker.protocol.coordinator_records import UnknownRecordType, parse_key, parse_value
from pykbroker.protocol.json_form import to_json
from pykbroker.protocol.metadata_records import parse_record
from pykbroker.protocol.schema import schemas
from pykbroker.record.control import ControlType, control_type_of, end_transaction_coordinator_epoch
from pykbroker.record.reader import Record

Decoder = Callable[[Record], Row]
# What a topic's records are; "metadata" is the metadata log and its snapshots.
DECODED_TOPICS = {
    "__cluster_metadata": "metadata",
    "__consumer_offsets": "group",
    "__transaction_state": "transaction",
    "__share_group_state": "share",
}
_CONTROL_MESSAGES = {
    ControlType.LEADER_CHANGE: "LeaderChangeMessage",
    ControlType.SNAPSHOT_HEADER: "SnapshotHeaderRecord",
    ControlType.SNAPSHOT_FOOTER: "SnapshotFooterRecord",
    ControlType.KRAFT_VERSION: "KRaftVersionRecord",
    ControlType.KRAFT_VOTERS: "VotersRecord",
}


def decoder_of(kind: str) -> Decoder:
    """`kind`: a value of DECODED_TOPICS, or anything else for plain keys and values."""
    if kind == "metadata":
        return decode_metadata
    if kind in DECODED_TOPICS.values():
        return lambda record: decode_coordinator(kind, record)
    return decode_plain


def decode_plain(record: Record) -> Row:
    row = {**_shown("key", record.key), **_shown("value", record.value)}
    if record.headers:
        row["headers"] = [{"name": name, **_shown("value", value)} for name, value in record.headers]
    return row


def _shown(name: str, data: bytes | None) -> Row:
    """As text where it is text, else as name_hex."""
    if data is None:
        return {name: None}
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {f"{name}_hex": data.hex()}
    return {name: text} if text.isprintable() else {f"{name}_hex": data.hex()}


def decode_metadata(record: Record) -> Row:
    """Raises MalformedFrame."""
    message, version = parse_record(record.value or b"")
    return {"type": type(message).__name__, "version": version, "data": to_json(message, version)}


def decode_coordinator(folder: str, record: Record) -> Row:
    """A record of a newer Kafka is shown as it is. Raises MalformedFrame."""
    if record.key is None:
        raise MalformedFrame("a coordinator record without key")
    try:
        key = parse_key(folder, record.key)
    except UnknownRecordType as error:
        return {"type": f"unknown record type {error.record_type}", **decode_plain(record)}
    row = {"type": type(key).__name__.removesuffix("Key"), "key": to_json(key, 0)}
    if record.value is None:
        return {**row, "value": None}
    value, version = parse_value(folder, key, record.value)
    return {**row, "version": version, "value": to_json(value, version)}


def decode_control(record: Record) -> Row:
    """Raises KafkaError, MalformedFrame."""
    kind = control_type_of(record.key)
    if kind in (ControlType.COMMIT, ControlType.ABORT):
        epoch = end_transaction_coordinator_epoch(record.value)
        return {"control": ControlType(kind).name, "coordinator_epoch": epoch}
    if kind not in set(ControlType):
        return {"control": f"unknown type {kind}", **decode_plain(record)}
    return {"control": ControlType(kind).name, **_control_message(ControlType(kind), record.value or b"")}


def _control_message(kind: ControlType, value: bytes) -> Row:
    version = int.from_bytes(value[:2], signed=True)
    message, end = schemas()[_CONTROL_MESSAGES[kind]].message_class().decode(value, version)
    if end != len(value):
        raise MalformedFrame(f"{len(value) - end} bytes left over behind {_CONTROL_MESSAGES[kind]}", end)
    return {"version": version, "data": to_json(message, version)}


def told(error: Exception) -> str:
    """A decoder's complaint without the code that clients get."""
    return error.message or str(error) if isinstance(error, KafkaError) else str(error)
