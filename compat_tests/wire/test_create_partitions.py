"""The dialogues of tests/handlers/controller over a socket."""

from tests.handlers.controller.test_create_partitions import *  # noqa: F403
