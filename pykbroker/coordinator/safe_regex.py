"""Regular expressions of clients, matched in time linear to the text: RE2's syntax, as far as names need it.

Python's `re` would let one client stop the broker by backtracking. Here a pattern becomes a small automaton whose
states are walked all at once (Thompson). Missing of RE2: \\p classes. Flags: i, s, m, U as a prefix or for a group.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

MAX_REPEAT: Final = 1000
MAX_SIZE: Final = 2000
MAX_DEPTH: Final = 100

Predicate = Callable[[str], bool]

_CLASSES: Final[dict[str, Predicate]] = {
    "d": lambda c: "0" <= c <= "9",
    "w": lambda c: c.isascii() and (c.isalnum() or c == "_"),
    "s": lambda c: c in "\t\n\f\r ",
}
_POSIX: Final[dict[str, Predicate]] = {
    "alnum": lambda c: c.isascii() and c.isalnum(),
    "alpha": lambda c: c.isascii() and c.isalpha(),
    "ascii": str.isascii,
    "blank": lambda c: c in "\t ",
    "cntrl": lambda c: c < " " or c == "\x7f",
    "digit": _CLASSES["d"],
    "graph": lambda c: "!" <= c <= "~",
    "lower": lambda c: "a" <= c <= "z",
    "print": lambda c: " " <= c <= "~",
    "punct": lambda c: "!" <= c <= "~" and not c.isalnum(),
    "space": lambda c: c in "\t\n\v\f\r ",
    "upper": lambda c: "A" <= c <= "Z",
    "word": _CLASSES["w"],
    "xdigit": lambda c: c in "0123456789abcdefABCDEF",
}
_ESCAPES: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_POSITIONS: Final = {"A": "start", "z": "end", "b": "boundary", "B": "inside"}


class InvalidPattern(ValueError):
    """Not a regular expression, or one that is too large."""


class _Node(NamedTuple):
    """kind: "chars" (predicate), "position" (what), "concat", "branch", "repeat" (low, high)."""

    kind: str
    children: "tuple[_Node, ...]" = ()
    predicate: Predicate | None = None
    what: str = ""
    low: int = 0
    high: int | None = None


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = _without_quotes(text)
        self.at = 0
        self.depth = 0
        self.flags: frozenset[str] = frozenset()

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        if self.at >= len(self.text):
            raise InvalidPattern("trailing backslash at end of expression")
        self.at += 1
        return self.text[self.at - 1]

    def accept(self, text: str) -> bool:
        if not self.text.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def whole(self) -> _Node:
        node = self.branch()
        if self.at < len(self.text):
            raise InvalidPattern("regexp/syntax: internal error")  # re2j's word for an unexpected )
        return node

    def branch(self) -> _Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise InvalidPattern("groups are nested too deeply")
        outer = self.flags
        children = [self.concat()]
        while self.accept("|"):
            children.append(self.concat())
        self.flags = outer
        self.depth -= 1
        return children[0] if len(children) == 1 else _Node("branch", tuple(children))

    def concat(self) -> _Node:
        children = []
        while self.peek() not in ("", "|", ")"):
            atom = self.atom()
            if atom is not None:
                children.append(self.repeated(atom))
        return _Node("concat", tuple(children))

    def repeated(self, atom: _Node) -> _Node:
        low, high, found = 0, None, False
        if self.accept("*"):
            found = True
        elif self.accept("+"):
            low, found = 1, True
        elif self.accept("?"):
            high, found = 1, True
        elif (bounds := self.bounds()) is not None:
            (low, high), found = bounds, True
        if not found:
            return atom
        self.accept("?")  # lazy or greedy: it matches all the same
        if self.peek() in ("*", "+", "?"):
            raise InvalidPattern("invalid nested repetition operator")
        return _Node("repeat", (atom,), low=low, high=high)

    def bounds(self) -> tuple[int, int | None] | None:
        """{n}, {n,}, {n,m}; None: the brace is a literal."""
        end = self.text.find("}", self.at)
        if self.peek() != "{" or end < 0:
            return None
        first, comma, second = self.text[self.at + 1 : end].partition(",")
        if not (first.isdigit() and first.isascii() and (not second or (second.isdigit() and second.isascii()))):
            return None
        if len(first) > 4 or len(second) > 4:
            raise InvalidPattern("invalid repeat count")
        low = int(first)
        high = int(second) if second else (None if comma else low)
        if low > MAX_REPEAT or (high is not None and not low <= high <= MAX_REPEAT):
            raise InvalidPattern("invalid repeat count")
        self.at = end + 1
        return low, high

    def atom(self) -> _Node | None:
        char = self.take()
        if char == "(":
            return self.group()
        if char == "[":
            return _chars(self.char_class())
        if char == ".":
            return _chars((lambda c: True) if "s" in self.flags else (lambda c: c != "\n"))
        if char == "^":
            return _Node("position", what="line start" if "m" in self.flags else "start")
        if char == "$":
            return _Node("position", what="line end" if "m" in self.flags else "end")
        if char in "*+?":
            raise InvalidPattern("missing argument to repetition operator")
        if char == "\\":
            return self.escape()
        return self.literal(char)

    def literal(self, char: str) -> _Node:
        if "i" in self.flags:
            folded = char.casefold()
            return _chars(lambda c: c.casefold() == folded)
        return _chars(lambda c: c == char)

    def escape(self) -> _Node:
        if self.peek() in _POSITIONS:
            return _Node("position", what=_POSITIONS[self.take()])
        found = self.escaped()
        return self.literal(found) if isinstance(found, str) else _chars(found)

    def escaped(self) -> str | Predicate:
        """What follows a backslash: a character or a class."""
        char = self.take()
        if char.lower() in _CLASSES:
            positive = _CLASSES[char.lower()]
            return positive if char.islower() else (lambda c: not positive(c))
        if char in _ESCAPES:
            return _ESCAPES[char]
        if char == "x":
            return self.hex()
        if char.isalnum():
            raise InvalidPattern("invalid escape sequence")
        return char

    def hex(self) -> str:
        if self.accept("{"):
            end = self.text.find("}", self.at)
            digits = self.text[self.at : max(end, self.at)]
            self.at = end + 1
        else:
            digits = self.text[self.at : self.at + 2]
            self.at += 2
        try:
            return chr(int(digits, 16))
        except (ValueError, OverflowError):
            raise InvalidPattern("invalid escape sequence") from None

    def group(self) -> _Node | None:
        outer = self.flags
        if self.accept("?"):
            if self.accept("P<") or self.accept("<"):
                self.name()
            elif self.set_flags():
                return None  # (?i): for the rest of the group around it
        node = self.branch()
        self.flags = outer
        if not self.accept(")"):
            raise InvalidPattern("missing closing )")
        return node

    def name(self) -> None:
        end = self.text.find(">", self.at)
        if end <= self.at or not self.text[self.at : end].replace("_", "a").isalnum():
            raise InvalidPattern("invalid named capture")
        self.at = end + 1

    def set_flags(self) -> bool:
        """True for flags without a group of their own."""
        on = True
        while (char := self.flag()) not in ":)":
            if char == "-" and on:
                on = False
            elif char in "imsU":
                self.flags = self.flags | {char} if on else self.flags - {char}
            else:
                raise InvalidPattern("invalid or unsupported Perl syntax")
        return char == ")"

    def flag(self) -> str:
        if not self.peek():
            raise InvalidPattern("missing closing )")
        return self.take()

    def char_class(self) -> Predicate:
        negated = self.accept("^")
        parts: list[Predicate] = []
        is_first = True
        while is_first or self.peek() != "]":
            if not self.peek():
                raise InvalidPattern("missing closing ]")
            is_first = False
            parts.append(self.class_item())
        self.take()
        if "i" in self.flags:
            return lambda c: any(part(v) for part in parts for v in (c, c.lower(), c.upper())) != negated
        return lambda c: any(part(c) for part in parts) != negated

    def class_item(self) -> Predicate:
        if self.accept("[:"):
            end = self.text.find(":]", self.at)
            name = self.text[self.at : max(end, self.at)]
            self.at = end + 2
            positive = _POSIX.get(name.removeprefix("^"))
            if positive is None:
                raise InvalidPattern("invalid character class range")
            return (lambda c: not positive(c)) if name.startswith("^") else positive
        low = self.class_char()
        if not isinstance(low, str):
            return low
        if self.peek() != "-" or self.text[self.at + 1 : self.at + 2] in ("]", ""):
            return lambda c: c == low
        self.take()
        high = self.class_char()
        if not isinstance(high, str) or high < low:
            raise InvalidPattern("invalid character class range")
        return lambda c: low <= c <= high

    def class_char(self) -> str | Predicate:
        char = self.take()
        return self.escaped() if char == "\\" else char


def _without_quotes(text: str) -> str:
    """What stands between \\Q and \\E means itself."""
    out, at = [], 0
    while at < len(text):
        size = 2 if text[at] == "\\" else 1
        if not text.startswith("\\Q", at):
            out.append(text[at : at + size])
            at += size
            continue
        end = text.find("\\E", at)
        quoted = text[at + 2 : end if end >= 0 else len(text)]
        out += [char if char.isalnum() else f"\\{char}" for char in quoted]
        at = end + 2 if end >= 0 else len(text)
    return "".join(out)


def _chars(predicate: Predicate) -> _Node:
    return _Node("chars", predicate=predicate)


# An automaton: each state either reads a character, asks for a position, or goes on to others at once.
class _State(NamedTuple):
    predicate: Predicate | None
    what: str
    nexts: list[int]


class _Automaton:
    def __init__(self, node: _Node) -> None:
        self.states: list[_State] = []
        self.end = self._add(None, "", [])
        self.start = self._build(node, self.end)

    def _add(self, predicate: Predicate | None, what: str, nexts: list[int]) -> int:
        if len(self.states) >= MAX_SIZE:
            raise InvalidPattern("expression too large")
        self.states.append(_State(predicate, what, nexts))
        return len(self.states) - 1

    def _build(self, node: _Node, then: int) -> int:
        """The state to enter it by, leaving to `then`."""
        if node.kind == "chars":
            return self._add(node.predicate, "", [then])
        if node.kind == "position":
            return self._add(None, node.what, [then])
        if node.kind == "branch":
            return self._add(None, "", [self._build(child, then) for child in node.children])
        if node.kind == "concat":
            for child in reversed(node.children):
                then = self._build(child, then)
            return then
        return self._build_repeat(node, then)

    def _build_repeat(self, node: _Node, then: int) -> int:
        (child,) = node.children
        if node.high is None:
            loop = self._add(None, "", [then])
            self.states[loop].nexts.append(self._build(child, loop))
            then = loop
        else:
            for _ in range(node.high - node.low):
                then = self._add(None, "", [then, self._build(child, then)])
        for _ in range(node.low):
            then = self._build(child, then)
        return then

    def matches(self, text: str) -> bool:
        """Whether it matches the whole text."""
        current = self._closure([self.start], text, 0)
        for at, char in enumerate(text):
            nexts = [
                state.nexts[0]
                for index in current
                if (state := self.states[index]).predicate is not None and state.predicate(char)
            ]
            if not nexts:
                return False
            current = self._closure(nexts, text, at + 1)
        return self.end in current

    def _closure(self, states: list[int], text: str, at: int) -> set[int]:
        """All that is reached without reading."""
        found: set[int] = set()
        todo = list(states)
        while todo:
            index = todo.pop()
            if index in found:
                continue
            found.add(index)
            state = self.states[index]
            if state.predicate is None and (not state.what or _holds(state.what, text, at)):
                todo.extend(state.nexts)
        return found


def _holds(what: str, text: str, at: int) -> bool:
    if what == "start":
        return at == 0
    if what == "end":
        return at == len(text)
    if what == "line start":
        return at == 0 or text[at - 1] == "\n"
    if what == "line end":
        return at == len(text) or text[at] == "\n"
    word = _CLASSES["w"]
    is_boundary = (at > 0 and word(text[at - 1])) != (at < len(text) and word(text[at]))
    return is_boundary == (what == "boundary")


def compile_pattern(pattern: str) -> Predicate:
    """Tells whether the pattern matches a whole text. Raises InvalidPattern."""
    return _Automaton(_Parser(pattern).whole()).matches
