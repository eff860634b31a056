"""Which resources of a request are changed, by what ControllerApis refuses."""

import pytest

from pykbroker.handlers.config_resources import distinct
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.alter_configs import AlterConfigsResource

TOPIC, BROKER = 2, 4


def refusals(*keys: tuple[int, str]) -> tuple[list[tuple[int, str]], list[tuple[int, str, int]]]:
    found, refused = distinct(AlterConfigsResource(kind, name) for kind, name in keys)
    assert all((each.resource_type, each.resource_name) == key for key, each in found.items())
    return list(found), [(*key, error.code) for key, error in refused]


def test_all_that_come_once() -> None:
    keys = [(TOPIC, "a"), (BROKER, "a"), (8, "1"), (16, "m"), (32, "g")]
    assert refusals(*keys) == (keys, [])


def test_those_that_come_twice_or_thrice_are_refused_once() -> None:
    asked = [(TOPIC, "a"), (TOPIC, "b"), (TOPIC, "a"), (TOPIC, "a")]
    assert refusals(*asked) == ([(TOPIC, "b")], [(TOPIC, "a", ErrorCode.INVALID_REQUEST)])


@pytest.mark.parametrize("kind", [-1, 0, 1, 3, 64])
def test_a_type_that_nobody_knows(kind: int) -> None:
    assert refusals((kind, "a")) == ([], [(kind, "a", ErrorCode.UNSUPPORTED_VERSION)])
