from pykbroker.metadata.delta import MetadataDelta
from pykbroker.metadata.image import MetadataImage
from pykbroker.metadata.publisher import MetadataPublisher
from pykbroker.protocol.persisted.metadata.topic_record import TopicRecord
from tests.metadata.history import uuid


class Listener:
    def __init__(self, publisher, told):
        self.publisher, self.told = publisher, told

    def on_metadata_update(self, delta, image):
        self.told.append((self, delta, image, self.publisher.image))


def publish(publisher, name, offset):
    delta = MetadataDelta(publisher.image)
    delta.replay(TopicRecord(name=name, topic_id=uuid(offset)))
    image = delta.apply(offset, 1)
    publisher.publish(delta, image)
    return delta, image


def test_subscribers_are_told_in_order_and_see_the_new_image():
    publisher, told = MetadataPublisher("c"), []
    first, second = Listener(publisher, told), Listener(publisher, told)
    publisher.subscribe(first)
    publisher.subscribe(second)
    assert told == []
    assert publisher.image == MetadataImage.empty("c")
    delta, image = publish(publisher, "t", 0)
    assert told == [(first, delta, image, image), (second, delta, image, image)]
    assert publisher.image is image


def test_who_comes_late_is_told_all_there_is():
    publisher, told = MetadataPublisher("c"), []
    publish(publisher, "t", 0)
    _, image = publish(publisher, "u", 1)
    publisher.subscribe(Listener(publisher, told))
    [(_, delta, seen, _)] = told
    assert seen is image
    assert delta.base == MetadataImage.empty("c")
    assert delta.changed_topics == {uuid(0), uuid(1)}


def test_once_closed_it_keeps_the_image_and_tells_nobody():
    publisher, told = MetadataPublisher("c"), []
    publisher.subscribe(Listener(publisher, told))
    publisher.close()
    _, image = publish(publisher, "t", 0)
    assert (publisher.image, told) == (image, [])
