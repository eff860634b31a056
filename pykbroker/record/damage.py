"""What can be wrong with a batch, each with the error code that Kafka's broker answers."""

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode


class CorruptBatch(KafkaError):
    """The batch as a whole is damaged: size, magic or checksum (CorruptRecordException)."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.CORRUPT_MESSAGE, message)


class InvalidRecord(KafkaError):
    """The records contradict their batch or themselves (InvalidRecordException)."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INVALID_RECORD, message)


class Undecompressable(KafkaError):
    """An unknown codec, or compressed data that its codec refuses (KafkaException, IllegalArgumentException).

    `partial` is what came out before the damage.
    """

    def __init__(self, message: str, partial: bytes = b"") -> None:
        super().__init__(ErrorCode.UNKNOWN_SERVER_ERROR, message)
        self.partial = partial


class TooLargeDecompressed(KafkaError):
    """The records would grow over the limit when decompressed; nothing beyond the limit was allocated."""

    def __init__(self, limit: int) -> None:
        super().__init__(ErrorCode.MESSAGE_TOO_LARGE, f"The decompressed records exceed the limit of {limit} bytes")
