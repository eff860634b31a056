"""Where the state of share partitions is kept: five questions, in the words of the wire (Persister, KIP-932)."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pykbroker.protocol.messages.delete_share_group_state import (
        DeleteShareGroupStateRequest,
        DeleteShareGroupStateResponse,
    )
    from pykbroker.protocol.messages.initialize_share_group_state import (
        InitializeShareGroupStateRequest,
        InitializeShareGroupStateResponse,
    )
    from pykbroker.protocol.messages.read_share_group_state import (
        ReadShareGroupStateRequest,
        ReadShareGroupStateResponse,
    )
    from pykbroker.protocol.messages.read_share_group_state_summary import (
        ReadShareGroupStateSummaryRequest,
        ReadShareGroupStateSummaryResponse,
    )
    from pykbroker.protocol.messages.write_share_group_state import (
        WriteShareGroupStateRequest,
        WriteShareGroupStateResponse,
    )


class Persister(Protocol):
    """Answers when what it says is committed. Never raises KafkaError: every partition has its own error code.

    Each topic and partition that was asked for is in the response, in any order. Offsets and counts of -1: unknown.
    Errors are FENCED_LEADER_EPOCH, FENCED_STATE_EPOCH, INVALID_REQUEST, UNKNOWN_TOPIC_OR_PARTITION, and those that
    pass by themselves: COORDINATOR_NOT_AVAILABLE, COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR.
    """

    async def initialize_state(
        self, request: "InitializeShareGroupStateRequest"
    ) -> "InitializeShareGroupStateResponse": ...

    async def read_state(self, request: "ReadShareGroupStateRequest") -> "ReadShareGroupStateResponse":
        """For the broker that leads the partition: its leader epoch is remembered, and older ones are fenced."""

    async def write_state(self, request: "WriteShareGroupStateRequest") -> "WriteShareGroupStateResponse": ...

    async def delete_state(self, request: "DeleteShareGroupStateRequest") -> "DeleteShareGroupStateResponse": ...

    async def read_summary(
        self, request: "ReadShareGroupStateSummaryRequest"
    ) -> "ReadShareGroupStateSummaryResponse": ...
