"""Settings of streams groups (GroupConfigManager)."""

from pykbroker.coordinator.group.group_settings import GroupSettings


class StreamsSettings(GroupSettings):
    __slots__ = ()

    @property
    def max_size(self) -> int:
        return self._config.group_streams_max_size

    def session_timeout_ms(self, group_id: str) -> int:
        return self._of(group_id, "streams.session.timeout.ms", self._config.group_streams_session_timeout_ms)

    def heartbeat_interval_ms(self, group_id: str) -> int:
        return self._of(group_id, "streams.heartbeat.interval.ms", self._config.group_streams_heartbeat_interval_ms)

    def assignment_interval_ms(self, group_id: str) -> int:
        """How long a target assignment stays at least (KIP-1263)."""
        default = self._current().group_streams_assignment_interval_ms
        return self._of(group_id, "streams.assignment.interval.ms", default)

    def initial_rebalance_delay_ms(self, group_id: str) -> int:
        default = self._config.group_streams_initial_rebalance_delay_ms
        return self._of(group_id, "streams.initial.rebalance.delay.ms", default)

    def assignment_configs(self, group_id: str) -> tuple[tuple[str, str], ...]:
        """What the assignor is told beside the members, as the group's record has it."""
        replicas = self._of(group_id, "streams.num.standby.replicas", self._config.group_streams_num_standby_replicas)
        return (("num.standby.replicas", str(replicas)),)
