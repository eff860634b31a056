"""Emit decoders: one function per struct that reads a list of them, one `decode` per message.

Runs of fixed-width fields are one precompiled struct, and take the length of the string behind them along. Explicit
checks stand where a slice would be silently short; everything else is caught by `decode` as IndexError or struct.error.
"""

from contextlib import AbstractContextManager

from pykbroker.protocol.damage import MAX_ELEMENTS
from tools.generate.layout import (
    ARRAY_FUNCTIONS,
    FIXED,
    WIDTHS,
    Source,
    absent_fields,
    attribute,
    condition,
    default_value,
    groups,
    halves,
    is_compact,
    minimal_size,
    plain_fields,
    struct_constant,
    tagged_fields,
)
from tools.generate.notation import Field, Message, Struct, snake


class DecoderEmitter:
    def __init__(self, source: Source, names: dict[int, str], layouts: set[tuple[str, ...]], view: bool) -> None:
        self.out = source
        self.names = names
        self.layouts = layouts
        self.view = view  # the buffer is a memoryview, because some field is a slice of it
        self.message: Message
        self.flexible = False
        self.known = frozenset[int]()
        self.run: list[tuple[str, str]] = []  # (format, target) not yet emitted
        self.uuids: list[str] = []

    # -- functions

    def message_decoder(self, message: Message) -> None:
        self.message = message
        out, name = self.out, message.name
        out("@classmethod")
        arguments = "cls, buf: bytes | bytearray | memoryview, version: int, pos: int = 0"
        with out.block(f"def decode({arguments}) -> tuple[Self, int]:"):
            with out.block(f"if not {message.versions.low} <= version <= {message.versions.high}:"):
                out("raise unsupported_version(cls, version)")
            if self.view:
                out("if type(buf) is not memoryview:")
                out("    buf = memoryview(buf)")
            else:
                out("if type(buf) is not bytes:")
                out("    buf = bytes(buf)")
            out("self = new(cls)")
            with out.block("try:"):
                start = len(out.lines)
                self.bodies(message.body, "self", checked=False)
                if any("size" in line for line in out.lines[start:]):
                    out.lines.insert(start, "    " * out.indent + "size = len(buf)")
            with out.block("except (StructError, IndexError, UnicodeDecodeError) as problem:"):
                out(f'raise damaged(problem, "{name}", version) from None')
            out("return self, pos")

    def list_decoder(self, message: Message, struct: Struct) -> None:
        self.message = message
        out, name = self.out, self.names[id(struct)]
        kind = "memoryview" if self.view else "bytes"
        head = f"def _read_{snake(name)}(buf: {kind}, pos: int, version: int, count: int) -> tuple[list[{name}], int]:"
        with out.block(head):
            out("size = len(buf)")
            out(f"items: list[{name}] = []")
            self.bodies(struct, "item", checked=True)
            out("return items, pos")
        out()
        out()

    def bodies(self, struct: Struct, target: str, checked: bool) -> None:
        """The code for classic and for flexible versions, under a branch where the struct has both."""
        classic, flexible = halves(struct, self.message.flexible_from)
        out = self.out
        for versions, is_flexible in ((classic, False), (flexible, True)):
            if not versions:
                continue
            self.flexible, self.known = is_flexible, versions
            if classic and flexible:
                out(f"if version < {self.message.flexible_from}:" if not is_flexible else "else:")
                out.indent += 1
            if checked:
                self.loop(struct, target)
            else:
                self.body(struct, target)
            if classic and flexible:
                out.indent -= 1

    def loop(self, struct: Struct, target: str) -> None:
        out, name = self.out, self.names[id(struct)]
        least = minimal_size(struct, self.known, self.flexible)
        total = f"count * {least}" if least > 1 else "count"
        # Nobody asks about so much at once; objects and answers would cost far more than the bytes of the request.
        limit = f" or count > {MAX_ELEMENTS:_}" if self.message.name.endswith("Request") else ""
        with out.block(f"if not 0 <= {total} <= size - pos{limit}:"):
            out(f'raise bad_count("{name}", count, pos)')
        with out.block("for _ in range(count):"):
            out(f"{target} = new({name})")
            self.body(struct, target)
            out(f"items.append({target})")

    # -- one struct

    def body(self, struct: Struct, target: str) -> None:
        out = self.out
        for field in absent_fields(struct, self.known):
            self.set_default(field, target)
        tagged = tagged_fields(struct, self.known)
        for field in tagged:
            self.set_default(field, target)
        for versions, members in groups(plain_fields(struct, self.known), self.known):
            test = condition(versions, self.known)
            if test is None:
                self.fields(members, target, self.known)
                continue
            self.flush()
            with out.block(f"if {test}:"):
                self.fields(members, target, versions)
                self.flush()
            with out.block("else:"):
                for field in members:
                    self.set_default(field, target)
        if not self.flexible:
            self.flush()
            out(f"{target}.unknown_tags = None")
            return
        self.run.append(("B", "tags"))
        self.flush()
        if tagged:
            self.tags(tagged, target)
        else:
            with out.block("if tags:"):
                out(f"{target}.unknown_tags, pos = read_tags(buf, pos - 1)")
            with out.block("else:"):
                out(f"{target}.unknown_tags = None")

    def set_default(self, field: Field, target: str) -> None:
        self.out(f"{target}.{attribute(field)} = {default_value(field, self.names)}")

    def fields(self, members: list[Field], target: str, known: frozenset[int]) -> None:
        for field in members:
            place = f"{target}.{attribute(field)}"
            if not field.array and field.type in FIXED:
                self.fixed(field, place)
            else:
                self.variable(field, place, known, tagged=False)

    def fixed(self, field: Field, place: str) -> None:
        if field.type == "uuid":
            self.uuids.append(place)
            place = f"raw{len(self.uuids)}"
        self.run.append((FIXED[field.type][0], place))

    def flush(self) -> None:
        """Emit the pending run as one unpack."""
        if not self.run:
            return
        out = self.out
        layout = [code for code, _ in self.run]
        if layout == ["B"]:
            out(f"{self.run[0][1]} = buf[pos]")
            out("pos += 1")
        else:
            self.layouts.add(("unpack", *layout))
            places = ", ".join(place for _, place in self.run) + ("," if len(self.run) == 1 else "")
            left = f"({places})" if len(self.run) == 1 else places
            out(f"{left} = {struct_constant(layout, 'unpack')}(buf, pos)")
            out(f"pos += {sum(WIDTHS[code] for code in layout)}")
        for index, place in enumerate(self.uuids, 1):
            out(f"{place} = Uuid(raw{index})")
        self.run, self.uuids = [], []

    # -- fields with a length

    def variable(self, field: Field, place: str, known: frozenset[int], tagged: bool) -> None:
        if field.struct is not None and not field.array:
            self.single_struct(field, place, known, tagged)
            return
        compact = is_compact(field, self.flexible)
        text = field.type == "string" and not field.array
        if compact:
            self.run.append(("B", "n"))
            self.flush()
            with self.out.block("if n > 127:"):
                self.out(f"n, pos = read_{'string_' if text else ''}length(buf, pos - 1)")
        else:
            self.run.append(("h" if text else "i", "n"))
            self.flush()
        with self.nullable(field, place, known, "n == 0" if compact else "n < 0"):
            self.content(field, place, "n - 1" if compact else "n")

    def nullable(
        self, field: Field, place: str, known: frozenset[int], is_null: str
    ) -> AbstractContextManager[None]:
        """The null case; what is emitted under it is the other one. Nothing where null is refused anyway."""
        nulls = field.null_in & known
        out = self.out
        if not nulls:
            return out.nested(0)
        with out.block(f"if {is_null}:"):
            test = condition(nulls, known)
            if test is not None:
                with out.block(f"if not ({test}):"):
                    out(f'raise bad_null("{field.name}", pos)')
            out(f"{place} = None")
        out("else:")
        return out.nested()

    def content(self, field: Field, place: str, count: str) -> None:
        """The bytes, string or elements behind a length that is not null."""
        out = self.out
        if field.array and field.struct is not None:
            out(f"{place}, pos = _read_{snake(self.names[id(field.struct)])}(buf, pos, version, {count})")
            return
        if field.array:
            prefix = "compact_" if field.type == "string" and self.flexible else ""
            out(f"{place}, pos = read_{prefix}{ARRAY_FUNCTIONS[field.type]}(buf, pos, {count})")
            return
        out(f"end = pos + {count}")
        with out.block("if not pos <= end <= size:"):
            out(f'raise bad_length("{field.name}", {count}, pos)')
        if field.type == "string":
            out(f'{place} = str(buf[pos:end], "utf-8")' if self.view else f"{place} = buf[pos:end].decode()")
        elif field.type == "bytes" and self.view:
            out(f"{place} = bytes(buf[pos:end])")
        else:
            out(f"{place} = buf[pos:end]")
        out("pos = end")

    def single_struct(self, field: Field, place: str, known: frozenset[int], tagged: bool) -> None:
        self.flush()
        out = self.out
        assert field.struct is not None
        function = f"_read_{snake(self.names[id(field.struct)])}"
        if not field.null_in & known:
            out(f"({place},), pos = {function}(buf, pos, version, 1)")
            return
        if tagged:
            out("n, pos = read_length(buf, pos)")
        else:
            self.run.append(("b", "n"))
            self.flush()
        with self.nullable(field, place, known, "n == 0" if tagged else "n < 0"):
            out(f"({place},), pos = {function}(buf, pos, version, 1)")

    # -- tagged fields

    def tags(self, tagged: list[Field], target: str) -> None:
        out = self.out
        out(f"{target}.unknown_tags = None")
        with out.block("if tags:"):
            out("tags, pos = read_tag_count(buf, pos - 1)")
            out("unknown: list[tuple[int, bytes]] = []")
            with out.block("for _ in range(tags):"):
                out("tag, pos, tag_end = read_tag(buf, pos)")
                word = "if"
                for field in tagged:
                    versions = field.present & self.known
                    test = condition(versions, self.known)
                    with out.block(f"{word} tag == {field.tag}{f' and {test}' if test else ''}:"):
                        self.tagged_content(field, f"{target}.{attribute(field)}", versions)
                    word = "elif"
                with out.block("else:"):
                    out("unknown.append((tag, bytes(buf[pos:tag_end])))")
                    out("pos = tag_end")
                with out.block("if pos != tag_end:"):
                    out("raise bad_tag(tag, pos)")
            with out.block("if unknown:"):
                out(f"{target}.unknown_tags = unknown")

    def tagged_content(self, field: Field, place: str, known: frozenset[int]) -> None:
        if not field.array and field.type in FIXED:
            self.fixed(field, place)
            self.flush()
        else:
            self.variable(field, place, known, tagged=True)
