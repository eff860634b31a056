"""Request header v1-2 and response header v0-1, the fast way; embedded/headers.py holds the same as generated classes.

Which version belongs to which request: ApiKeys.requestHeaderVersion, KIP-482. The client id is never compact.
"""

from struct import Struct, error
from typing import NamedTuple

from pykbroker.errors import MalformedFrame
from pykbroker.protocol.apis import API_TABLE
from pykbroker.protocol.arrays import read_tags
from pykbroker.protocol.primitives import Buffer, write_nullable_string

_FIXED = Struct(">hhih")
_PREFIX = Struct(">hhi").pack
_CORRELATION = Struct(">i").pack


class RequestHeader(NamedTuple):
    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    header_version: int
    body_position: int


def decode_request_header(buf: Buffer, pos: int = 0) -> RequestHeader:
    """Raises MalformedFrame, for an API key without versions too: nobody knows where its header ends."""
    try:
        api_key, api_version, correlation_id, length = _FIXED.unpack_from(buf, pos)
    except error:
        raise MalformedFrame("a request header needs 10 bytes", pos) from None
    api = API_TABLE.get(api_key)
    if api is None:
        raise MalformedFrame(f"unknown API key {api_key}", pos)
    pos += 10
    client_id = None
    if length >= 0:
        end = pos + length
        if end > len(buf):
            raise MalformedFrame(f"client id of {length} bytes runs over the end", pos)
        try:
            client_id = str(buf[pos:end], "utf-8")
        except UnicodeDecodeError:
            raise MalformedFrame("the client id is not UTF-8", pos) from None
        pos = end
    version = api.request_header_version(api_version)
    if version == 2:
        if pos < len(buf) and buf[pos] == 0:
            pos += 1
        else:
            _, pos = read_tags(buf, pos)
    return RequestHeader(api_key, api_version, correlation_id, client_id, version, pos)


def encode_request_header(
    out: bytearray, api_key: int, api_version: int, correlation_id: int, client_id: str | None
) -> None:
    """Append the header of this request; no length prefix. Raises KeyError for a key without versions."""
    out += _PREFIX(api_key, api_version, correlation_id)
    write_nullable_string(out, client_id)
    if API_TABLE[api_key].request_header_version(api_version) == 2:
        out.append(0)


def encode_response_header(out: bytearray, api_key: int, api_version: int, correlation_id: int) -> None:
    """Append the header of this response; no length prefix. Raises KeyError for a key without versions."""
    out += _CORRELATION(correlation_id)
    if API_TABLE[api_key].response_header_version(api_version) == 1:
        out.append(0)


def decode_response_header(buf: Buffer, api_key: int, api_version: int, pos: int = 0) -> tuple[int, int]:
    """(correlation id, position of the body). Raises MalformedFrame; KeyError for a key without versions."""
    if not 0 <= pos <= len(buf) - 4:
        raise MalformedFrame("a response header needs 4 bytes", pos)
    correlation_id = int.from_bytes(buf[pos : pos + 4], "big", signed=True)
    pos += 4
    if API_TABLE[api_key].response_header_version(api_version) == 1:
        _, pos = read_tags(buf, pos)
    return correlation_id, pos
