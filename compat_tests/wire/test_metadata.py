"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_metadata import *  # noqa: F403
