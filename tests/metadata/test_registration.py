import pytest

from pykbroker.ids import Endpoint
from pykbroker.metadata import registration
from pykbroker.protocol.persisted.metadata.broker_registration_change_record import BrokerRegistrationChangeRecord
from pykbroker.protocol.persisted.metadata.register_broker_record import (
    BrokerEndpoint,
    BrokerFeature,
    RegisterBrokerRecord,
)
from pykbroker.protocol.persisted.metadata.register_controller_record import (
    ControllerEndpoint,
    RegisterControllerRecord,
)
from tests.metadata.history import uuid

RECORD = RegisterBrokerRecord(
    broker_id=1,
    broker_epoch=7,
    incarnation_id=uuid(5),
    end_points=[BrokerEndpoint(name="L", host="h", port=9092, security_protocol=2)],
    features=[BrokerFeature(name="f", min_supported_version=1, max_supported_version=3)],
    rack="r",
    log_dirs=[uuid(1)],
)
BROKER = registration.broker_from(RECORD)


def test_a_broker_is_what_its_record_says():
    assert (BROKER.id, BROKER.epoch, BROKER.incarnation_id, BROKER.rack) == (1, 7, uuid(5), "r")
    assert BROKER.endpoints == (Endpoint("L", "SASL_PLAINTEXT", "h", 9092),)
    assert BROKER.features == {"f": (1, 3)}
    assert BROKER.directories == (uuid(1),)
    assert BROKER.cordoned_directories is None
    assert BROKER.fenced
    assert not BROKER.in_controlled_shutdown


def test_a_controller_too():
    record = RegisterControllerRecord(
        controller_id=3,
        incarnation_id=uuid(6),
        end_points=[ControllerEndpoint(name="C", host="h", port=1, security_protocol=0)],
    )
    controller = registration.controller_from(record)
    assert (controller.id, controller.incarnation_id) == (3, uuid(6))
    assert controller.endpoints == (Endpoint("C", "PLAINTEXT", "h", 1),)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"fenced": -1}, {"fenced": False}),
        ({"fenced": 1}, {"fenced": True}),
        ({"in_controlled_shutdown": 1}, {"in_controlled_shutdown": True}),
        ({"log_dirs": [uuid(2)]}, {"directories": (uuid(2),)}),
        ({"cordoned_log_dirs": []}, {"cordoned_directories": ()}),
        ({"cordoned_log_dirs": [uuid(1)]}, {"cordoned_directories": (uuid(1),)}),
    ],
)
def test_a_change_takes_over_what_it_names(fields, expected):
    assert registration.change(BROKER, BrokerRegistrationChangeRecord(**fields)) == BROKER._replace(**expected)


@pytest.mark.parametrize("fields", [{"fenced": 2}, {"fenced": -2}, {"in_controlled_shutdown": -1}])
def test_a_change_that_kafka_does_not_define_is_refused(fields):
    with pytest.raises(ValueError, match="unknown value"):
        registration.change(BROKER, BrokerRegistrationChangeRecord(**fields))


def test_security_protocols_by_number_and_name():
    for number, name in enumerate(("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")):
        assert registration.security_protocol_name(number) == name
        assert registration.security_protocol_number(name) == number
    for number in (-1, 4):
        with pytest.raises(ValueError, match="unknown security protocol"):
            registration.security_protocol_name(number)
