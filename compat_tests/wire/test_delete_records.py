"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_delete_records import *  # noqa: F403
