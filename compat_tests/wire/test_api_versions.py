"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_api_versions import *  # noqa: F403
