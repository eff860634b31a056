"""Lines of a broker's process."""

import json

from pykbroker.console.lines import MAX_LINE, Lines, marked, ready_address


def test_bytes_in_whole_lines_out() -> None:
    lines = Lines()
    assert lines.feed(b"a\nb") == ["a"]
    assert lines.feed(b"c\r\n\nd") == ["bc", ""]
    assert lines.end() == ["d"]
    assert lines.end() == []


def test_an_endless_line_is_cut() -> None:
    lines = Lines()
    assert lines.feed(b"x" * MAX_LINE) == []
    assert lines.feed(b"y") == ["x" * MAX_LINE + "y"]
    assert lines.end() == []


def test_bytes_that_are_no_text() -> None:
    assert Lines().feed(b"\xff\n") == ["\ufffd"]


def test_the_number_stands_in_front_or_inside() -> None:
    assert marked("a line", 2, as_json=False) == "[2] a line"
    assert json.loads(marked('{"level": "info"}', 2, as_json=True)) == {"broker": 2, "level": "info"}
    assert marked("Traceback", 2, as_json=True) == "[2] Traceback"


def test_the_line_that_says_ready() -> None:
    assert ready_address("pykbroker ready: [::1]:9092\n") == "[::1]:9092"
    assert ready_address("pykbroker is ready") is None
