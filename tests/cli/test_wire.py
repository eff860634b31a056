"""`pykbroker wire decode | encode`: a filter in the form of the golden lines that no bad line stops."""

import io
import json
import subprocess
import sys
from typing import Any

import pytest

from pykbroker.cli import wire
from tests.protocol.vectors import LINES, all_lines

HEARTBEAT = {"api": "Heartbeat", "kind": "request", "version": 4}
BODY = {"groupId": "g", "generationId": 1, "memberId": "m", "groupInstanceId": None}
HEX = "026700000001026d0000"


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, text: str) -> list[Any]:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert wire.run([command]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, line: Any) -> dict[str, Any]:
    text = line if isinstance(line, str) else json.dumps(line)
    (found,) = run(monkeypatch, capsys, command, text + "\n")
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("command", ["decode", "encode"])
def test_all_golden_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str) -> None:
    """What is asked for is taken away first, so that it must be made again; nothing else may change."""
    wanted = list(all_lines())
    made = ("json", "unknown_tags") if command == "decode" else ("hex",)
    asked = [{key: value for key, value in line.items() if key not in made} for line in wanted]
    found = run(monkeypatch, capsys, command, "".join(json.dumps(line) + "\n" for line in asked))
    assert len(found) == LINES
    assert found == wanted


def test_as_a_program() -> None:
    """In a real process, line by line, through a pipe."""
    lines = [json.dumps(line, ensure_ascii=False) for line in list(all_lines())[::40]]
    command = [sys.executable, "-m", "pykbroker", "wire"]
    decoded = subprocess.run(
        [*command, "decode"], input="\n".join(lines), capture_output=True, check=True, encoding="utf-8"
    )
    encoded = subprocess.run(
        [*command, "encode"], input=decoded.stdout, capture_output=True, check=True, encoding="utf-8"
    )
    assert [json.loads(line) for line in encoded.stdout.splitlines()] == [json.loads(line) for line in lines]


def test_it_answers_each_line_at_once() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "pykbroker", "wire", "decode"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as filter_process:
        assert filter_process.stdin is not None
        assert filter_process.stdout is not None
        for text in (json.dumps({**HEARTBEAT, "hex": HEX}), "junk", json.dumps({**HEARTBEAT, "hex": HEX})):
            filter_process.stdin.write(text + "\n")
            filter_process.stdin.flush()
            answer = json.loads(filter_process.stdout.readline())
            assert ("error" in answer) == (text == "junk")
        filter_process.stdin.close()
        assert filter_process.wait() == 0


BAD_LINES = [
    ("", "an empty line"),
    ("   ", "an empty line"),
    ("junk", "not JSON"),
    ("[1]", "not a JSON object"),
    ("[" * 100_000, "nested too deeply"),
    ("{}", "kind is missing"),
    ({"api": "Heartbeat", "version": 4}, "kind is missing"),
    ({"api": "Heartbeat", "kind": "answer", "version": 4}, "kind must be request or response"),
    ({"api": 12, "kind": "request", "version": 4}, "api must be a string"),
    ({"kind": "request", "version": 4}, "api is missing"),
    ({"api": "Nonsense", "kind": "request", "version": 4}, "no message is called 'Nonsense'"),
    ({"api": "LeaderAndIsr", "kind": "request", "version": 4}, "no message is called 'LeaderAndIsr'"),
    ({"message": "Nonsense", "version": 4}, "no message is called 'Nonsense'"),
    ({"message": "PartitionRecord", "type": "data", "version": 0}, "is of type metadata, not 'data'"),
    ({"api": "Heartbeat", "kind": "request"}, "version is missing"),
    ({**HEARTBEAT, "version": "4"}, "version must be an integer"),
    ({**HEARTBEAT, "version": True}, "version must be an integer"),
]


