import pytest

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


class Slow:
    """Takes two steps for each image, and says when it took them."""

    def __init__(self, said):
        self.said = said

    def on_metadata_update(self, delta, image):
        self.said.append(("begins", image.offset))
        yield
        self.said.append(("ends", image.offset))


class Quick:
    def __init__(self, said):
        self.said = said

    def on_metadata_update(self, delta, image):
        self.said.append(("hears", image.offset))


def by_hand(publisher):
    """Steps are taken by the test."""
    publisher.drive = lambda: None


def test_images_are_told_one_after_another_each_to_all_whole():
    publisher, said = MetadataPublisher("c"), []
    publisher.subscribe(Slow(said))
    publisher.subscribe(Quick(said))
    by_hand(publisher)
    _, first = publish(publisher, "t", 0)
    publisher.step()
    delta = MetadataDelta(first)
    delta.replay(TopicRecord(name="u", topic_id=uuid(1)))
    second = delta.apply(1, 1)
    publisher.publish(delta, second)
    assert said == [("begins", 0)]
    # Who asks meanwhile sees what is told; who decides the next one builds on what is published.
    assert (publisher.image, publisher.newest, publisher.applied.offset) == (first, second, -1)
    assert not publisher.is_settled
    publisher.settle()
    one_by_one = [("begins", 0), ("ends", 0), ("hears", 0), ("begins", 1), ("ends", 1), ("hears", 1)]
    assert said == one_by_one
    assert publisher.image is publisher.newest is publisher.applied is second
    assert publisher.is_settled


def test_who_joins_while_others_are_told_hears_of_each_image_once():
    publisher, said = MetadataPublisher("c"), []
    publisher.subscribe(Slow([]))
    by_hand(publisher)
    _, first = publish(publisher, "t", 0)
    publisher.step()
    publisher.subscribe(Quick(said))
    delta = MetadataDelta(first)
    publisher.publish(delta, delta.apply(1, 1))
    assert said == []
    publisher.settle()
    assert said == [("hears", 0), ("hears", 1)]


def test_who_is_told_may_publish_and_add_others():
    publisher, told, said = MetadataPublisher("c"), [], []

    class Publishing:
        def on_metadata_update(self, delta, image):
            told.append(image.offset)
            if image.offset == 0:
                publisher.subscribe(Quick(said))
                publish(publisher, "u", 1)

    publisher.subscribe(Publishing())
    publish(publisher, "t", 0)
    assert (told, said) == ([0, 1], [("hears", 0), ("hears", 1)])


def test_close_ends_what_is_being_told():
    publisher, said = MetadataPublisher("c"), []
    publisher.subscribe(Slow(said))
    by_hand(publisher)
    publish(publisher, "t", 0)
    publisher.step()
    publisher.close()
    publisher.settle()
    assert said == [("begins", 0)]


class Broken:
    def __init__(self, *, after_a_step):
        self.after_a_step = after_a_step

    def on_metadata_update(self, delta, image):
        if self.after_a_step:
            return self._steps()
        raise ZeroDivisionError

    def _steps(self):
        yield
        raise ZeroDivisionError


@pytest.mark.parametrize("after_a_step", [False, True])
def test_a_bug_in_one_part_does_not_keep_the_news_from_the_others(after_a_step, caplog, monkeypatch):
    publisher, said = MetadataPublisher("c"), []
    publisher.subscribe(Broken(after_a_step=after_a_step))
    publisher.subscribe(Quick(said))
    monkeypatch.setattr("pykbroker.verify.ENABLED", False)
    publish(publisher, "t", 0)
    publish(publisher, "u", 1)
    assert said == [("hears", 0), ("hears", 1)]
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError] * 2
    monkeypatch.setattr("pykbroker.verify.ENABLED", True)
    with pytest.raises(ZeroDivisionError):
        publish(publisher, "v", 2)
