"""Kafka's jars, fetched once with Maven from the pom beside this file, and command lines that run their classes."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

POM = Path(__file__).resolve().parent / "pom.xml"
HOME = Path(os.environ.get("KAFKA_ORACLE") or Path.home() / ".cache" / "kafka-oracle")
ATTEMPTS = 2  # a download may fail once
# For JVMs that live for seconds: with the first compiler tier and the serial collector they take a third less CPU time.
SMALL = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
# Kafka's classes as a JVM has them in memory (JEP 350), see class_archive.py: half of what is left. A JVM that does not
# find it there, or does not know it, goes without and is silent.
CLASSES = HOME / "classes.jsa"
BRIEF = (*SMALL, f"-XX:SharedArchiveFile={CLASSES}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off")


class OracleError(Exception):
    """The real Kafka cannot be fetched or started; the text says what to look at."""


def jars() -> Path:
    """The folder of the jars that pom.xml names; fetches them when they are not there. Raises OracleError."""
    folder = HOME / f"jars-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    """Fills a temporary folder and renames it, so that half a download is never taken for the whole."""
    if not shutil.which("mvn"):
        raise OracleError("Maven (mvn) is not installed: it fetches Kafka's jars")
    with tempfile.TemporaryDirectory(dir=HOME, prefix="fetching-") as temporary:
        shutil.copy(POM, temporary)
        goal = ["dependency:copy-dependencies", "-DoutputDirectory=jars"]
        for attempt in range(1, ATTEMPTS + 1):
            done = subprocess.run(["mvn", "-q", "-B", *goal], cwd=temporary, stdout=sys.stderr, check=False)
            if done.returncode == 0:
                os.rename(Path(temporary) / "jars", folder)
                return
            print(f"Maven failed, attempt {attempt} of {ATTEMPTS}", file=sys.stderr)
    raise OracleError("Kafka's jars cannot be fetched: see Maven's message above")


def java(name: str, *arguments: str, heap: str = "512m", options: tuple[str, ...] = BRIEF) -> list[str]:
    """The command that runs a class of the jars. Raises OracleError."""
    if not shutil.which("java"):
        raise OracleError("Java is not installed: the real Kafka and its tools need it")
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return ["java", f"-Xmx{heap}", quiet, *options, "-cp", f"{jars()}/*", name, *arguments]
