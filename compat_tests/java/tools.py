"""Runs the classes behind Kafka's own command-line tools, from the jars that tools/oracle fetches."""

import subprocess
from pathlib import Path
from typing import Self

from tools.oracle.jars import BRIEF, jars

OPTIONS = ("-Xmx256m", *BRIEF, "-Dorg.slf4j.simpleLogger.defaultLogLevel=error")


def command(tool: str, *arguments: str) -> list[str]:
    return ["java", *OPTIONS, "-cp", f"{jars()}/*", tool, *arguments]


def run(tool: str, *arguments: str, stdin: str = "", seconds: int = 90, expect: int = 0) -> str:
    """What the tool printed (both streams). Fails with it unless the exit code is `expect`."""
    done = subprocess.run(
        command(tool, *arguments), input=stdin, capture_output=True, text=True, timeout=seconds, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == expect, f"{tool} exited with {done.returncode}:\n{output[-4000:]}"
    return output


class ToolShell:
    """One JVM for many calls of tools; a context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["java", *OPTIONS, "-cp", f"{jars()}/*", str(Path(__file__).with_name("Tools.java"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def call(self, tool: str, *arguments: str) -> tuple[int, str]:
        """The exit code, and what it printed (both streams)."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print("\x1f".join((tool, *arguments)), file=self._process.stdin, flush=True)
        lines: list[str] = []
        for line in self._process.stdout:
            if line.startswith("\x1e"):
                return int(line[1:]), "".join(lines).removesuffix("\n")
            lines.append(line)
        raise AssertionError(f"{tool} has taken the JVM with it:\n{''.join(lines)[-4000:]}")

    def run(self, tool: str, *arguments: str, expect: int = 0) -> str:
        """As run()."""
        code, output = self.call(tool, *arguments)
        assert code == expect, f"{tool} {arguments} exited with {code}:\n{output[-4000:]}"
        return output
