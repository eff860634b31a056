"""kafka-python's own integration tests, from its source distribution, pointed at the broker under test."""

import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.brokers import pykbroker
from tools.oracle.cluster import free_ports

RELEASE = "kafka-python==3.0.12"

# What the real Kafka 4.3.1 fails too, started as tools/oracle/kafka.py starts it, and why.
FAILS_ON_KAFKA = {
    "test_create_describe_delete_acls": "needs an authorizer",
    "test_create_partitions": "assigns replicas to broker 0, which there is not",
    "test_group": "waits 15 s for four members whose client needs longer",
    "test_transactional_producer_offsets": "the client waits for ever",
    "TestSSLConnection": "starts a broker of its own",
}

# The source distribution lacks this module of its tests; only its use for an external broker is needed.
SERVICE = '''
class ExternalService:
    def __init__(self, host, port):
        self.host, self.port = host, port

    def open(self):
        """The broker runs already."""

    stop = close = dump_logs = open

    def is_alive(self):
        return True


class SpawnedService:
    def __init__(self, *arguments):
        raise RuntimeError("only an external broker here")
'''


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution."""
    folder = tmp_path_factory.mktemp("kafka-python")
    download = ["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(folder), RELEASE]
    subprocess.run([sys.executable, *download], check=True)
    archive = next(folder.glob("*.tar.gz"))
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    root = next(path for path in folder.iterdir() if path.is_dir())
    (root / "test" / "__init__.py").touch()
    (root / "test" / "service.py").write_text(SERVICE)
    (root / "servers").mkdir()
    return root


@pytest.fixture(scope="module")
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker of ours that advertises its listener by its settings, as one of the tests expects of every broker."""
    if request.config.getoption("--bootstrap") or request.config.getoption("--oracle"):
        yield request.getfixturevalue("bootstrap")
        return
    (port,) = free_ports(1)
    advertised = f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}"
    with pykbroker(tmp_path_factory.mktemp("broker") / "data", advertised, port=port) as broker:
        yield broker.bootstrap


@pytest.mark.timeout(400)
def test_integration_suite_passes(address: str, source: Path, request: pytest.FixtureRequest) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "test/integration",
        "-q",
        "-rfE",
        "--tb=short",
        "-k",
        " and ".join(f"not {name}" for name in FAILS_ON_KAFKA),
    ]
    command += ["-p", "no:cacheprovider", "-p", "no:trio", "-o", "log_level=ERROR", "-o", "addopts=", "--timeout", "60"]
    settings = {
        "KAFKA_URI": f"kafka://{address}",
        "KAFKA_VERSION": "4.3.0",
        "KAFKA_ROOT": str(source / "servers"),
        "PYTHONPATH": str(source),
    }
    done = subprocess.run(
        command,
        cwd=source,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None, done.stdout[-2000:]
    print(f"kafka-python's own tests: {passed[0]}")
    assert int(passed[1]) >= 48
