"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_init_producer_id import *  # noqa: F403
