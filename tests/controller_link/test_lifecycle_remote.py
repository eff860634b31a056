"""A broker's life when its controller is another machine, which refuses, does not answer, or has gone."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from pykbroker.controller_link.lifecycle_loop import REGISTRATION_PAUSE, LifecycleLoop
from pykbroker.errors import KafkaError
from pykbroker.metadata.image import MetadataImage
from pykbroker.protocol.apis import ApiKey
from pykbroker.protocol.error_codes import ErrorCode
from pykbroker.protocol.message import Message
from pykbroker.protocol.messages.broker_heartbeat import BrokerHeartbeatResponse
from pykbroker.protocol.messages.broker_registration import BrokerRegistrationResponse
from tests.controller.images import broker
from tests.controller.nodes import CLUSTER, ENDPOINT
from tests.metadata.history import uuid
from tests.raft.logs import config

GONE = KafkaError(ErrorCode.REQUEST_TIMED_OUT, "No controller answered within 9 s: a:1: refused")
CONTENT = BrokerHeartbeatResponse(is_caught_up=True, is_fenced=False)


class Controller:
    """Answers each request by `answer(api key, request)`; an exception is raised. `unanswered` takes nine seconds."""

    def __init__(self, answer: Callable[[int, Any], Message | Exception]) -> None:
        self.answer = answer
        self.asked: list[tuple[float, int, Any]] = []

    async def call(self, api_key: int, request: Any) -> Message:
        self.asked.append((round(trio.current_time(), 3), api_key, request))
        answer = self.answer(api_key, request)
        if answer is GONE:
            await trio.sleep(9)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def times(self) -> list[float]:
        return [time for time, *_ in self.asked]


def lifecycle(answer: Callable[[int, Any], Message | Exception], **images: Any) -> tuple[LifecycleLoop, Controller]:
    controller = Controller(answer)
    image = MetadataImage.empty(CLUSTER)._replace(**images)
    life = LifecycleLoop(
        link=controller,
        config=config(),
        image=lambda: image,
        node_id=2,
        cluster_id=CLUSTER,
        incarnation_id=uuid(7),
        directory_ids=[uuid(1)],
        endpoints=[ENDPOINT],
    )
    return life, controller


async def test_a_session_of_an_earlier_life_is_waited_out(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[Any] = [KafkaError(ErrorCode.DUPLICATE_BROKER_REGISTRATION)] * 4
    answers.append(BrokerRegistrationResponse(broker_epoch=33))
    life, controller = lifecycle(lambda *_: answers.pop(0))
    assert await life.register() == 33
    assert controller.times == [0, 2, 4, 6, 8]
    (line,) = [record.message for record in caplog.records]
    assert "another process is registered with node.id=2" in line
    assert "its session ends within 9 s" in line
    assert "give each broker a node.id of its own" in line


async def test_after_the_time_for_registration_it_gives_up(autojump_clock: trio.testing.MockClock) -> None:
    life, controller = lifecycle(lambda *_: KafkaError(ErrorCode.DUPLICATE_BROKER_REGISTRATION))
    with pytest.raises(KafkaError, match="Broker 2 cannot register with the controller: another process") as caught:
        await life.register()
    assert caught.value.code == ErrorCode.DUPLICATE_BROKER_REGISTRATION
    assert controller.times[-1] == 60 - REGISTRATION_PAUSE


async def test_no_controller_is_waited_for_too(autojump_clock: trio.testing.MockClock) -> None:
    life, controller = lifecycle(lambda *_: GONE)
    with pytest.raises(KafkaError, match="a:1: refused"):
        await life.register()
    assert controller.times == [0, 11, 22, 33, 44, 55]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (ErrorCode.INCONSISTENT_CLUSTER_ID, f"another cluster than this broker's data, whose cluster.id is {CLUSTER}"),
        (ErrorCode.INVALID_REGISTRATION, "its log directories, listeners or features do not suit the cluster"),
        (ErrorCode.UNSUPPORTED_VERSION, "the cluster has finalized a feature level that this pykbroker does not have"),
    ],
)
async def test_what_waiting_does_not_change_is_said_at_once(
    code: ErrorCode, said: str, autojump_clock: trio.testing.MockClock
) -> None:
    life, controller = lifecycle(lambda *_: KafkaError(code, "as the controller put it"))
    with pytest.raises(KafkaError) as caught:
        await life.register()
    assert said in str(caught.value.message)
    assert controller.times == [0]


async def test_heartbeats_go_on_while_nobody_answers(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    answers: list[Any] = [CONTENT, GONE, GONE, CONTENT, CONTENT]
    life, controller = lifecycle(lambda *_: answers.pop(0))
    await nursery.start(life.run)
    await trio.sleep(29)
    assert controller.times == [2, 4, 15, 26, 28]
    assert [record.message for record in caplog.records] == [
        "No heartbeat reaches the controller: No controller answered within 9 s: a:1: refused. Trying again.",
        "The controller answers heartbeats again",
    ]
    nursery.cancel_scope.cancel()


async def test_a_newer_process_with_the_same_id_ends_this_one(autojump_clock: trio.testing.MockClock) -> None:
    life, _ = lifecycle(
        lambda key, _: (
            BrokerRegistrationResponse(broker_epoch=33)
            if key == ApiKey.BROKER_REGISTRATION
            else KafkaError(ErrorCode.STALE_BROKER_EPOCH)
        ),
        brokers={2: broker(2, epoch=34)},
    )
    await life.register()
    with pytest.raises(KafkaError, match=r"another process has registered with node\.id=2"):
        await life.run()


async def test_an_image_behind_the_controller_is_no_newer_process(autojump_clock: trio.testing.MockClock) -> None:
    answers: list[Any] = [
        BrokerRegistrationResponse(broker_epoch=33),
        KafkaError(ErrorCode.STALE_BROKER_EPOCH),
        CONTENT,
    ]
    life, controller = lifecycle(lambda *_: answers.pop(0), brokers={2: broker(2, epoch=30)})
    await life.register()
    await life.unfence()
    assert len(controller.asked) == 3


async def test_unfencing_waits_for_a_controller_that_is_away(autojump_clock: trio.testing.MockClock) -> None:
    answers: list[Any] = [GONE, BrokerHeartbeatResponse(is_fenced=True), CONTENT]
    life, controller = lifecycle(lambda *_: answers.pop(0))
    await life.unfence()
    assert controller.times == [0, 9.05, 9.1]


# Controlled shutdown


async def test_leaving_takes_as_long_as_the_controller_wants(autojump_clock: trio.testing.MockClock) -> None:
    answers = [BrokerHeartbeatResponse(should_shut_down=False)] * 400 + [BrokerHeartbeatResponse(should_shut_down=True)]
    life, controller = lifecycle(lambda *_: answers.pop(0))
    await life.controlled_shutdown()
    assert controller.times[-1] == pytest.approx(0.05 * 399)
    assert all(request.want_shut_down for *_, request in controller.asked)


async def test_leaving_does_not_wait_for_a_controller_that_is_gone(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    life, controller = lifecycle(lambda *_: GONE)
    await life.controlled_shutdown()
    assert (controller.times, trio.current_time()) == ([0], 9)
    assert "Stopping without the controller's leave: it has not answered for 9 s" in caplog.text


async def test_leaving_does_not_wait_for_a_controller_that_goes_meanwhile(
    autojump_clock: trio.testing.MockClock,
) -> None:
    answers: list[Any] = [BrokerHeartbeatResponse(), *[KafkaError(ErrorCode.REQUEST_TIMED_OUT, "refused")] * 1000]
    life, _ = lifecycle(lambda *_: answers.pop(0))
    await life.controlled_shutdown()
    assert trio.current_time() == pytest.approx(9, abs=0.1)


async def test_who_was_replaced_just_goes(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    life, _ = lifecycle(lambda *_: KafkaError(ErrorCode.STALE_BROKER_EPOCH), brokers={2: broker(2, epoch=34)})
    await life.controlled_shutdown()
    assert "Stopping without the controller's leave: another process has registered with node.id=2" in caplog.text
