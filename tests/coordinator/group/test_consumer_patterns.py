"""Patterns become topics: when, in slices, and what comes of it."""

from typing import Any

from pykbroker.coordinator.group import consumer_patterns
from pykbroker.errors import KafkaError
from pykbroker.protocol.error_codes import ErrorCode as E
from tests.coordinator.group.consumer_plays import ConsumerPlay, beat, hears, joins, refused
from tests.coordinator.group.plays import reload
from tests.playbook import after


def by(regex: str, *names: str) -> dict[str, Any]:
    return {"subscribed_topic_names": list(names), "subscribed_topic_regex": regex}


def resolved(play: ConsumerPlay) -> dict[str, set[str]]:
    return {regex: set(pattern.topics) for regex, pattern in play.consumers.patterns.items()}


def test_names_and_a_pattern_add_up() -> None:
    play = ConsumerPlay({"t1": 1, "x": 1, "y": 1})
    play << joins("a", **by("t.", "x")) >> hears("a", 2, {"x": [0]}) << after(0.01)
    play << beat("a", 2) >> hears("a", 3, {"t1": [0], "x": [0]})
    assert resolved(play) == {"t.": {"t1"}}


def test_a_pattern_that_another_member_has_is_known_at_once() -> None:
    play = ConsumerPlay({"t1": 2})
    play << joins("a", **by("t.")) << after(0.01)
    play.take("a")
    play << beat("a", 1) >> hears("a", 2, {"t1": [0, 1]})
    play << joins("b", **by("t.")) >> hears("b", 3, {})
    play << beat("b", -1) << beat("a", -1)
    assert resolved(play) == {}


def test_many_topics_take_several_slices() -> None:
    names = [f"t{i}" for i in range(2 * consumer_patterns._SLICE + 1)]
    play = ConsumerPlay(dict.fromkeys(names, 1))
    play << joins("a", **by("t.*9"))
    play.take("a")
    assert resolved(play) == {}
    play << after(1)
    assert resolved(play) == {"t.*9": {name for name in names if name.endswith("9")}}


def test_not_again_within_ten_seconds_then_for_new_topics_only() -> None:
    play = ConsumerPlay({"t1": 1})
    play << joins("a", **by("t.")) << after(0.01)
    play.set_topics({"t1": 1, "t2": 1})
    play << beat("a", 1) << after(9) << beat("a", 2) << after(0.01)
    assert resolved(play) == {"t.": {"t1"}}
    play << after(1) << beat("a", 2) << after(0.01)
    assert resolved(play) == {"t.": {"t1", "t2"}}
    play << beat("a", 2)
    before = play.log.end(play.context.tp)
    play << after(20) << beat("a", 3) << after(0.01) << beat("a", 3) << after(11) << beat("a", 3) << after(0.01)
    assert play.log.end(play.context.tp) == before


def test_all_are_refreshed_now_and_then() -> None:
    play = ConsumerPlay({"t1": 1}, group_consumer_regex_refresh_interval_ms=20_000)
    play << joins("a", **by("t.")) << after(0.01) << beat("a", 1)
    timestamp = play.consumers.patterns["t."].timestamp
    play << after(19) << beat("a", 2) << after(2) << beat("a", 2) << after(0.01)
    assert play.consumers.patterns["t."].timestamp > timestamp


def test_another_pattern() -> None:
    play = ConsumerPlay({"t1": 1, "u1": 1})
    play << joins("a", **by("t.")) << after(0.01) << beat("a", 1)
    play.unread()
    play.inbox.clear()
    play << after(11) << beat("a", 2, {"t1": [0]}, subscribed_topic_regex="u.") >> hears("a", 2, {})
    assert resolved(play) == {}
    play << after(0.01)
    assert resolved(play) == {"u.": {"u1"}}
    play << beat("a", 2, {}) >> hears("a", 3, {"u1": [0]})
    play << beat("a", 3, subscribed_topic_regex="") >> hears("a", 3, {})
    assert resolved(play) == {}
    play << beat("a", 3, subscribed_topic_regex="[") >> refused("a", E.INVALID_REGULAR_EXPRESSION)


def test_who_left_before_it_was_resolved() -> None:
    play = ConsumerPlay({"t1": 1})
    play << joins("a", **by("t.")) << beat("a", -1) << after(0.01)
    assert resolved(play) == {}


def test_a_new_coordinator_resolves_what_is_not() -> None:
    play = ConsumerPlay({"t1": 1})
    play << joins("a", **by("t.")) << reload << beat("a", 1) << after(0.01)
    assert resolved(play) == {"t.": {"t1"}}


def test_a_result_that_cannot_be_written_is_asked_for_again() -> None:
    play = ConsumerPlay({"t1": 1})
    play << joins("a", **by("t."))
    play.log.failures.append(KafkaError(E.NOT_ENOUGH_REPLICAS))
    play << after(0.01)
    assert resolved(play) == {}
    play << beat("a", 1) << after(0.01)
    assert resolved(play) == {"t.": {"t1"}}
