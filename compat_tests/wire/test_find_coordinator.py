"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_find_coordinator import *  # noqa: F403
