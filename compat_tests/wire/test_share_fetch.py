"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_share_fetch import *  # noqa: F403
