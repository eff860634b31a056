"""Nothing that comes over the wire or lies on disk becomes code (scenarios.md sections 2 and 3)."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "pykbroker"
MODULES = {"pickle", "marshal", "shelve", "yaml", "dill", "urllib", "http", "requests", "xml"}
CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN = MODULES | CALLS


def test_no_code_from_data_and_no_urls() -> None:
    """Code loading by AlterConfigs: CVE-2023-25194, 2025-27818, 2025-27819; files and URLs from configs:
    CVE-2024-31141, CVE-2025-27817."""
    found = [f"{path.name}: {what}" for path in sorted(PACKAGE.rglob("*.py")) for what in dangers(path)]
    assert not found


def dangers(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules: set[str] = set()
        if isinstance(node, ast.Import):
            modules = {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules = {(node.module or "").split(".")[0]}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            modules = {node.func.id}
        yield from modules & FORBIDDEN
