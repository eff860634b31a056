"""Which versions a broker tells its clients when the controller is another program."""

from pykbroker.handlers.api_versions_view import is_software_name, within_reach
from pykbroker.protocol.apis import ApiKey

CREATE, FETCH = int(ApiKey.CREATE_TOPICS), int(ApiKey.FETCH)
ROWS = [(FETCH, 4, 18), (CREATE, 2, 7)]


def test_with_its_own_controller_nothing_is_left_out() -> None:
    assert within_reach(ROWS, None) == ROWS


def test_what_is_forwarded_is_told_as_far_as_the_controller_goes() -> None:
    assert within_reach(ROWS, {CREATE: (3, 6), FETCH: (17, 17)}) == [(FETCH, 4, 18), (CREATE, 3, 6)]
    assert within_reach(ROWS, {CREATE: (0, 9)}) == ROWS


def test_what_the_controller_does_not_have_is_not_told() -> None:
    assert within_reach(ROWS, {}) == [(FETCH, 4, 18)]
    assert within_reach(ROWS, {CREATE: (8, 9)}) == [(FETCH, 4, 18)]


def test_software_names() -> None:
    assert is_software_name("apache-kafka-java")
    assert not is_software_name("-java")
    assert not is_software_name("")
