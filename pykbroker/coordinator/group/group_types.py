"""What tells groups apart before the code of their kind is loaded (Group.GroupType)."""

from typing import Final

SHARE: Final = "share"
STREAMS: Final = "streams"
NOT_READY: Final = "NotReady"  # a state of streams groups, which filters spell in their own way
