"""The dialogues of tests/handlers/controller over a socket."""

from tests.handlers.controller.test_alter_partition_reassignments import *  # noqa: F403
