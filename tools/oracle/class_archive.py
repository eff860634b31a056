"""The archive of Kafka's classes that the JVMs of tests share (JEP 350), made once by a Kafka that starts and stops."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from tools.oracle.cluster import Node, format_storage, free_ports, node_properties, write_properties
from tools.oracle.jars import CLASSES, HOME, SMALL, OracleError, jars


def make() -> None:
    """Unless there is one of these jars and this JVM. Raises OracleError, and OSError."""
    made_of = _made_of()
    stamp = CLASSES.with_suffix(".of")
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if CLASSES.exists() and stamp.exists() and stamp.read_text() == made_of:
            return
        with tempfile.TemporaryDirectory(dir=HOME, prefix="classes-") as folder:
            _record(Path(folder), Path(folder) / CLASSES.name)
            stamp.unlink(missing_ok=True)
            os.rename(Path(folder) / CLASSES.name, CLASSES)  # whole or not at all: a JVM crashes on half of one
        stamp.write_text(made_of)


def _made_of() -> str:
    """The jars as they lie there (the JVM looks at their times), and which JVM."""
    java = Path(shutil.which("java") or "java").resolve()
    release = java.parent.parent / "release"
    folder = jars()
    return f"{folder} {folder.stat().st_mtime_ns}\n{java}\n{release.read_text() if release.exists() else ''}"


def _record(folder: Path, archive: Path) -> None:
    port, controller_port = free_ports(2)
    properties = folder / "server.properties"
    write_properties(properties, node_properties(1, port, controller_port, 1, folder / "data"))
    format_storage(properties)
    node = Node(properties, port, folder, "256m", (*SMALL, f"-XX:ArchiveClassesAtExit={archive}"))
    try:
        node.await_port()
    finally:
        node.stop()
    if not archive.exists():
        raise OracleError(f"no archive of classes was made: {node.output.read_text()[-2000:]}")
