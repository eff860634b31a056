"""Headers, the fast way: the same as the generated classes on the golden lines, and Kafka's choice of versions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pykbroker.errors import MalformedFrame
from pykbroker.protocol import headers
from pykbroker.protocol.apis import API_TABLE, ApiKey
from pykbroker.protocol.embedded.headers import RequestHeader, ResponseHeader
from tests.golden_data import golden_lines


def test_golden_lines_agree_with_the_fast_way() -> None:
    checked = 0
    for line in golden_lines("wire/headers.jsonl.gz"):
        raw = bytes.fromhex(line["hex"])
        if line["message"] == "ResponseHeader":
            key, version = (ApiKey.HEARTBEAT, 4) if line["version"] == 1 else (ApiKey.HEARTBEAT, 0)
            header, _ = ResponseHeader.decode(raw, line["version"])
            assert headers.decode_response_header(raw, key, version) == (header.correlation_id, len(raw))
            checked += 1
            continue
        request, _ = RequestHeader.decode(raw, line["version"])
        api = API_TABLE.get(request.request_api_key)
        if api is None or api.request_header_version(request.request_api_version) != line["version"]:
            continue
        found = headers.decode_request_header(raw)
        assert found == (
            request.request_api_key,
            request.request_api_version,
            request.correlation_id,
            request.client_id,
            line["version"],
            len(raw),
        )
        checked += 1
    assert checked > 20


@given(
    st.sampled_from(sorted(API_TABLE)),
    st.data(),
    st.integers(-(2**31), 2**31 - 1),
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
)
def test_round_trip(key: int, data: st.DataObject, correlation_id: int, client_id: str | None) -> None:
    api = API_TABLE[key]
    version = data.draw(st.integers(api.min_version, api.latest_version))
    out = bytearray(b"\x00\x00\x00\x00")
    headers.encode_request_header(out, key, version, correlation_id, client_id)
    header = headers.decode_request_header(memoryview(out), 4)
    header_version = api.request_header_version(version)
    assert header == (key, version, correlation_id, client_id, header_version, len(out))
    generated, end = RequestHeader.decode(out, header_version, 4)
    assert (generated.client_id, end) == (client_id, len(out))
    for cut in range(4, len(out)):
        with pytest.raises(MalformedFrame):
            headers.decode_request_header(bytes(out[:cut]), 4)
    out = bytearray()
    headers.encode_response_header(out, key, version, correlation_id)
    assert headers.decode_response_header(out, key, version) == (correlation_id, len(out))
    with pytest.raises(MalformedFrame):
        headers.decode_response_header(bytes(out[:-1]), key, version)


def test_api_versions_is_always_answered_with_header_0() -> None:
    for version in (0, 3, 4, 5, 99):
        out = bytearray()
        headers.encode_response_header(out, ApiKey.API_VERSIONS, version, 7)
        assert out == b"\x00\x00\x00\x07"
    assert API_TABLE[ApiKey.API_VERSIONS].request_header_version(99) == 2


def test_unknown_tagged_fields_are_skipped() -> None:
    raw = bytes.fromhex("000c0004" + "00000001" + "0001" + "61" + "01050378797a" + "ff")
    header = headers.decode_request_header(raw)
    assert (header.client_id, raw[header.body_position :]) == ("a", b"\xff")


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "000c000000000001ff",
        "7fff0000000000010000",  # an API that nobody knows
        "00040000000000010000",  # LeaderAndIsr: a key without versions
        "000c00000000000100ff61",  # a client id longer than the frame
        "000c0000000000010002c328",  # not UTF-8
        "000c00040000000100016101050a78",  # a tagged field longer than the frame
    ],
)
def test_damaged(raw: str) -> None:
    with pytest.raises(MalformedFrame):
        headers.decode_request_header(bytes.fromhex(raw))
