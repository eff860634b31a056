"""Names that Kafka takes in a server.properties though no definition has them, and the nearest name to a wrong one."""

from pykbroker.config.definitions import BROKER

# Read by plug-ins: the part behind the prefix is theirs to know.
PLUGIN_PREFIXES = (
    "config.providers.",
    "listener.name.",
    "metric.reporters.",
    "kafka.metrics.",
    "rlmm.config.",
    "rsm.config.",
    "confluent.",
)
# Read by Kafka's own plug-ins: the authorizer and the metric reporters.
PLUGIN_NAMES = frozenset(
    {
        "allow.everyone.if.no.acl.found",
        "external.kafka.metrics.exclude",
        "kafka.csv.metrics.dir",
        "kafka.csv.metrics.reporter.enabled",
        "super.users",
    }
)
# Kafka took them before 4.0 and overlooks them since.
REMOVED = frozenset(
    {
        "advertised.host.name",
        "advertised.port",
        "broker.id.generation.enable",
        "control.plane.listener.name",
        "delegation.token.master.key",
        "host.name",
        "inter.broker.protocol.version",
        "log.message.downconversion.enable",
        "log.message.format.version",
        "log.message.timestamp.difference.max.ms",
        "offsets.commit.required.acks",
        "port",
        "reserved.broker.max.id",
        "transaction.partition.verification.enabled",
        "zookeeper.clientCnxnSocket",
        "zookeeper.connect",
        "zookeeper.connection.timeout.ms",
        "zookeeper.max.in.flight.requests",
        "zookeeper.metadata.migration.enable",
        "zookeeper.session.timeout.ms",
        "zookeeper.set.acl",
    }
)
_REMOVED_PREFIXES = ("password.encoder.", "zookeeper.ssl.")


def is_defined(name: str) -> bool:
    return name in BROKER


def is_overlooked(name: str) -> bool:
    """Accepted, without any effect here."""
    return (
        name in PLUGIN_NAMES
        or name in REMOVED
        or name.startswith(PLUGIN_PREFIXES)
        or name.startswith(_REMOVED_PREFIXES)
    )


def nearest(name: str) -> str | None:
    """The setting that was probably meant."""
    from difflib import get_close_matches

    lowered = name.lower().replace("_", ".")
    if lowered in BROKER:
        return lowered
    return next(iter(get_close_matches(lowered, BROKER, n=1, cutoff=0.75)), None)
