"""What a log and the cleaner tell each other: how far it is clean, and whether a cleaning under way is still of use."""


class CleaningAborted(Exception):
    """The broker stops, or the log changed so that the cleaning is void."""


class CleaningState:
    """Changed by the loop; a cleaner's thread only looks at `generation`."""

    __slots__ = ("first_dirty_offset", "generation", "is_in_progress", "is_uncleanable")

    def __init__(self) -> None:
        # As cleaner-offset-checkpoint says it, None for a log never cleaned.
        self.first_dirty_offset: int | None = None
        # Retention leaves a log alone while its segments are being cleaned.
        self.is_in_progress = False
        # Cleaning failed: it is not tried again until the broker starts anew.
        self.is_uncleanable = False
        # Counts what makes a cleaning void: truncations, and the end of the log.
        self.generation = 0

    def truncated(self, active_base_offset: int) -> None:
        """What is appended from here on is new (LogCleanerManager.maybeTruncateCheckpoint)."""
        self.generation += 1
        if self.first_dirty_offset is not None:
            self.first_dirty_offset = min(self.first_dirty_offset, active_base_offset)

    def moved_from(self, other: "CleaningState") -> None:
        """The log is a copy of another one (alterCheckpointDir)."""
        self.first_dirty_offset = other.first_dirty_offset
        self.is_uncleanable = other.is_uncleanable

    def void(self) -> None:
        """The log is nobody's any more."""
        self.generation += 1
