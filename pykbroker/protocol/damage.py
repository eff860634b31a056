"""The errors of decoders: each says what does not follow the schema, and where."""

from pykbroker.errors import MalformedFrame

MAX_ELEMENTS = 100_000  # of one array in a request: what a million empty names ask for takes seconds and gigabytes
MAX_TAGS = 1000  # of one struct


def truncated(pos: int, size: int) -> MalformedFrame:
    return MalformedFrame(f"needs {size} bytes and fewer are left", pos)


def bad_length(name: str, length: int, pos: int) -> MalformedFrame:
    """For lengths of strings and bytes: negative where null is not allowed, or behind the end."""
    return MalformedFrame(f"{name}: length {length} does not fit what is left", pos)


def bad_count(name: str, count: int, pos: int) -> MalformedFrame:
    """For array counts: negative where null is not allowed, or more than the bytes left can hold, or than allowed."""
    if count > MAX_ELEMENTS:
        return MalformedFrame(f"{name}: {count} elements are more than {MAX_ELEMENTS} or than fit what is left", pos)
    return MalformedFrame(f"{name}: {count} elements do not fit what is left", pos)


def bad_null(name: str, pos: int) -> MalformedFrame:
    return MalformedFrame(f"{name} must not be null", pos)


def bad_tag(tag: int, pos: int) -> MalformedFrame:
    return MalformedFrame(f"tagged field {tag} does not end where its size says", pos)


def damaged(problem: Exception, name: str, version: int) -> MalformedFrame:
    """What a failed read of a generated decoder means; the position is where that decoder stood."""
    pos = -1
    step = problem.__traceback__
    while step is not None:
        found = step.tb_frame.f_locals.get("pos", pos)
        pos = found if isinstance(found, int) else pos
        step = step.tb_next
    why = "a string is not UTF-8" if isinstance(problem, UnicodeDecodeError) else "ends too early"
    return MalformedFrame(f"{name} v{version}: {why}", pos)
