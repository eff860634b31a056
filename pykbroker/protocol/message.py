"""Base classes of the generated messages, and the errors of their encoders."""

from typing import Any, ClassVar, Self

from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode

# Default of list and struct parameters: a fresh one each time. (None would mean null.)
UNSET: Any = object()
new = object.__new__


class Struct:
    """A struct inside a message. A subclass has its fields in `__slots__`."""

    __slots__: tuple[str, ...] = ("unknown_tags",)
    __hash__ = None  # type: ignore[assignment]  # mutable

    # Tagged fields that the schema does not know: [(tag, data)].
    unknown_tags: list[tuple[int, bytes]] | None

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        if (self.unknown_tags or None) != (other.unknown_tags or None):
            return False
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __repr__(self) -> str:
        fields = [f"{name}={getattr(self, name)!r}" for name in self.__slots__]
        if self.unknown_tags:
            fields.append(f"unknown_tags={self.unknown_tags!r}")
        return f"{type(self).__name__}({', '.join(fields)})"


class Message(Struct):
    """A request, a response, a header, a record's key or value, data. API_KEY: of a record, its type; of data, -1."""

    __slots__ = ()
    API_KEY: ClassVar[int] = -1
    MIN_VERSION: ClassVar[int]
    MAX_VERSION: ClassVar[int]
    FLEXIBLE_FROM: ClassVar[int]

    @classmethod
    def decode(cls, buf: bytes | bytearray | memoryview, version: int, pos: int = 0) -> tuple[Self, int]:
        """(message, position behind it). Raises MalformedFrame, or KafkaError UNSUPPORTED_VERSION without a schema."""
        raise NotImplementedError

    def encode(self, version: int) -> bytearray:
        """The bytes of the message in this version; errors as encode_into."""
        out = bytearray()
        self.encode_into(out, version)
        return out

    def encode_into(self, out: bytearray, version: int) -> None:
        """Append to `out`. Raises KafkaError UNSUPPORTED_VERSION when a field that may not be dropped does not exist in
        this version, ValueError when a value does not fit its field (a bug of ours)."""
        raise NotImplementedError


def unsupported_version(message: type[Message], version: int) -> KafkaError:
    known = f"{message.MIN_VERSION} to {message.MAX_VERSION}"
    return KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"{message.__name__} has no version {version}, only {known}")


def unsupported_field(struct: str, name: str, version: int) -> KafkaError:
    return KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"{struct}.{name} is set but does not exist in version {version}")


def unsupported_null(struct: str, name: str, version: int) -> KafkaError:
    return KafkaError(ErrorCode.UNSUPPORTED_VERSION, f"{struct}.{name} is null, which version {version} does not allow")


def unencodable(problem: Exception, message: Message, version: int) -> ValueError:
    return ValueError(f"{type(message).__name__} v{version} cannot be encoded: {problem}")
