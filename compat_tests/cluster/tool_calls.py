"""What Kafka's own tools print for a cluster, and what its brokers answer to requests that the controller refuses.

`python -m compat_tests.cluster.tool_calls` writes down what they say of a cluster that is Kafka's alone; the test has
brokers and controllers of ours in it.
"""

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compat_tests.cluster.mixed import KAFKA, MixedCluster, eventually
from compat_tests.cluster.refusals import REFUSED
from compat_tests.disk.handover import asking
from compat_tests.java.tools import ToolShell
from pykbroker.protocol.messages.api_versions import ApiVersionsRequest
from tools.oracle.cluster import HOST

FOLDER = Path(__file__).with_name("tool_calls")
TOOLS = "org.apache.kafka.tools."
CLUSTER, ELECTION, FEATURES, LOG_DIRS = "ClusterTool", "LeaderElectionCommand", "FeatureCommand", "LogDirsCommand"
QUORUM, REASSIGN, TOPICS = "MetadataQuorumCommand", "reassign.ReassignPartitionsCommand", "TopicCommand"
ONE, TWO = 1, 2
FINALIZED = {
    "eligible.leader.replicas.version": 1,
    "group.version": 1,
    "metadata.version": 30,
    "share.version": 1,
    "streams.version": 1,
    "transaction.version": 2,
}
# The id of a controller and of its directory that no quorum has.
NOBODY = ("--controller-id", "7", "--controller-directory-id", "JEXY6aqzQY-32P5TStzaFg")


class Transcript:
    """`lines`: what was said, without what always differs."""

    def __init__(self, cluster: MixedCluster, shell: ToolShell) -> None:
        self.cluster = cluster
        self.lines: list[str] = []
        self._shell = shell
        self._controller = f"{HOST}:{cluster.controller_port}"

    def servers(self) -> list[tuple[str, str]]:
        """Through each broker, and straight to the controller."""
        brokers = [("--bootstrap-server", address) for address in self.cluster.addresses.values()]
        return [*brokers, ("--bootstrap-controller", self._controller)]

    def call(self, tool: str, *arguments: str) -> None:
        code, output = self._shell.call(TOOLS + tool, *arguments)
        said = sorted(self._shorn(output).splitlines())  # some print in the order of a hash table
        self.lines += [f"$ {tool} {self._shorn(' '.join(arguments))}", f"exit code {code}", *said, ""]

    def ask(self, request: Any, version: int) -> None:
        """Each broker in turn: it forwards what is the controller's."""
        for number, address in self.cluster.addresses.items():
            with asking(address) as asker:
                answer = repr(asker.ask(request, version))
            self.lines += [f"> {number} {type(request).__name__} {version}", self._shorn(answer), ""]

    def _shorn(self, text: str) -> str:
        text = re.sub(
            r"^\[[^\n]*\] (WARN|ERROR|INFO) [^\n]*\n|^\s+at [^\n]*\n|^\s+\.\.\. \d+ more\n", "", text, flags=re.M
        )
        for number, address in self.cluster.addresses.items():
            port = address.rpartition(":")[2]
            text = text.replace(f":{port}", f":PORT{number}").replace(f" {port} ", f" PORT{number} ")
        port = str(self.cluster.controller_port)
        text = (
            text.replace(f":{port}", ":PORT").replace(f" {port} ", " PORT ").replace(str(self.cluster.folder), "FOLDER")
        )
        for pattern, instead in SHORN:
            text = re.sub(pattern, instead, text)
        return re.sub(r"CurrentObservers:.*", lambda found: str(sorted(re.findall(r'"id": \d+', found[0]))), text)


SHORN = (
    (r"Epoch: +\d+", "Epoch: N"),
    (r"HighWatermark: +\d+", "HighWatermark: N"),
    (r"(MaxFollowerLag|MaxFollowerLagTimeMs): +-?\d+", r"\1: N"),
    # A voter or an observer: its end, its lag and times.
    (r"(?m)^(\d+\s+)\S{22}\s+\d+\s+\d+\s+-?\d+\s+-?\d+\s+", r"\1"),
    (r"(?<![\w./-])[A-Za-z0-9_-]{22}(?![\w.-])", "UUID"),
    (r'"(size|offsetLag)":\d+', r'"\1":N'),
    (r"Uuid\([^)]*\)", "UUID"),
)


def transcript(cluster: MixedCluster) -> str:
    """Of a cluster with the brokers 1 and 2, which is the worse for it afterwards."""
    with ToolShell() as shell:
        told = Transcript(cluster, shell)
        for part in (features, quorum, requests, topics, elections, reassignments, without_a_broker):
            part(told)
        if not cluster.dynamic:
            becomes_dynamic(told)
    return "\n".join(told.lines)


def features(told: Transcript) -> None:
    for server in told.servers():
        told.call(FEATURES, *server, "describe")
        told.call(FEATURES, *server, "downgrade", "--feature", "group.version=0", "--feature", "nope=0")
        told.call(FEATURES, *server, "downgrade", "--metadata", "4.2-IV1")
        told.call(FEATURES, *server, "upgrade", "--release-version", "4.3", "--dry-run")
        told.call(FEATURES, *server, "upgrade", "--feature", "transaction.version=3")
        told.call(FEATURES, *server, "downgrade", "--feature", "kraft.version=-1")
    servers = told.servers()
    for number, (name, level) in enumerate(FINALIZED.items()):
        server = servers[number % len(servers)]
        told.call(FEATURES, *server, "disable", "--feature", name)
        told.call(FEATURES, *server, "upgrade", "--feature", f"{name}={level}")
    for address in told.cluster.addresses.values():
        eventually(lambda address=address: finalized(address).items() >= FINALIZED.items())  # type: ignore[misc]  # bound early
    for server in servers:
        told.call(FEATURES, *server, "describe")


