"""What a broker answers of config changes by itself. Kafka's own answers: tests/handlers/broker/test_*_configs.py."""

import logging

import pytest

from pykbroker.config.admin import ConfigAdmin
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.config.dynamic import DynamicBrokerConfig
from pykbroker.errors import KafkaError
from pykbroker.metadata.image import BROKER_RESOURCE
from pykbroker.protocol.enums import AlterConfigOp, ConfigResourceType
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages import alter_configs, incremental_alter_configs
from tests.config.images import image_of

SET, DELETE, APPEND, SUBTRACT = AlterConfigOp
TOPIC, BROKER, LOGGER = ConfigResourceType.TOPIC, ConfigResourceType.BROKER, ConfigResourceType.BROKER_LOGGER


def admin(**stored: str) -> ConfigAdmin:
    configs = {name.replace("_", "."): value for name, value in stored.items()}
    return ConfigAdmin(1, DynamicBrokerConfig(BrokerConfig(), 1), image_of({(BROKER_RESOURCE, "1"): configs}))


def row(kind: int, name: str, *changes: tuple[str, int, str | None]) -> incremental_alter_configs.AlterConfigsResource:
    configs = [incremental_alter_configs.AlterableConfig(key, operation, value) for key, operation, value in changes]
    return incremental_alter_configs.AlterConfigsResource(kind, name, configs)


def answers(
    admin: ConfigAdmin, *rows: incremental_alter_configs.AlterConfigsResource
) -> dict[int, tuple[int, str | None] | None]:
    done = admin.preprocess_incremental(rows, validate_only=False)
    return {index: None if error is None else (error.code, error.message) for index, error in done.items()}


def test_what_the_controller_decides_is_left_to_it() -> None:
    rows = [row(TOPIC, "t", ("nope", SET, "x")), row(32, "g"), row(16, "m"), row(BROKER, ""), row(BROKER, "1")]
    assert answers(admin(), *rows) == {}


def test_answers_keep_their_place() -> None:
    rows = [row(TOPIC, "t"), row(0, "x"), row(TOPIC, "u"), row(TOPIC, "u"), row(TOPIC, "v", ("a", SET, None))]
    assert answers(admin(), *rows) == {
        1: (ErrorCode.INVALID_REQUEST, "Unknown resource type 0"),
        2: (ErrorCode.INVALID_REQUEST, "Each resource must appear at most once."),
        3: (ErrorCode.INVALID_REQUEST, "Each resource must appear at most once."),
        4: (ErrorCode.INVALID_REQUEST, "Null value not supported for : a"),
    }


def test_a_broker_is_checked_with_what_is_stored() -> None:
    stored = admin(log_cleanup_policy="compact", num_io_threads="x", node_id="5")
    assert answers(stored, row(BROKER, "1", ("log.cleanup.policy", APPEND, "delete"))) == {}
    assert answers(stored, row(BROKER, "1", ("log.cleanup.policy", APPEND, "nope"))) == {
        0: (
            ErrorCode.INVALID_REQUEST,
            "Invalid value nope for configuration log.cleanup.policy: String must be one of: compact, delete",
        )
    }
    assert answers(stored, row(BROKER, "1", ("log.cleanup.policy", SUBTRACT, "compact"))) == {}


@pytest.mark.parametrize("name", ["1_0", "", " 1", "1.0", "99999999999"])
def test_numbers_of_nodes_are_java_s(name: str) -> None:
    expected = ErrorCode.INVALID_REQUEST, f"Node id must be an integer, but it is: {name}"
    assert answers(admin(), row(LOGGER, name)) == {0: expected}


def test_loggers_are_set_here(request: pytest.FixtureRequest) -> None:
    logger = logging.getLogger("pykbroker.test_of_admin")
    request.addfinalizer(lambda: logger.setLevel(logging.NOTSET))
    change = row(LOGGER, "1", (logger.name, SET, "ERROR"))
    assert admin().preprocess_incremental([change], validate_only=True) == {0: None}
    assert logger.level == logging.NOTSET
    assert answers(admin(), change) == {0: None}
    assert logger.level == logging.ERROR
    assert answers(admin(), row(LOGGER, "1", (logger.name, DELETE, None))) == {0: None}
    assert logger.level == logging.NOTSET


def test_one_bad_level_sets_none(request: pytest.FixtureRequest) -> None:
    logger = logging.getLogger("pykbroker.test_of_admin")
    bad = row(LOGGER, "1", (logger.name, SET, "ERROR"), ("nobody", SET, "ERROR"))
    assert answers(admin(), bad) == {0: (ErrorCode.INVALID_CONFIG, "Logger nobody does not exist!")}
    assert logger.level == logging.NOTSET


def test_legacy_requests() -> None:
    def legacy(kind: int, name: str, *configs: tuple[str, str | None]) -> alter_configs.AlterConfigsResource:
        return alter_configs.AlterConfigsResource(
            kind, name, [alter_configs.AlterableConfig(key, value) for key, value in configs]
        )

    rows = [
        legacy(BROKER, "1", ("log.retention.ms", "5")),
        legacy(LOGGER, "1", ("root", "INFO")),
        legacy(TOPIC, "t", ("a", "1"), ("a", "2")),
        legacy(BROKER, "2"),
        legacy(TOPIC, "u"),
        legacy(TOPIC, "u"),
    ]
    done = admin().preprocess_legacy(rows)
    assert all(isinstance(error, KafkaError) for error in done.values())
    assert {index: error.message for index, error in done.items() if error} == {
        1: "Unknown resource type 8",
        2: "Error due to duplicate config keys",
        3: "Unexpected broker id, expected 1, but received 2",
        4: "Each resource must appear at most once.",
        5: "Each resource must appear at most once.",
    }
