"""Who may import whom (ARCHITECTURE section 3), which files may import trio, and how large a file may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "pykbroker"
GENERATED = {"protocol/messages", "protocol/persisted", "protocol/embedded"}
GENERATED_FILES = {
    "protocol/apis.py",
    "protocol/error_codes.py",
    "protocol/enums.py",
    "config/broker_config.py",
    "config/definitions.py",
    "config/topic_config.py",
}
MAX_LINES = 600

LAYERS = {
    0: {"errors", "ids", "clock", "verify"},
    1: {"protocol", "record"},
    2: {"metadata", "log", "config", "security"},
    3: {"raft", "controller", "replica", "coordinator"},
    4: {"network", "controller_link", "share"},
    5: {"handlers", "controller_apis", "dispatch", "request", "pending", "observability"},
    6: {
        "broker",
        "controller_node",
        "controller_server",
        "observer_server",
        "shared_server",
        "web",
        "cli",
        "console",
        "testing",
        "__main__",
        "__init__",
    },
}
LAYER_OF = {package: layer for layer, packages in LAYERS.items() for package in packages}
# Besides the layers strictly below: what one package may import of its own layer or above.
ALSO = {
    "protocol": {"protocol"},
    "record": {"record", "protocol"},
    "config": {"metadata"},
    "security": {"metadata"},
    "raft": {"log", "pending"},
    "controller": {"raft", "request", "pending"},
    "replica": {"coordinator", "request", "pending"},
    "coordinator": {"request", "pending"},
    "network": {"request", "dispatch", "observability", "pending"},
    "controller_link": {"request", "handlers", "pending"},
    "share": {"request", "pending"},
}
TRIO_PLACES = ("network/", "web/", "cli/", "testing/")
TRIO_FILES = {"broker.py", "controller_node.py", "controller_server.py", "observer_server.py", "pending.py"}


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def is_generated(name: str) -> bool:
    return name in GENERATED_FILES or any(name.startswith(folder) for folder in GENERATED)


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module imported anywhere in the file, with whether the import is for the type checker alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) in for_types
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: relative import"
            yield node.module or "", id(node) in for_types


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_imports_follow_the_layers(path: Path) -> None:
    own = name_of(path).split("/")[0].removesuffix(".py")
    allowed = {package for package, layer in LAYER_OF.items() if layer < LAYER_OF[own]} | {own} | ALSO.get(own, set())
    if LAYER_OF[own] >= 5:
        allowed |= {package for package, layer in LAYER_OF.items() if layer <= LAYER_OF[own]}
    for module, for_types in imports(path):
        parts = module.split(".")
        if parts[0] != "pykbroker" or for_types or len(parts) == 1:
            continue
        assert parts[1] in allowed, f"{name_of(path)} imports {module}: not allowed for {own}"


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_trio_is_visible_in_the_file_names(path: Path) -> None:
    name = name_of(path)
    if name.startswith(TRIO_PLACES) or name in TRIO_FILES or name.endswith("_loop.py"):
        return
    found = [module for module, for_types in imports(path) if module.split(".")[0] == "trio" and not for_types]
    assert not found, f"{name} imports trio: only *_loop.py and the I/O packages may"


def test_handlers_never_import_handlers() -> None:
    for path in (PACKAGE / "handlers").rglob("*.py"):
        for module, _ in imports(path):
            parts = module.split(".")
            assert not (parts[:2] == ["pykbroker", "handlers"] and len(parts) == 4), f"{name_of(path)} imports {module}"


def test_nothing_below_imports_the_broker_or_the_test_kit() -> None:
    for path in sources():
        if LAYER_OF[name_of(path).split("/")[0].removesuffix(".py")] == 6:
            continue
        for module, for_types in imports(path):
            assert for_types or not module.startswith(("pykbroker.broker", "pykbroker.testing")), name_of(path)


@pytest.mark.parametrize("path", [path for path in sources() if not is_generated(name_of(path))], ids=name_of)
def test_no_hand_written_file_is_large(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{name_of(path)} has {lines} lines; what are the two things in it?"
