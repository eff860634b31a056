"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_list_config_resources import *  # noqa: F403
