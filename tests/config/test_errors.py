"""ConfigError is what the command line tells in one line."""

from pykbroker.config import errors, parse


def test_its_text_is_the_line() -> None:
    assert str(errors.ConfigError("log.dirs: why")) == "log.dirs: why"
    assert parse.ConfigError is errors.ConfigError
