"""Images that hold configs only."""

from collections.abc import Mapping

from pykbroker.metadata.delta import MetadataDelta
from pykbroker.metadata.image import BROKER_RESOURCE, ConfigsImage, MetadataImage
from pykbroker.protocol.persisted.metadata.config_record import ConfigRecord

Configs = Mapping[tuple[int, str], Mapping[str, str]]


def image_of(configs: Configs) -> MetadataImage:
    return MetadataImage.empty()._replace(configs=ConfigsImage(configs))


def changed(
    image: MetadataImage, name: str, value: str | None, kind: int = BROKER_RESOURCE, resource: str = "1"
) -> tuple[MetadataDelta, MetadataImage]:
    """The delta and the image after one change."""
    delta = MetadataDelta(image)
    delta.replay(ConfigRecord(resource_type=kind, resource_name=resource, name=name, value=value))
    return delta, delta.apply(image.offset + 1, 1)
