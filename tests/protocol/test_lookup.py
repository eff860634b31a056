"""Keys and names → classes, imported on first use; and the tables that are cheap to have."""

import subprocess
import sys

import pytest

from pykbroker.protocol.apis import API_TABLE, ApiKey
from pykbroker.protocol.embedded.voters import VotersRecord
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.lookup import (
    embedded_class,
    error_of,
    message_class,
    persisted_class,
    request_class,
    response_class,
)
from pykbroker.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from pykbroker.protocol.persisted.group.offset_commit import OffsetCommitKey
from pykbroker.protocol.persisted.metadata.partition_record import PartitionRecord


def test_classes() -> None:
    assert request_class(ApiKey.HEARTBEAT) is HeartbeatRequest
    assert response_class(12) is HeartbeatResponse
    assert persisted_class("metadata", "PartitionRecord") is PartitionRecord
    assert persisted_class("group", "OffsetCommitKey") is OffsetCommitKey
    assert embedded_class("VotersRecord") is VotersRecord
    assert message_class("VotersRecord") is VotersRecord
    assert message_class("OffsetCommitKey") is OffsetCommitKey


def test_every_api_has_its_classes() -> None:
    for key in API_TABLE:
        assert request_class(key).API_KEY == response_class(key).API_KEY == key


@pytest.mark.parametrize("name", ["Nonsense", "HeartbeatRequest"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(KeyError):
        message_class(name)


def test_unknown_keys() -> None:
    for key in (4, 7, 999, -1):
        with pytest.raises(KeyError):
            request_class(key)


def test_looking_up_imports_one_message_and_nothing_heavy() -> None:
    """Start-up budget: in a fresh interpreter."""
    code = (
        "import sys; from pykbroker.protocol.lookup import request_class; request_class(12);"
        "names = [n for n in sys.modules if n.startswith('pykbroker.protocol.')];"
        "print(*sorted(n.removeprefix('pykbroker.protocol.') for n in names));"
        "print(*[n for n in ('dataclasses', 'asyncio', 'inspect', 'json', 'ssl', 'trio') if n in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules, heavy = ran.stdout.split("\n")[:2]
    assert [name for name in modules.split() if name.startswith("messages.")] == ["messages.heartbeat"]
    assert heavy == ""


def test_errors_of_a_later_kafka() -> None:
    assert error_of(6) is ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert error_of(-1) is error_of(9999) is ErrorCode.UNKNOWN_SERVER_ERROR