def finalized(address: str) -> dict[str, int]:
    request = ApiVersionsRequest(client_software_name="test", client_software_version="1")
    with asking(address) as asker:
        return {row.name: row.max_version_level for row in asker.ask(request, 4).finalized_features}


def quorum(told: Transcript) -> None:
    for server in told.servers():
        told.call(QUORUM, *server, "describe", "--status")
        told.call(QUORUM, *server, "describe", "--replication")
        told.call(QUORUM, *server, "remove-controller", *NOBODY)
        told.call(CLUSTER, "cluster-id", *server)
        told.call(CLUSTER, "list-endpoints", *server)
        told.call(CLUSTER, "unregister", *server, "--id", "7")
    told.call(
        QUORUM, *told.servers()[TWO], "--command-config", str(told.cluster.controller.properties), "add-controller"
    )


def requests(told: Transcript) -> None:
    told.cluster.create("asked", [ONE, TWO], [TWO, ONE])
    for request, version in REFUSED:
        told.ask(request, version)


def topics(told: Transcript) -> None:
    for number, server in enumerate(told.servers()[:2], 1):
        name = f"topic-{number}"
        told.call(TOPICS, *server, "--create", "--topic", name, "--replica-assignment", "1:2,2:1,1:2,2:1")
        told.call(TOPICS, *server, "--create", "--topic", name, "--replica-assignment", "1:2")
        told.call(TOPICS, *server, "--alter", "--topic", name, "--partitions", "5", "--replica-assignment", "1:2")
        told.call(TOPICS, *server, "--alter", "--topic", name, "--partitions", "2")
    told.cluster.await_all_in_sync("topic-1", "topic-2")
    for server in told.servers()[:2]:
        told.call(TOPICS, *server, "--describe", "--topic", "topic-1")
        told.call(LOG_DIRS, *server, "--describe", "--topic-list", "topic-1,topic-2")
        told.call(LOG_DIRS, *server, "--describe", "--broker-list", "9")


def elections(told: Transcript) -> None:
    for server in told.servers():
        for kind in ("preferred", "unclean"):
            elect(told, server, kind, "topic-1", 1)
        elect(told, server, "preferred", "topic-1", 9)
        elect(told, server, "preferred", "nope", 0)


def elect(told: Transcript, server: tuple[str, str], kind: str, topic: str, partition: int) -> None:
    told.call(ELECTION, *server, "--election-type", kind, "--topic", topic, "--partition", str(partition))


def plan(told: Transcript, topic: str, partition: int, *replicas: int) -> tuple[str, str]:
    row = {"topic": topic, "partition": partition, "replicas": replicas}
    file = told.cluster.folder / "plan.json"
    file.write_text(json.dumps({"version": 1, "partitions": [row]}))
    return "--reassignment-json-file", str(file)


def reassignments(told: Transcript) -> None:
    cluster = told.cluster
    for number, server in enumerate(told.servers()[:2], 1):
        topic = f"topic-{number}"
        file = plan(told, topic, 2, TWO)
        throttles = ("--throttle", "5000000", "--replica-alter-log-dirs-throttle", "1000000")
        told.call(REASSIGN, *server, *file, "--execute", *throttles)
        eventually(lambda topic=topic: cluster.replicas(topic)[2] == [TWO])  # type: ignore[misc]  # bound early
        told.call(REASSIGN, *server, "--list")
        told.call(REASSIGN, *server, *file, "--cancel", "--preserve-throttles")
        told.call(REASSIGN, *server, *file, "--verify")
        for wrong in ((topic, 2, 9), (topic, 99, ONE), ("nope", 0, ONE), (topic, 2, ONE, ONE)):
            told.call(REASSIGN, *server, *plan(told, *wrong), "--execute")


def without_a_broker(told: Transcript) -> None:
    cluster, server = told.cluster, told.servers()[0]
    cluster.brokers[TWO].stop()
    eventually(lambda: cluster.unfenced() == {ONE} and TWO not in cluster.leaders("topic-1"))
    for which in ("under-replicated", "under-min-isr", "at-min-isr", "unavailable"):
        told.call(TOPICS, *server, "--describe", "--exclude-internal", f"--{which}-partitions")
    elect(told, server, "preferred", "topic-1", 1)
    for controller in (server, told.servers()[-1]):
        told.call(
            CLUSTER, "list-endpoints", *controller, *(["--include-fenced-brokers"] if controller == server else [])
        )
    for _ in range(2):
        told.call(CLUSTER, "unregister", *server, "--id", str(TWO))


def becomes_dynamic(told: Transcript) -> None:
    server = told.servers()[0]
    told.call(FEATURES, *server, "upgrade", "--release-version", "4.3")
    eventually(lambda: finalized(server[1]).get("kraft.version") == 1)
    told.call(FEATURES, *server, "describe")
    told.call(FEATURES, *server, "downgrade", "--feature", "kraft.version=0")
    told.call(QUORUM, *server, "describe", "--replication")


def recorded(dynamic: bool) -> Path:
    return FOLDER / f"{'dynamic' if dynamic else 'static'}.txt"


def runs() -> Iterator[tuple[Path, str]]:
    for dynamic in (False, True):
        with tempfile.TemporaryDirectory(prefix="pykbroker-tools-", ignore_cleanup_errors=True) as folder:
            cluster = MixedCluster(Path(folder), KAFKA, {ONE: KAFKA, TWO: KAFKA}, dynamic=dynamic)
            try:
                cluster.start()
                yield recorded(dynamic), transcript(cluster)
            finally:
                cluster.stop()


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for file, text in runs():
        file.write_text(text)
        print(f"{file}: {len(text)} bytes")


if __name__ == "__main__":
    main()
