"""Java's properties syntax; expectations from the documentation of java.util.Properties.load."""

import pytest

from pykbroker.config.properties import Property, parse_properties


def pairs(text: str) -> list[tuple[str, str]]:
    return [(name, value) for name, value, _ in parse_properties(text)]


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        ("a=b", ("a", "b")),
        ("a = b ", ("a", "b ")),
        ("  a\t:\tb", ("a", "b")),
        ("a b c", ("a", "b c")),
        ("a", ("a", "")),
        ("a=", ("a", "")),
        ("=b", ("", "b")),
        ("a==b", ("a", "=b")),
        ("a = :b", ("a", ":b")),
        ("a   :=b", ("a", "=b")),
        (r"a\ b\=c=d", ("a b=c", "d")),
        (r"a\:b c", ("a:b", "c")),
        (r"a=C:\\dir", ("a", "C:\\dir")),
        (r"a=\t\n\r\f\q", ("a", "\t\n\r\fq")),
        (r"a=\u00e9\u0041", ("a", "éA")),
        ("a=b#c", ("a", "b#c")),
        ("a.b-c_d=e", ("a.b-c_d", "e")),
    ],
)
def test_an_entry(line: str, pair: tuple[str, str]) -> None:
    assert pairs(line) == [pair]


def test_comments_and_blank_lines_are_left_out() -> None:
    assert pairs("# c\n! c\n\n   \n  # c\\\na=1\n") == [("a", "1")]


def test_continued_lines() -> None:
    text = "a=1,\\\n    2,\\\r\n\t3\nb=4\\\\\nc=5\\"
    assert list(parse_properties(text)) == [Property("a", "1,2,3", 1), Property("b", "4\\", 4), Property("c", "5", 5)]


def test_a_comment_sign_in_a_continued_line_is_text() -> None:
    assert pairs("a=1\\\n#2\n") == [("a", "1#2")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(end: str) -> None:
    assert list(parse_properties(f"a=1{end}{end}b=2{end}")) == [Property("a", "1", 1), Property("b", "2", 3)]


def test_a_name_may_come_twice() -> None:
    assert pairs("a=1\na=2") == [("a", "1"), ("a", "2")]


@pytest.mark.parametrize("escape", [r"\u12", r"\u12g4", r"\u"])
def test_a_malformed_escape_is_refused(escape: str) -> None:
    with pytest.raises(ValueError, match="line 2: malformed"):
        pairs(f"a=1\nb={escape}")
