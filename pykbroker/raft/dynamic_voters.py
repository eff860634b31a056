"""The first voters of a dynamic quorum, as text and as record (DynamicVoters, VoterSet, KIP-853)."""

import re
import socket
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from pykbroker.ids import Uuid

if TYPE_CHECKING:
    from pykbroker.protocol.embedded.voters import VotersRecord

_VOTER = re.compile(r"(?P<id>[0-9]{1,10})@(\[(?P<ipv6>[^\]]+)\]|(?P<host>[^:\[\]]+)):(?P<port>[0-9]{1,5}):(?P<dir>.+)")
# Versions of kraft.version that a voter of this kind understands.
_SUPPORTED = (0, 1)


class InvalidVoters(ValueError):
    """str() tells which voter is wrong, and how one is written."""


class DynamicVoter(NamedTuple):
    id: int
    host: str
    port: int
    directory_id: Uuid


def parse(text: str) -> list[DynamicVoter]:
    """Of ID@HOST:PORT:DIRECTORY_ID,…: by id. Raises InvalidVoters."""
    voters: dict[int, DynamicVoter] = {}
    for part in filter(None, text.strip().split(",")):
        voter = _parse(part.strip())
        if voter.id in voters:
            raise InvalidVoters(f"{text}: node {voter.id} is named twice; each voter has its own id")
        voters[voter.id] = voter
    if not voters:
        raise InvalidVoters("no voter is named: write ID@HOST:PORT:DIRECTORY_ID, several with commas between them")
    return [voters[number] for number in sorted(voters)]


def _parse(text: str) -> DynamicVoter:
    match = _VOTER.fullmatch(text)
    if match is None or int(match["id"]) > 0x7FFFFFFF or int(match["port"]) > 65535:
        raise InvalidVoters(
            f"{text} is no voter: write ID@HOST:PORT:DIRECTORY_ID, e.g. 1@localhost:9093:JEXY6aqzQY-32P5TStzaFg"
        )
    try:
        directory_id = Uuid.parse(match["dir"])
    except ValueError as error:
        raise InvalidVoters(f"{text} is no voter: {error}; pykbroker random-uuid makes a directory id") from None
    host = match["host"] if match["ipv6"] is None else _java_address(match["ipv6"])
    return DynamicVoter(int(match["id"]), host, int(match["port"]), directory_id)


def _java_address(host: str) -> str:
    """An IPv6 address without its shortening: what Java tells of it, and so what Kafka writes."""
    try:
        groups = struct.unpack(">8H", socket.inet_pton(socket.AF_INET6, host))
    except OSError:
        return host
    return ":".join(f"{group:x}" for group in groups)


def voters_record(voters: Iterable[DynamicVoter], listener: str) -> "VotersRecord":
    """`listener`: the name of the controllers' listener, which all of them have at the endpoint given."""
    from pykbroker.protocol.embedded.voters import Endpoint, KRaftVersionFeature, Voter, VotersRecord

    lowest, highest = _SUPPORTED
    return VotersRecord(
        voters=[
            Voter(
                voter_id=voter.id,
                voter_directory_id=voter.directory_id,
                endpoints=[Endpoint(name=listener, host=voter.host, port=voter.port)],
                kraft_version_feature=KRaftVersionFeature(min_supported_version=lowest, max_supported_version=highest),
            )
            for voter in voters
        ]
    )
