"""python -m tools.generate [--check]: write the generated modules from protocol_specs/, or say which differ."""

import sys
from collections.abc import Callable
from pathlib import Path

from tools.generate import apis, configs, enums, errors, features, messages, record_types, schemas

ROOT = Path(__file__).resolve().parents[2]
SPECS = ROOT / "protocol_specs"
# Folders in which everything but what we generate is stale.
FOLDERS = ("messages", "embedded", "persisted")


def expected() -> dict[str, str]:
    """Path below the root → text, of every generated file."""
    generators: tuple[Callable[[Path], dict[str, str]], ...] = (
        messages.generate,
        apis.generate,
        errors.generate,
        enums.generate,
        features.generate,
        record_types.generate,
        schemas.generate,
    )
    files = dict(configs.generate())
    for generator in generators:
        files |= generator(SPECS)
    return files


def stale(files: dict[str, str]) -> list[Path]:
    """Generated modules whose spec is gone."""
    folders = [ROOT / "pykbroker" / "protocol" / name for name in FOLDERS]
    found = (path for folder in folders for path in folder.rglob("*.py"))
    return [path for path in found if path.relative_to(ROOT).as_posix() not in files]


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    files = expected()
    differing = [name for name, text in files.items() if not is_current(ROOT / name, text)]
    leftover = stale(files)
    if arguments:
        for name in [*differing, *(path.relative_to(ROOT).as_posix() for path in leftover)]:
            print(f"{name} differs from protocol_specs/: run `python tools/dev.py generate`")
        return 1 if differing or leftover else 0
    for name in differing:
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[name], encoding="utf-8")
    for path in leftover:
        path.unlink()
    print(f"{len(differing)} written, {len(leftover)} removed, {len(files)} generated files in all")
    return 0


def is_current(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
