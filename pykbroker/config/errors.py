"""ConfigError: the broker cannot start as configured."""


class ConfigError(Exception):
    """str() is one line for the person who starts the broker: where, what, why."""
