"""Bytes that are no Kafka frames: the connection is closed with one line that says what came; others go on."""

import socket
import ssl
import struct

import pytest

from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.messages.api_versions import ApiVersionsRequest
from tests.hostile.broker_process import WatchedBroker, framed, header

MAX_FRAME = 104_857_600
LARGEST_CONTROL_REQUEST = 8 * 1024 * 1024


def client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "it speaks HTTP"),
        (b"POST /topics HTTP/1.1\r\n\r\n", "it speaks HTTP"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "it speaks HTTP/2"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "it speaks SSH"),
        (client_hello(), "it speaks TLS"),
        (bytes.fromhex("15030100020246"), "it speaks TLS"),
        (struct.pack(">i", -1_431_655_766), "frame of -1431655766 bytes"),
        (struct.pack(">i", -1), "frame of -1 bytes"),
        (struct.pack(">i", -(2**31)), "frame of -2147483648 bytes"),
        (struct.pack(">i", 2**31 - 1), "frame of 2147483647 bytes"),
        (struct.pack(">i", MAX_FRAME + 1), f"frame of {MAX_FRAME + 1} bytes"),
        (struct.pack(">i", 352_518_912), "it speaks TLS"),  # what an alert looks like
        (b"\0\0\0\0", "frame of 0 bytes is too short"),
        (framed(b"\0\3\0"), "frame of 3 bytes is too short"),
        (bytes(4096), "frame of 0 bytes is too short"),
        (b"\xff" * 4096, "frame of -1 bytes"),
    ],
    ids=lambda value: None if isinstance(value, str) else bytes(value[:8]).hex(),
)
def test_it_is_told_what_it_was(data: bytes, said: str, broker: WatchedBroker) -> None:
    """HTTP and TLS alerts read as frames of 352,518,912 bytes: KIP-498 (KAFKA-4090), segmentio/kafka-go#1439;
    one-way messages of a size of -1431655766: librdkafka#756."""
    assert broker.is_closed_by(data)
    (line,) = broker.log()
    assert "Closed connection from 127.0.0.1" in line
    assert said in line


@pytest.mark.parametrize("key", [-1, 4, 5, 6, 7, 93, 1000, 32767, -32768])
def test_a_large_frame_of_an_unknown_api_is_refused_by_its_first_bytes(key: int, broker: WatchedBroker) -> None:
    """Kafka allocates before it validates: apache/kafka#3359 (KAFKA-5062)."""
    assert broker.is_closed_by(struct.pack(">ih", MAX_FRAME, key) + bytes(70_000))
    (line,) = broker.log()
    assert f"for API key {key}, which is not served" in line


def test_only_requests_with_records_may_be_large(broker: WatchedBroker) -> None:
    size = LARGEST_CONTROL_REQUEST + 1
    assert broker.is_closed_by(struct.pack(">ih", size, ApiKey.METADATA) + bytes(70_000))
    (line,) = broker.log()
    assert f"Metadata request of {size} bytes" in line


@pytest.mark.parametrize("version", [-1, 2, 14, 32767, -32768])
def test_an_unknown_version_ends_the_connection(version: int, broker: WatchedBroker) -> None:
    assert broker.is_closed_by(framed(header(ApiKey.PRODUCE, version) + bytes(50)))
    (line,) = broker.log()
    assert f"Produce v{version}, supported are 3 to 13" in line


@pytest.mark.parametrize("version", [5, 99, 32767])
def test_api_versions_of_an_unknown_version_is_answered(version: int, broker: WatchedBroker) -> None:
    """In version 0, or GUI clients refuse the broker: Bronya0/Kafka-King#100, KIP-511."""
    with broker.client() as client:
        client.socket.sendall(framed(header(ApiKey.API_VERSIONS, version, tags=b"\0") + b"\1\1\0"))
        (size,) = struct.unpack(">i", client._read(4))
        answer = client._read(size)
        assert struct.unpack_from(">ihi", answer) == (7, 35, 1)
        assert client.ask(ApiVersionsRequest(client_software_name="x", client_software_version="1"), 3).error_code == 0
    assert broker.log() == []


@pytest.mark.parametrize("name", ["", " ", "-x", "x-", "ü", "a b", "x" * 1000, "\n"])
def test_a_bad_client_name_is_refused_in_words(name: str, broker: WatchedBroker) -> None:
    """twmb/franz-go commit c06d6408."""
    answer = broker.ask(ApiVersionsRequest(client_software_name=name, client_software_version="1"), 3)
    assert answer.error_code == (0 if name == "x" * 1000 else 42)
    assert broker.log() == []


def test_who_goes_in_the_middle_leaves_nothing(broker: WatchedBroker) -> None:
    descriptors = broker.descriptors()
    for piece in (b"", b"\0", b"\0\0\0", struct.pack(">i", 1000), struct.pack(">i", 1000) + bytes(999)):
        for reset in (False, True):
            with broker.connect() as connection:
                if reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(piece)
    broker.eventually(lambda: broker.descriptors() <= descriptors)
    assert broker.log() == []
