"""RE2's syntax: what matches, what is refused, and that no pattern takes long. What matches is Python's word for it."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pykbroker.coordinator.safe_regex import InvalidPattern, compile_pattern

TEXTS = ["", "a", "b", "ab", "ba", "aab", "abab", "a.b", "A", "aB", "1", "a1_", "a b", "a-b", "a\nb", "xx", "xxx", "é"]


@pytest.mark.parametrize(
    "pattern",
    [
        "", "a", "ab", "a|b", "a*", "a+b?", "(ab)+", "(?:a|b)*", "a{2}b", "x{2,}", "x{0,2}", "[ab]+", "[^a]", "[a-b]*",
        r"\d", r"\w+", r"\W", r"a\sb", r"a\.b", ".", "..", "(?s)a.b", "(?i)AB", "(?i:a)b", "(?i)[a]b", "^a$", r"\Aab",
        r"a\b.*", r"a\B.*", "a??b", "(a|)b", "(?P<n>a)b", "[a.]*b", r"[\d_a]*", "[a-]*b", r"\x61", "()", "a||b",
        r"[^\w]", "a{1", "(?m)a$\n^b", "(a*)*", "(a|a)*b",
    ],
)  # fmt: skip
def test_as_python_has_it(pattern: str) -> None:
    matches, reference = compile_pattern(pattern), re.compile(pattern, re.ASCII)
    assert [text for text in TEXTS if matches(text)] == [text for text in TEXTS if reference.fullmatch(text)]


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"\Qa.b\E+", "a.bb", True),
        (r"\Qa.b", "a.b", True),
        (r"\Qa.b\E", "axb", False),
        ("[[:alpha:]]+", "abC", True),
        ("[[:^digit:]x]+", "a1", False),
        (r"\x{e9}", "é", True),
        ("(?<n>a)", "a", True),
        (r"a\z", "a", True),
        ("(?i-s:A)", "a", True),
    ],
)
def test_what_only_re2_has(pattern: str, text: str, found: bool) -> None:
    assert compile_pattern(pattern)(text) == found


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "a)", "*", "+a", "a**", "[", "[]", "[b-a]", "x{1001}", "x{2,1}", "(?=a)", "(?!a)", "(?<=a)", r"\1",
     r"\pL", "(?P<>a)", "(?x)a", "\\", "[[:no:]]", r"\x{110000}", "(" * 200 + ")" * 200, "(x{1000}){1000}", r"[\d-a]",
     "a{99999}"],
)  # fmt: skip
def test_what_is_none(pattern: str) -> None:
    if pattern == r"[\d-a]":
        assert compile_pattern(pattern)("-")  # a dash behind a class is a dash
        return
    with pytest.raises(InvalidPattern):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*a){12}", "(a?){50}a{50}", "([a-zA-Z]+)*!"])
def test_no_pattern_takes_long(pattern: str) -> None:
    start = time.process_time()
    assert not compile_pattern(pattern)("a" * 30 + "!?")
    assert time.process_time() - start < 1


@given(st.text(alphabet="ab.*+?|()[]^-{}12,\\dQE:i", max_size=12), st.text(alphabet="ab.-12", max_size=8))
def test_any_text_is_a_pattern_or_refused(pattern: str, text: str) -> None:
    try:
        matches = compile_pattern(pattern)
    except InvalidPattern:
        return
    matches(text)


@pytest.mark.parametrize(
    ("pattern", "description"),
    [
        ("[", "missing closing ]"),
        ("[a", "missing closing ]"),
        ("(", "missing closing )"),
        ("(?i", "missing closing )"),
        ("\\", "trailing backslash at end of expression"),
        ("(?=a)", "invalid or unsupported Perl syntax"),
        (r"\1", "invalid escape sequence"),
        ("a)", "regexp/syntax: internal error"),
    ],
)
def test_what_re2j_says_of_it(pattern: str, description: str) -> None:
    with pytest.raises(InvalidPattern) as caught:
        compile_pattern(pattern)
    assert str(caught.value) == description