@pytest.mark.parametrize(("line", "says"), BAD_LINES, ids=[f"{says} {i}" for i, (_, says) in enumerate(BAD_LINES)])
@pytest.mark.parametrize("command", ["decode", "encode"])
def test_bad_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, line: Any, says: str
) -> None:
    found = one(monkeypatch, capsys, command, line)
    assert says in found.pop("error")
    if isinstance(line, dict):
        assert found == line  # the keys of the line are kept


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (HEARTBEAT, "hex is missing"),
        ({**HEARTBEAT, "hex": 1}, "hex must be a string"),
        ({**HEARTBEAT, "hex": "0"}, "fromhex"),
        ({**HEARTBEAT, "hex": "zz"}, "fromhex"),
        ({**HEARTBEAT, "hex": HEX, "version": 5}, "HeartbeatRequest has no version 5, only 0 to 4"),
        ({**HEARTBEAT, "hex": HEX[:-2]}, "ends too early at byte 9"),
        ({"api": "Heartbeat", "kind": "response", "version": 0, "hex": "000000"}, "1 bytes left over"),
        ({"message": "ResponseHeader", "type": "header", "version": 0, "hex": "0000000000"}, "1 bytes left over"),
        ({"message": "EndTxnMarker", "version": 0, "hex": "000000000000000000"}, "5 bytes left over"),
    ],
)
def test_what_cannot_be_decoded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: dict[str, Any], says: str
) -> None:
    found = one(monkeypatch, capsys, "decode", line)
    assert says in found.pop("error")
    assert found == line


def test_requests_may_have_bytes_left_over(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    line = {**HEARTBEAT, "hex": HEX + "010000"}
    assert one(monkeypatch, capsys, "decode", line) == {**line, "json": BODY}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, "json is missing"),
        ({"json": []}, "expected an object"),
        ({"json": {**BODY, "memberId": None}}, "memberId must not be null"),
        ({"json": {**BODY, "more": 1}}, "has no more"),
        ({"json": {"groupId": "g"}}, "generationId is missing"),
        ({"json": {**BODY, "groupId": "x" * 32768}}, "over Kafka's limit"),
        ({"json": {**BODY, "groupId": "\ud800"}}, "cannot be encoded"),
        ({"json": BODY, "unknown_tags": {}}, "unknown_tags must be a list"),
        ({"json": BODY, "version": 3, "unknown_tags": [{"tag": 1, "hex": ""}]}, "version 3 of HeartbeatRequest has no"),
        ({"json": BODY, "version": 9}, "HeartbeatRequest has no version 9"),
    ],
)
def test_what_cannot_be_encoded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], changed: dict[str, Any], says: str
) -> None:
    line = {**HEARTBEAT, **changed}
    found = one(monkeypatch, capsys, "encode", line)
    assert says in found.pop("error")
    assert found == line


def test_an_old_error_does_not_stay(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    line = {**HEARTBEAT, "hex": HEX, "error": "of an earlier run", "unknown_tags": [{"tag": 1, "hex": "00"}]}
    assert one(monkeypatch, capsys, "decode", line) == {**HEARTBEAT, "hex": HEX, "json": BODY}


def test_unstable_versions(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    line = next(line for line in all_lines() if line.get("unstable"))
    asked = {key: value for key, value in line.items() if key != "json"}
    assert one(monkeypatch, capsys, "decode", asked) == line


def test_bytes_that_are_no_text_stop_nothing() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "pykbroker", "wire", "decode"],
        input=b'{"x":"\xff\xfe"}\n{"y":"\\ud800"}\n' + json.dumps({**HEARTBEAT, "hex": HEX}).encode() + b"\n",
        capture_output=True,
        check=True,
    )
    first, second, third = (json.loads(line) for line in ran.stdout.splitlines())
    assert "error" in first
    assert second["y"] == "\ud800"
    assert third["json"] == BODY


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["decode", "file"], ["encode", "--fast"]])
def test_misuse(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert wire.run(arguments) == 2
    assert "usage: pykbroker wire" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["decode", "--help"], ["show", "-h"]])
def test_help(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert wire.run(arguments) == 0
    assert "usage: pykbroker wire" in capsys.readouterr().out


def test_the_reader_of_the_output_may_go() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "pykbroker", "wire", "decode"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as filter_process:  # fmt: skip
        assert filter_process.stdin is not None
        assert filter_process.stdout is not None
        assert filter_process.stderr is not None
        filter_process.stdout.close()
        filter_process.stdin.write("{}\n")
        filter_process.stdin.close()
        assert filter_process.wait() == 1
        assert filter_process.stderr.read() == ""
