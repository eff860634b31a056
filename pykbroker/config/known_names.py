"""What a name stands for: a definition, one of a listener, a plug-in's, one of older Kafkas, or a slip of the pen."""

import re

from pykbroker.config.definitions import BROKER, QUOTA_BROKER, Row
from pykbroker.config.types import PER_BROKER, READ_ONLY

_LISTENER_PREFIX = r"listener\.name\.[^.]*\.(.*)"
# A dynamic change of these must name the listener (DynamicSecurityConfigs).
SECURITY_CONFIGS = frozenset(
    {
        "ssl.key.password",
        "ssl.keystore.certificate.chain",
        "ssl.keystore.key",
        "ssl.keystore.location",
        "ssl.keystore.password",
        "ssl.keystore.type",
        "ssl.truststore.certificates",
        "ssl.truststore.location",
        "ssl.truststore.password",
        "ssl.truststore.type",
    }
)

# Read by plug-ins: the part behind the prefix is theirs to know.
PLUGIN_PREFIXES = (
    "config.providers.",
    "listener.name.",
    "metric.reporters.",
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


def base_name(name: str) -> str | None:
    """The config that listener.name.<listener>.<config> sets for one listener; None for other names."""
    match = re.fullmatch(_LISTENER_PREFIX, name) if name.startswith("listener.name.") else None
    return match[1] if match else None


def row_of(name: str) -> Row | None:
    """The definition of a broker config: by its name, as a quota, or of a listener."""
    row = BROKER.get(name) or QUOTA_BROKER.get(name)
    if row is None and (base := base_name(name)):
        return BROKER.get(base)
    return row


def is_dynamic(name: str) -> bool:
    """May change while the broker runs, by this very name."""
    row = BROKER.get(name)
    return row[3] != READ_ONLY if row else name in QUOTA_BROKER


def is_per_broker(name: str) -> bool:
    """May not be set for all brokers at once."""
    row = row_of(name)
    return row is not None and row[3] == PER_BROKER


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
