import pytest

from pykbroker.ids import Endpoint, Uuid
from pykbroker.metadata.image import BrokerRegistration, ConfigsImage, FeaturesImage, MetadataImage

BROKER = BrokerRegistration(
    id=1,
    epoch=7,
    incarnation_id=Uuid(range(16)),
    endpoints=(Endpoint("PLAINTEXT", "PLAINTEXT", "h", 9092), Endpoint("SSL", "SSL", "h", 9093)),
    features={},
    rack=None,
    fenced=False,
    in_controlled_shutdown=False,
)


def test_the_empty_image_is_before_everything():
    image = MetadataImage.empty("c")
    assert (image.cluster_id, image.offset, image.epoch) == ("c", -1, -1)
    assert image.features.metadata_version == 0
    assert image.producer_ids.next_producer_id == -1
    assert image == MetadataImage.empty("c") != MetadataImage.empty("d")


@pytest.mark.parametrize(
    ("fenced", "leaving", "active"), [(False, False, True), (True, False, False), (False, True, False)]
)
def test_a_broker_is_active_unless_fenced_or_leaving(fenced, leaving, active):
    assert BROKER._replace(fenced=fenced, in_controlled_shutdown=leaving).is_active is active


def test_endpoints_are_found_by_listener():
    endpoint = BROKER.endpoint("SSL")
    assert endpoint is not None
    assert endpoint.port == 9093
    assert BROKER.endpoint("SASL") is None


def test_configs_are_found_by_resource():
    configs = ConfigsImage(
        {(2, "t"): {"a": "1"}, (4, ""): {"b": "2"}, (4, "1"): {"b": "3"}, (16, "m"): {"c": "4"}, (32, "g"): {"d": "5"}}
    )
    assert configs.topic("t") == {"a": "1"}
    assert configs.broker("") == {"b": "2"}
    assert configs.broker(1) == {"b": "3"}
    assert configs.client_metrics("m") == {"c": "4"}
    assert configs.group("g") == {"d": "5"}
    assert configs.topic("g") == {}
    assert configs == ConfigsImage(dict(configs.resources)) != ConfigsImage({})


def test_secrets_are_not_printed():
    assert "hush" not in repr(ConfigsImage({(4, ""): {"password": "hush"}}))


def test_features_that_are_not_finalized_have_level_0():
    features = FeaturesImage({"metadata.version": 30, "group.version": 1})
    assert (features.metadata_version, features.level("group.version"), features.level("x")) == (30, 1, 0)
