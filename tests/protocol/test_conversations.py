"""Every frame that stock clients, brokers and controllers exchanged decodes and re-encodes to itself."""

from collections import Counter
from typing import Any

import pytest

from pykbroker.errors import KafkaError
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.headers import (
    decode_request_header,
    decode_response_header,
    encode_request_header,
    encode_response_header,
)
from pykbroker.protocol.lookup import request_class, response_class
from pykbroker.protocol.messages.api_versions import ApiVersionsResponse
from tests.golden_data import golden_lines, golden_path

FRAMES = 7731
# The exceptions that the golden README names, and how many frames each concerns.
FRANZ_GO_OPENS_WITH_V5 = ("ApiVersions", 5)
LIBRDKAFKA_SENDS_MORE = ("librdkafka", "Metadata", 13, "request")


def frames(name: str) -> list[dict[str, Any]]:
    """One form for both kinds of recording."""
    found = []
    for line in golden_lines(f"conversations/{name}"):
        if "note" in line:
            continue
        kind = line.get("kind") or ("request" if line["dir"] == ">" else "response")
        found.append({**line, "kind": kind, "version": line.get("version", line.get("ver")), "raw": line["hex"]})
    return found


NAMES = sorted(path.name for path in golden_path("conversations").glob("*.jsonl.gz"))


@pytest.mark.parametrize("name", NAMES)
def test_each_frame_is_itself_again(name: str) -> None:
    exceptions: Counter[str] = Counter()
    for frame in frames(name):
        key, version, raw = frame["key"], frame["version"], bytes.fromhex(frame["raw"])
        if (frame["api"], version) == FRANZ_GO_OPENS_WITH_V5:
            exceptions["version 5"] += 1
            check_unknown_api_versions(frame, raw)
            continue
        out = bytearray()
        if frame["kind"] == "request":
            header = decode_request_header(raw)
            assert (header.api_key, header.api_version) == (key, version)
            message, end = request_class(key).decode(raw, version, header.body_position)
            encode_request_header(out, key, version, header.correlation_id, header.client_id)
        else:
            correlation_id, position = decode_response_header(raw, key, version)
            message, end = response_class(key).decode(raw, version, position)
            encode_response_header(out, key, version, correlation_id)
        message.encode_into(out, version)
        if end != len(raw):
            exceptions["three bytes more"] += 1
            assert (frame.get("client"), frame["api"], version, frame["kind"]) == LIBRDKAFKA_SENDS_MORE
            assert raw[end:] == b"\x01\x00\x00"
            raw = raw[:end]
        assert bytes(out) == raw, f"{name}: {frame['api']} v{version} {frame['kind']}"
    expected = {"franz-go.jsonl.gz": {"version 5": 88}, "librdkafka.jsonl.gz": {"three bytes more": 1}}
    assert exceptions == expected.get(name, {})


def check_unknown_api_versions(frame: dict[str, Any], raw: bytes) -> None:
    """The request has a header we can read and a body nobody knows; the answer is in version 0 with error 35."""
    if frame["kind"] == "request":
        header = decode_request_header(raw)
        assert (header.api_version, header.client_id) == (5, "kgo")
        with pytest.raises(KafkaError) as caught:
            request_class(ApiKey.API_VERSIONS).decode(raw, 5, header.body_position)
        assert caught.value.code == ErrorCode.UNSUPPORTED_VERSION
        return
    correlation_id, position = decode_response_header(raw, ApiKey.API_VERSIONS, 5)
    answer, end = ApiVersionsResponse.decode(raw, 0, position)
    assert (answer.error_code, end) == (ErrorCode.UNSUPPORTED_VERSION, len(raw))
    assert [(row.api_key, row.min_version, row.max_version) for row in answer.api_keys] == [(18, 0, 4)]
    out = bytearray()
    encode_response_header(out, ApiKey.API_VERSIONS, 0, correlation_id)
    answer.encode_into(out, 0)
    assert bytes(out) == raw


def test_there_are_all_frames() -> None:
    assert sum(len(frames(name)) for name in NAMES) == FRAMES
