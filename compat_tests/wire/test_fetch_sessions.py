"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_fetch_sessions import *  # noqa: F403
