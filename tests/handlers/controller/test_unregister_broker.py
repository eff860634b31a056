"""UnregisterBroker, as the real Kafka 4.3.1 answers it; brokers that can go exist in memory only."""

import pytest

from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.messages.unregister_broker import UnregisterBrokerRequest
from tests.controller.stand import ClusterStand
from tests.handlers.broker.asker import Asker
from tests.handlers.cluster_asker import ClusterAsker

__all__ = ["test_brokers_that_are_not_registered"]


def unregister(asker: Asker, broker_id: int) -> tuple[int, str | None]:
    response = asker.ask(UnregisterBrokerRequest(broker_id=broker_id), 0)
    assert response.throttle_time_ms == 0
    return response.error_code, response.error_message


@pytest.mark.parametrize("broker_id", [7, -1])
def test_brokers_that_are_not_registered(cluster: Asker, broker_id: int) -> None:
    code, message = unregister(cluster, broker_id)
    assert (code, message) == (
        ErrorCode.BROKER_ID_NOT_REGISTERED,
        f"Broker ID {broker_id} is not currently registered",
    )


def test_a_broker_that_is_gone(cluster_stand: ClusterStand, cluster: ClusterAsker) -> None:
    cluster_stand.add_broker(2)
    cluster_stand.heartbeat(2, want_fence=True)
    assert unregister(cluster, 2) == (0, ""), "as the real one says it"
    assert list(cluster_stand.image.brokers) == [1]
    assert unregister(cluster, 2)[0] == ErrorCode.BROKER_ID_NOT_REGISTERED
