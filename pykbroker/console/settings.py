"""What the controller and the brokers of a console are started with. Pure."""

from collections.abc import Container, Mapping
from typing import NamedTuple

CONTROLLER_ID = 100
MAX_BROKERS = CONTROLLER_ID - 1
# Copies of a partition, unless the user says otherwise: as many as Kafka's own defaults for internal topics.
MAX_REPLICAS = 3
# What the console decides for each node; a user who sets one of them means something else.
OWN_SETTINGS = frozenset(
    {
        "advertised.listeners",
        "broker.id",
        "controller.listener.names",
        "controller.quorum.bootstrap.servers",
        "controller.quorum.voters",
        "inter.broker.listener.name",
        "listener.security.protocol.map",
        "listeners",
        "log.dir",
        "log.dirs",
        "metadata.log.dir",
        "node.id",
        "process.roles",
        "security.inter.broker.protocol",
    }
)
_REPLICATION_FACTORS = (
    "default.replication.factor",
    "offsets.topic.replication.factor",
    "share.coordinator.state.topic.replication.factor",
    "transaction.state.log.replication.factor",
)
_WILDCARDS = ("", "0.0.0.0", "::")
_MIN_ISR = ("share.coordinator.state.topic.min.isr", "transaction.state.log.min.isr")


class Plan(NamedTuple):
    """A cluster as the command line asks for it. `port`: of broker 1, 0 for free ones; `settings`: name=value."""

    directory: str
    brokers: int
    host: str
    port: int
    config: str | None
    settings: tuple[str, ...]
    log_level: str
    log_format: str

    def own_setting(self) -> str | None:
        """The first of `settings` that is not the user's to choose."""
        return next((text for text in self.settings if text.partition("=")[0].strip() in OWN_SETTINGS), None)

    def folder(self, name: str) -> str:
        return f"{self.directory}/{name}"

    def controller(self) -> list[str]:
        """Settings of the controller, on a free port of this machine alone."""
        return [
            *self.settings,
            *_as_texts(
                {
                    "process.roles": "controller",
                    "node.id": str(CONTROLLER_ID),
                    "controller.listener.names": "CONTROLLER",
                    "listeners": "CONTROLLER://127.0.0.1:0",
                    "log.dirs": self.folder("controller"),
                }
            ),
        ]

    def broker(self, number: int, port: int, controller_port: int, chosen: Container[str]) -> list[str]:
        """Arguments behind `pykbroker`. `chosen`: names of all that the user has set, by whatever means."""
        defaults = {name: value for name, value in self.defaults().items() if name not in chosen}
        host = f"[{self.host}]" if ":" in self.host else self.host
        own = {
            "process.roles": "broker",
            "node.id": str(number),
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": f"{CONTROLLER_ID}@127.0.0.1:{controller_port}",
            "listeners": f"PLAINTEXT://{host}:{port}",
            "log.dirs": self.folder(f"broker-{number}"),
        }
        if self.host not in _WILDCARDS:
            # All brokers tell all addresses alike: some clients take another name for another broker.
            own["advertised.listeners"] = own["listeners"]
        arguments = ["serve", "--stop-with-stdin", "--log-level", self.log_level, "--log-format", self.log_format]
        if self.config is not None:
            arguments += ["--config", self.config]
        for text in (*self.settings, *_as_texts(defaults), *_as_texts(own)):
            arguments += ["--set", text]
        return arguments

    def defaults(self) -> dict[str, str]:
        """Every topic has as many copies as there are brokers, at most three; with three, what coordinators write is
        acknowledged by two."""
        copies = min(MAX_REPLICAS, self.brokers)
        return {
            **dict.fromkeys(_REPLICATION_FACTORS, str(copies)),
            **dict.fromkeys(_MIN_ISR, str(max(1, copies - 1))),
        }

    def first_port(self, number: int) -> int:
        return self.port and self.port + number - 1


def _as_texts(settings: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in settings.items()]
