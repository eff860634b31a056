from pykbroker.controller.broker_heartbeats import BrokerHeartbeats


def heartbeats():
    return BrokerHeartbeats(session_timeout=9.0)


def test_a_session_lasts_from_the_last_heartbeat():
    sessions = heartbeats()
    sessions.touch(1, 5, 0, now=100.0)
    assert sessions.has_valid_session(1, 5, 108.9)
    assert not sessions.has_valid_session(1, 5, 109.0)
    sessions.touch(1, 5, 0, now=108.0)
    assert sessions.has_valid_session(1, 5, 116.9)


def test_a_session_is_that_of_one_incarnation():
    sessions = heartbeats()
    sessions.touch(1, 5, 0, now=100.0)
    assert not sessions.has_valid_session(1, 6, 100.0)
    assert not sessions.has_valid_session(2, 5, 100.0)
    sessions.remove(1)
    sessions.remove(1)
    assert not sessions.has_valid_session(1, 5, 100.0)


def test_brokers_expire_on_their_own():
    sessions = heartbeats()
    sessions.touch(1, 5, 0, now=100.0)
    sessions.adopt(2, 6, now=103.0)
    assert sessions.next_deadline([1, 2]) == 109.0
    assert sessions.next_deadline([2]) == 112.0
    assert sessions.next_deadline([]) == float("inf")
    assert sessions.expired([1, 2], 109.0) == [1]
    assert sessions.expired([1, 2], 112.0) == [1, 2]
    assert sessions.expired([2], 109.0) == []


def test_an_unfenced_broker_without_a_session_is_expired():
    assert heartbeats().expired([3], 0.0) == [3]


def test_a_broker_may_go_when_all_others_know():
    sessions = heartbeats()
    for broker, offset in ((1, 50), (2, 40), (3, 60)):
        sessions.touch(broker, 5, offset, now=0.0)
    sessions.begin_shutdown(1, 55)
    assert not sessions.may_shut_down(1, [1, 2, 3])
    assert sessions.may_shut_down(1, [1, 3])
    sessions.touch(2, 5, 55, now=1.0)
    assert sessions.may_shut_down(1, [1, 2, 3])


def test_a_heartbeat_does_not_forget_the_shutdown_but_a_new_incarnation_does():
    sessions = heartbeats()
    sessions.touch(1, 5, 0, now=0.0)
    sessions.touch(2, 5, 0, now=0.0)
    sessions.begin_shutdown(1, 55)
    sessions.touch(1, 5, 1, now=1.0)
    assert not sessions.may_shut_down(1, [2])
    sessions.touch(1, 6, 1, now=1.0)
    assert sessions.may_shut_down(1, [2])


def test_alone_a_broker_may_always_go():
    sessions = heartbeats()
    sessions.begin_shutdown(1, 55)
    assert sessions.may_shut_down(1, [1])
