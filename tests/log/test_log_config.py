"""What a log wants to know of its topic is what a topic's config says."""

from pykbroker.config.topic_config import TopicConfig
from pykbroker.log.log_config import LogConfig


def test_a_topics_config_is_a_logs_config() -> None:
    config: LogConfig = TopicConfig()  # mypy holds the types
    names = [name for name in vars(LogConfig) if isinstance(getattr(LogConfig, name), property)]
    assert len(names) > 15
    for name in names:
        assert getattr(config, name) is not None, name


def test_names_are_kafkas() -> None:
    known = {name.replace(".", "_") for name in TopicConfig.TABLE}
    names = {name for name in vars(LogConfig) if isinstance(getattr(LogConfig, name), property)}
    assert names <= known
