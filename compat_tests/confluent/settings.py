"""What tests tell librdkafka whose broker they stop or kill."""

from typing import Any, Final

# librdkafka 2.16, its only broker down, bootstraps once more and then waits for ever, whatever timeout its caller gave,
# for the broker that it dropped (its thread spins in "Handle is terminating").
KEEP_BROKERS: Final[dict[str, Any]] = {"metadata.recovery.strategy": "none"}


def brokers_at(bootstrap: str) -> dict[str, Any]:
    """For clients of brokers that may all go. Of several none may be left in a Metadata answer, when all are fenced:
    KEEP_BROKERS would then keep nobody, for ever, so that only a single one is kept."""
    return {"bootstrap.servers": bootstrap, **({} if "," in bootstrap else KEEP_BROKERS)}
