"""What a freshly started broker has loaded: start-up time and idle memory are the sum of it."""

import subprocess
import sys

import pytest

START = """
import os, signal, sys
from pykbroker.cli import serve

def announce(config, host, port):
    print("\\n".join(sys.modules))
    os.kill(os.getpid(), signal.SIGTERM)

serve._announce = announce
sys.exit(serve.main(["--port", "0", "--host", "127.0.0.1", "--ephemeral", "--log-level", "error"]))
"""
# trio decides about its own imports.
TRIO = "import sys, trio; print('\\n'.join(sys.modules))"
FIRST_GROUP = "import sys, pykbroker.coordinator.group.group_shard; print('\\n'.join(sys.modules))"

# Beyond what trio loads. The command line: argparse, gettext. The quorum-state file: json. crc32c: importlib.util.
STANDARD_LIBRARY = {"argparse", "gettext", "json", "_json", "importlib"}
THIRD_PARTY = {"attr", "attrs", "idna", "outcome", "sniffio", "sortedcontainers", "trio"}
NEVER = {"asyncio", "concurrent", "dataclasses", "http", "multiprocessing", "pytest", "sqlite3", "unittest", "xml"}
# What importlib.metadata takes.
NEVER |= {"csv", "email", "zipfile"}

# The broker registers with its controller; all other messages come with their first request.
MESSAGES = {"broker_heartbeat", "broker_registration"}
# What the first start writes to the metadata log.
RECORDS = {
    "begin_transaction_record",
    "broker_registration_change_record",
    "config_record",
    "end_transaction_record",
    "feature_level_record",
    "register_broker_record",
    "register_controller_record",
}
HANDLERS = {"broker_heartbeat", "broker_registration"}


def modules_of(script: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    return modules_of(START)


@pytest.fixture(scope="module")
def ours(loaded: set[str]) -> set[str]:
    """Whole names of pykbroker's modules."""
    return {name for name in loaded if name.startswith("pykbroker.")}


def below(names: set[str], package: str) -> set[str]:
    """The modules (not the packages) below one of ours, without its name."""
    inside = {name.removeprefix(package + ".") for name in names if name.startswith(package + ".")}
    return {name for name in inside if not any(other.startswith(name + ".") for other in inside)}


def test_nothing_of_the_standard_library_that_is_not_needed(loaded: set[str]) -> None:
    more = {name.split(".")[0] for name in loaded - modules_of(TRIO)}
    assert more & set(sys.stdlib_module_names) <= STANDARD_LIBRARY


def test_no_heavy_module_at_all(loaded: set[str]) -> None:
    assert not {name.split(".")[0] for name in loaded} & NEVER


def test_codecs_are_loaded_when_a_batch_needs_them(loaded: set[str]) -> None:
    tops = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"pykbroker", "__mp_main__"}
    assert {name for name in tops if not name.startswith("_")} <= THIRD_PARTY


def test_messages_are_loaded_with_their_first_request(ours: set[str]) -> None:
    assert below(ours, "pykbroker.protocol.messages") <= MESSAGES


def test_records_are_loaded_when_one_is_written_or_read(ours: set[str]) -> None:
    assert below(ours, "pykbroker.protocol.persisted") <= {f"metadata.{name}" for name in RECORDS}


def test_handlers_are_loaded_with_their_first_request(ours: set[str]) -> None:
    assert not below(ours, "pykbroker.handlers.broker")
    assert below(ours, "pykbroker.handlers.controller") <= HANDLERS


def test_the_cleaner_is_loaded_with_its_first_log(ours: set[str]) -> None:
    log = below(ours, "pykbroker.log")
    assert "cleaner_loop" in log
    assert not log & {"batch_filter", "cleaner", "cleaning", "key_walk", "offset_map", "uniform_walk"}


def test_the_state_of_groups_is_loaded_with_the_first_group(ours: set[str]) -> None:
    assert below(ours, "pykbroker.coordinator.group") <= {"service"}


def test_share_and_streams_groups_are_loaded_with_the_first_of_them() -> None:
    group = below(modules_of(FIRST_GROUP), "pykbroker.coordinator.group")
    assert {"classic", "consumer_group"} <= group
    assert not {name for name in group if name.startswith(("share", "streams"))}


def test_share_groups_are_loaded_with_the_first_question_for_them(ours: set[str]) -> None:
    assert not below(ours, "pykbroker.share")
    assert not below(ours, "pykbroker.coordinator.share")


def test_tables_for_people_stay_on_disk(ours: set[str]) -> None:
    assert not ours & {"pykbroker.config.documentation", "pykbroker.protocol.enums", "pykbroker.protocol.json_form"}
