"""The exceptions that cross layers: Kafka's own errors, frames that are not Kafka's, nodes that do not answer."""


class KafkaError(Exception):
    """Kafka says no. `code` is an ErrorCode (int); `message` is told to the client where the API has room for it."""

    def __init__(self, code: int, message: str | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        name = getattr(self.code, "name", str(self.code))
        return f"{name}: {self.message}" if self.message else name


class MalformedFrame(Exception):
    """Bytes from the wire or from disk that do not follow the schema. `position`: the offset, -1 if unknown."""

    def __init__(self, message: str, position: int = -1) -> None:
        super().__init__(message if position < 0 else f"{message} at byte {position}")
        self.position = position


class NodeUnreachable(Exception):
    """Another node cannot be connected to, has closed the connection, or did not answer in time; whether it has
    executed the request is not known. The text names the node and what happened."""
