"""The dialogues of tests/handlers/broker over a socket."""

from tests.handlers.broker.test_alter_replica_log_dirs import *  # noqa: F403
