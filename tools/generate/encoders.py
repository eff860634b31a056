"""Emit encoders: one function per struct that appends a list of them, one `encode_into` per message.

Runs of fixed-width fields, and the classic length of a string behind them, are one precompiled struct. A field that
does not exist in the version must have its default or be ignorable.
"""

from contextlib import AbstractContextManager

from tools.generate.layout import (
    ARRAY_FUNCTIONS,
    FIXED,
    Source,
    absent_fields,
    attribute,
    condition,
    differs_from_default,
    groups,
    halves,
    is_compact,
    is_null_default,
    plain_fields,
    struct_constant,
    tagged_fields,
)
from tools.generate.notation import Field, Message, Struct, snake


class EncoderEmitter:
    def __init__(self, source: Source, names: dict[int, str], layouts: set[tuple[str, ...]]) -> None:
        self.out = source
        self.names = names
        self.layouts = layouts
        self.message: Message
        self.struct = ""
        self.buffer = "out"
        self.flexible = False
        self.known = frozenset[int]()
        self.run: list[tuple[str, str]] = []  # (format, value) not yet emitted

    # -- functions

    def message_encoder(self, message: Message) -> None:
        self.message = message
        out = self.out
        with out.block("def encode_into(self, out: bytearray, version: int) -> None:"):
            with out.block(f"if not {message.versions.low} <= version <= {message.versions.high}:"):
                out("raise unsupported_version(type(self), version)")
            with out.block("try:"):
                start = len(out.lines)
                self.bodies(message.body, "self", in_loop=False)
                if len(out.lines) == start:
                    out("pass")
            with out.block("except (StructError, ValueError) as problem:"):
                out("raise unencodable(problem, self, version) from problem")

    def list_encoder(self, message: Message, struct: Struct) -> None:
        self.message = message
        out, name = self.out, self.names[id(struct)]
        with out.block(f"def _write_{snake(name)}(out: bytearray, version: int, items: list[{name}]) -> None:"):
            self.bodies(struct, "item", in_loop=True)
        out()
        out()

    def bodies(self, struct: Struct, target: str, in_loop: bool) -> None:
        classic, flexible = halves(struct, self.message.flexible_from)
        out = self.out
        self.struct = struct.name
        for versions, is_flexible in ((classic, False), (flexible, True)):
            if not versions:
                continue
            self.flexible, self.known = is_flexible, versions
            if classic and flexible:
                out(f"if version < {self.message.flexible_from}:" if not is_flexible else "else:")
                out.indent += 1
            start = len(out.lines)
            if in_loop:
                with out.block("for item in items:"):
                    self.body(struct, target)
            else:
                self.body(struct, target)
            if len(out.lines) == start:
                out("pass")
            if classic and flexible:
                out.indent -= 1

    # -- one struct

    def body(self, struct: Struct, target: str) -> None:
        out = self.out
        for field in absent_fields(struct, self.known):
            self.must_be_default(field, target)
        for versions, members in groups(plain_fields(struct, self.known), self.known):
            test = condition(versions, self.known)
            if test is None:
                self.fields(members, target, self.known)
                continue
            self.flush()
            with out.block(f"if {test}:"):
                self.fields(members, target, versions)
                self.flush()
            if any(not field.ignorable for field in members):
                with out.block("else:"):
                    for field in members:
                        self.must_be_default(field, target)
        if not self.flexible:
            self.flush()
            return
        tagged = tagged_fields(struct, self.known)
        if tagged:
            self.flush()
            self.tags(tagged, target)
            return
        self.run.append(("B", "0"))
        self.flush()
        with out.block(f"if {target}.unknown_tags:"):
            out(f"replace_tags({self.buffer}, {target}.unknown_tags)")

    def must_be_default(self, field: Field, target: str) -> None:
        if field.ignorable:
            return
        test = differs_from_default(field, f"{target}.{attribute(field)}")
        with self.out.block(f"if {test.removeprefix('(').removesuffix(')') if ' or ' in test else test}:"):
            self.out(f'raise unsupported_field("{self.struct}", "{attribute(field)}", version)')

    def fields(self, members: list[Field], target: str, known: frozenset[int]) -> None:
        for field in members:
            place = f"{target}.{attribute(field)}"
            if not field.array and field.type in FIXED:
                self.run.append((FIXED[field.type][0], place))
            else:
                self.variable(field, place, known, tagged=False)

    def flush(self) -> None:
        """Emit the pending run as one pack."""
        if not self.run:
            return
        layout = [code for code, _ in self.run]
        if self.run == [("B", "0")]:
            self.out(f"{self.buffer}.append(0)")
        else:
            self.layouts.add(("pack", *layout))
            values = ", ".join(value for _, value in self.run)
            self.out(f"{self.buffer} += {struct_constant(layout, 'pack')}({values})")
        self.run = []

    # -- fields with a length

    def variable(self, field: Field, place: str, known: frozenset[int], tagged: bool) -> None:
        if field.struct is not None and not field.array:
            self.single_struct(field, place, known, tagged)
            return
        out, compact = self.out, is_compact(field, self.flexible)
        text = field.type == "string" and not field.array
        if field.null_in:
            self.flush()
            place = self.take(field, place)
            null = f"{self.buffer}.append(0)" if compact else f"{self.buffer} += {NULLS[text]}"
            branch = self.nullable(field, place, known, null)
        else:
            branch = out.nested(0)
        with branch:
            self.filled(field, place)

    def filled(self, field: Field, place: str) -> None:
        """Length and content of what is not null."""
        text = field.type == "string" and not field.array
        if text:
            self.out(f"raw = {place}.encode()")
            place = "raw"
        self.length(place, is_compact(field, self.flexible), text)
        self.content(field, place)

    def take(self, field: Field, place: str) -> str:
        """Into a local variable, which mypy can narrow; it is called as the attribute where that name is free."""
        local = attribute(field)
        if local in LOCALS:
            local += "_"
        self.out(f"{local} = {place}")
        return local

    def nullable(
        self, field: Field, local: str, known: frozenset[int], null: str
    ) -> AbstractContextManager[None]:
        """The case of null; what is emitted under it is the other one. A version may not know null."""
        nulls = field.null_in & known
        refuse = f'raise unsupported_null("{self.struct}", "{attribute(field)}", version)'
        out = self.out
        with out.block(f"if {local} is None:"):
            if not nulls:
                out(refuse)
            else:
                test = condition(nulls, known)
                if test is not None:
                    with out.block(f"if not ({test}):"):
                        out(refuse)
                out(null)
        out("else:")
        return out.nested()

    def length(self, data: str, compact: bool, text: bool) -> None:
        out = self.out
        if not compact:
            self.run.append(("h" if text else "i", f"len({data})"))
            self.flush()
            return
        self.flush()
        out(f"n = len({data}) + 1")
        with out.block("if n < 128:"):
            out(f"{self.buffer}.append(n)")
        with out.block("else:"):
            out(f"write_{'string_length' if text else 'uvarint'}({self.buffer}, n)")

    def content(self, field: Field, data: str) -> None:
        out, buffer = self.out, self.buffer
        if not field.array:
            out(f"{buffer} += {data}")
        elif field.struct is not None:
            out(f"_write_{snake(self.names[id(field.struct)])}({buffer}, version, {data})")
        else:
            prefix = "compact_" if field.type == "string" and self.flexible else ""
            out(f"write_{prefix}{ARRAY_FUNCTIONS[field.type]}({buffer}, {data})")

    def single_struct(self, field: Field, place: str, known: frozenset[int], tagged: bool) -> None:
        self.flush()
        out, buffer = self.out, self.buffer
        assert field.struct is not None
        function = f"_write_{snake(self.names[id(field.struct)])}"
        if not field.null_in:
            out(f"{function}({buffer}, version, [{place}])")
            return
        local = self.take(field, place)
        with self.nullable(field, local, known, f"{buffer}.append({0 if tagged else 255})"):
            if field.null_in & known:
                out(f"{buffer}.append(1)")
            out(f"{function}({buffer}, version, [{local}])")

    # -- tagged fields

    def tags(self, tagged: list[Field], target: str) -> None:
        out = self.out
        out("tags: list[tuple[int, bytearray]] = []")
        for field in tagged:
            place = f"{target}.{attribute(field)}"
            versions = field.present & self.known
            test = condition(versions, self.known)
            if test is not None:
                out(f"if {test}:")
                out.indent += 1
            if is_null_default(field):
                place = self.take(field, place)
            with out.block(f"if {differs_from_default(field, place)}:"):
                out("part = bytearray()")
                self.buffer = "part"
                self.tagged_content(field, place, versions)
                self.buffer = "out"
                out(f"tags.append(({field.tag}, part))")
            if test is not None:
                out.indent -= 1
                if not field.ignorable:
                    with out.block("else:"):
                        self.must_be_default(field, target)
        out(f"write_tags({self.buffer}, tags, {target}.unknown_tags)")

    def tagged_content(self, field: Field, place: str, known: frozenset[int]) -> None:
        if not field.array and field.type in FIXED:
            self.run.append((FIXED[field.type][0], place))
            self.flush()
        elif is_null_default(field):
            if field.struct is not None and not field.array:
                raise ValueError(f"{field.name}: a tagged struct with default null is not known to Kafka 4.3")
            self.filled(field, place)
        else:
            self.variable(field, place, known, tagged=True)


# Names that the generated encoders use themselves.
LOCALS = frozenset({"item", "items", "n", "out", "part", "problem", "raw", "self", "tags", "version"})
NULLS = {True: r'b"\xff\xff"', False: r'b"\xff\xff\xff\xff"'}
