"""Runs the classes behind Kafka's own command-line tools, from the jars that tools/oracle fetches."""

import subprocess

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
