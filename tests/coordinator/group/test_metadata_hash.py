"""When the topics of a group count as changed."""

from pykbroker.coordinator.group.metadata_hash import MetadataHasher, topic_hash
from pykbroker.ids import Uuid
from pykbroker.metadata.image import BrokerRegistration, MetadataImage
from tests.coordinator.group.consumer_plays import topics_image


class View:
    def __init__(self, counts: dict[str, int]) -> None:
        self.image = topics_image(counts)
        self.hasher = MetadataHasher(lambda: self.image)

    def hash(self, *topics: str) -> int:
        return self.hasher.group_hash(topics)


def with_rack(image: MetadataImage, rack: str | None) -> MetadataImage:
    return image._replace(brokers={1: BrokerRegistration(1, 0, Uuid(16), (), {}, rack, False, False)})


def test_nothing_is_zero() -> None:
    assert View({"t": 1}).hash() == 0
    assert View({"t": 1}).hash("x") == 0


def test_the_same_topics_in_any_order_hash_the_same() -> None:
    assert View({"a": 1, "b": 2}).hash("a", "b") == View({"b": 2, "a": 1}).hash("b", "a", "x")


def test_what_changes_it() -> None:
    view = View({"a": 1, "b": 2})
    before = view.hash("a", "b")
    view.image = topics_image({"a": 1, "b": 2, "c": 1})
    assert view.hash("a", "b") == before
    assert view.hash("a", "c") != before
    view.image = topics_image({"a": 1, "b": 3})
    assert view.hash("a", "b") != before


def test_racks_count() -> None:
    image = topics_image({"a": 1})
    (topic,) = image.topics
    hashes = {topic_hash(with_rack(image, rack), topic) for rack in (None, "", "r", "s")}
    assert len(hashes) == 3
    assert topic_hash(image, topic) in hashes


def test_the_hash_that_a_real_kafka_wrote() -> None:
    """Of the group `group-new` in the golden directories."""
    ids = {
        "plain": Uuid.parse("OD9UZhqlT3KWWq0bah-W8g"),
        "default.config_topic-1": Uuid.parse("9CZTP1QvSdK0kmjLwlKkMg"),
    }
    image = topics_image({"plain": 2, "default.config_topic-1": 3}, ids=ids)
    assert MetadataHasher(lambda: image).group_hash(ids) == -5551817381920198672
