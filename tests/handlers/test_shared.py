import pytest

from pykbroker.errors import KafkaError
from pykbroker.handlers.shared import require_time
from pykbroker.protocol.error_codes import ErrorCode


@pytest.mark.parametrize("timeout_ms", [0, -1, -(2**31)])
def test_what_is_late_is_refused(timeout_ms: int) -> None:
    with pytest.raises(KafkaError) as refused:
        require_time(timeout_ms)
    assert (refused.value.code, refused.value.message) == (ErrorCode.REQUEST_TIMED_OUT, None)


def test_a_millisecond_is_enough() -> None:
    require_time(1)
