"""The generator: what is in the tree is what the specs say, --check sees every difference, and the emitted code works
for schemas that Kafka does not have."""

import ast
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pykbroker.errors import KafkaError, MalformedFrame
from tools.generate import __main__ as command
from tools.generate import apis, enums, errors, features, messages, record_types, schemas
from tools.generate.layout import condition, minimal_size
from tools.generate.messages import ModuleEmitter
from tools.generate.notation import parse_text

ROOT = Path(__file__).resolve().parents[3]
GENERATORS = [messages, apis, errors, enums, features, record_types, schemas]


@pytest.mark.parametrize("generator", GENERATORS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_the_tree_is_what_the_specs_say(generator: ModuleType) -> None:
    files: dict[str, str] = generator.generate(ROOT / "protocol_specs")
    assert files
    for name, text in files.items():
        assert (ROOT / name).read_text(encoding="utf-8") == text, f"{name}: run `python tools/dev.py generate`"
        if name.endswith(".py"):
            ast.parse(text)
            assert "do not edit" in text.splitlines()[0]


def test_check_and_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "expected", lambda: {"pykbroker/protocol/messages/a.py": "A = 1\n"})
    generated = tmp_path / "pykbroker/protocol/messages/a.py"
    leftover = generated.with_name("gone.py")
    assert command.main(["--check"]) == 1
    assert not generated.exists()
    assert command.main([]) == 0
    assert generated.read_text() == "A = 1\n"
    assert command.main(["--check"]) == 0
    generated.write_text("A = 2\n")
    leftover.write_text("")
    capsys.readouterr()
    assert command.main(["--check"]) == 1
    said = capsys.readouterr().out
    assert "messages/a.py differs" in said
    assert "messages/gone.py differs" in said
    assert command.main([]) == 0
    assert not leftover.exists()
    assert command.main(["--help"]) == 2


def build(text: str) -> Any:
    """The module that a spec becomes, executed."""
    spec = parse_text(Path("protocol_specs/test.spec"), text)
    code = ModuleEmitter(spec).text()
    module = ModuleType("generated_for_a_test")
    exec(compile(code, "generated", "exec"), module.__dict__)
    return module


UNUSUAL = """\
message Unusual 0-5 flex 3+
  Version   int8
  Items     []Item?2+
    Id     uuid
    Part   string? = null 1-4
    Out    []string 2+
    Raw    []uuid
    Flag   bool = true 4+ tag 3
    Inner  Inner? 5+
      N     float64
      Tags  []int8? = null tag 1 ~
  Tags      bytes?1+ = null
  Old       uint32 0-1
  Between   uint16 = 7 2-3
  One       Inner 1+
"""


def test_an_unusual_schema() -> None:
    """Names that the generated code uses itself, ranges that end, structs inside structs: both ways, all versions."""
    module = build(UNUSUAL)
    with pytest.raises(ValueError, match="Inner"):
        build(UNUSUAL.replace("N     float64", "N     float64 9+").replace("flex 3+", ""))
    for version in range(6):
        inner = module.Inner(n=1.5)
        item = module.Item(id=module.Uuid(bytes(16)), out=["a", "b"] if version >= 2 else [], raw=[])
        message = module.Unusual(version=3, items=[item, item], tags=b"x")
        if 1 <= version <= 4:
            item.part = "me"
        if version >= 4:
            item.flag = False
        if version == 5:
            item.inner = inner
        if version < 2:
            message.old = 9
        if version in (2, 3):
            message.between = 8
        if version >= 1:
            message.one = inner
        raw = message.encode(version)
        assert module.Unusual.decode(raw, version) == (message, len(raw))
        for size in range(len(raw)):
            with pytest.raises(MalformedFrame):
                module.Unusual.decode(bytes(raw[:size]), version)
    with pytest.raises(KafkaError, match="old is set"):
        module.Unusual(old=1).encode(2)
    with pytest.raises(KafkaError, match="between is set"):
        module.Unusual(between=1).encode(4)
    with pytest.raises(KafkaError, match="items is null"):
        module.Unusual(items=None).encode(1)
    with pytest.raises(KafkaError, match="flag is set"):
        module.Unusual(items=[module.Item(flag=False)]).encode(3)


def test_elements_of_no_size_are_refused() -> None:
    """Else a count could make us loop without a byte behind it."""
    with pytest.raises(ValueError, match="elements of no size"):
        build("message A 0-1\n  Items  []Item\n    Name  string 1+\n")
    assert build("message A 0-1 flex 0+\n  Items  []Item\n    Name  string 1+\n")


def test_minimal_size() -> None:
    text = "message A 0-1\n  Items  []Item\n    Name  string\n    Id  int64 1+\n    B  bytes\n"
    spec = parse_text(Path("x.spec"), text)
    item = spec.messages[0].structs["Item"]
    assert minimal_size(item, frozenset((0, 1)), flexible=False) == 2 + 4
    assert minimal_size(item, frozenset((1,)), flexible=False) == 2 + 8 + 4
    assert minimal_size(item, frozenset((1,)), flexible=True) == 1 + 8 + 1 + 1


@pytest.mark.parametrize(
    ("wanted", "known", "test"),
    [
        ({1, 2}, {1, 2}, None),
        ({1, 2, 9}, {1, 2}, None),
        ({2}, {1, 2}, "version == 2"),
        ({2, 3}, {1, 2, 3}, "version >= 2"),
        ({1, 2}, {1, 2, 3}, "version <= 2"),
        ({2, 3}, {1, 2, 3, 4}, "2 <= version <= 3"),
    ],
)
def test_conditions(wanted: set[int], known: set[int], test: str | None) -> None:
    assert condition(frozenset(wanted), frozenset(known)) == test


def test_versions_with_a_hole_are_refused() -> None:
    with pytest.raises(ValueError, match="no range"):
        condition(frozenset((1, 3)), frozenset((1, 2, 3)))


def test_same_names_in_request_and_response() -> None:
    """A struct that is the same in both is one class; one that is not is called after its message."""
    module = build(
        "api 1 Some 0\n\nrequest\n  A  []Same\n    N  int8\n  B  []Other\n    N  int8\n"
        "\nresponse\n  A  []Same\n    N  int8\n  B  []Other\n    M  int8\n"
    )
    assert module.SomeResponse(a=[module.Same(n=1)], b=[module.SomeResponseOther(m=2)]).encode(0)
    assert module.SomeRequest(a=[module.Same(n=1)], b=[module.Other(n=2)]).encode(0)
    assert not hasattr(module, "SomeResponseSame")


@pytest.mark.parametrize("name", ["Self", "Encode", "UnknownTags", "Class"])
def test_names_that_a_field_may_not_have(name: str) -> None:
    with pytest.raises(ValueError, match=f"may not be called {name}"):
        build(f"message A 0\n  {name}  string\n")
