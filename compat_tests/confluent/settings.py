"""What tests tell librdkafka whose broker they stop or kill."""

from typing import Any, Final

# librdkafka 2.16, its only broker down, bootstraps once more and then waits for ever, whatever timeout its caller gave,
# for the broker that it dropped (its thread spins in "Handle is terminating").
KEEP_BROKERS: Final[dict[str, Any]] = {"metadata.recovery.strategy": "none"}
