"""What a decision of the controller consists of (ControllerResult)."""

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from pykbroker.protocol.message import Message

T = TypeVar("T")

# More records in one batch are refused with POLICY_VIOLATION (QuorumController.MAX_RECORDS_PER_USER_OP).
MAX_RECORDS_PER_USER_OP = 10_000


class ControllerResult(NamedTuple, Generic[T]):
    """`records` go into the log as one atomic batch, none for a decision without effect; `response` waits for them."""

    records: "list[Message]"
    response: T
