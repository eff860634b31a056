"""Emit protocol/apis.py: what every API key is, without importing its message."""

from pathlib import Path

from tools.generate.messages import header
from tools.generate.notation import Api, parse_folder, snake

CLASS = '''

class ApiInfo:
    """One API. `max_version` is the highest stable version, `latest_version` counts an unstable one too;
    a `*_flexible` of 32767 means never."""

    __slots__ = (
        "cluster_action", "forwardable", "key", "latest_version", "listeners", "max_version", "min_version", "module",
        "name", "request_flexible", "response_flexible", "response_header",
    )  # fmt: skip

    def __init__(
        self,
        key: int,
        name: str,
        module: str,
        min_version: int,
        max_version: int,
        latest_version: int,
        flexible: int,
        listeners: frozenset[str],
        forwardable: bool,
        cluster_action: bool,
        response_header: int,
    ) -> None:
        self.key = key
        self.name = name
        self.module = module
        self.min_version = min_version
        self.max_version = max_version
        self.latest_version = latest_version
        self.request_flexible = flexible
        self.response_flexible = flexible
        self.listeners = listeners
        self.forwardable = forwardable
        self.cluster_action = cluster_action
        self.response_header = response_header

    def __repr__(self) -> str:
        return f"<ApiInfo {self.key} {self.name} {self.min_version}-{self.max_version}>"

    def request_header_version(self, version: int) -> int:
        return 2 if version >= self.request_flexible else 1

    def response_header_version(self, version: int) -> int:
        """Of ApiVersions always 0: a client that does not know our version yet must be able to read it."""
        if self.response_header >= 0:
            return self.response_header
        return 1 if version >= self.response_flexible else 0


'''


def generate(specs: Path) -> dict[str, str]:
    apis = sorted((api for spec in parse_folder(specs / "apis") for api in spec.apis), key=lambda api: api.key)
    lines = [
        header("protocol_specs/apis").rstrip(),
        '"""Kafka\'s API keys (org.apache.kafka.common.protocol.ApiKeys), with what the wire needs to know of each."""',
        "",
        "from enum import IntEnum",
        "",
        "",
        "class ApiKey(IntEnum):",
        *(f"    {snake(api.name).upper()} = {api.key}" for api in apis),
        CLASS.rstrip("\n"),
        "",
        "",
        '_BOTH = frozenset({"broker", "controller"})',
        '_BROKER = frozenset({"broker"})',
        '_CONTROLLER = frozenset({"controller"})',
        "",
        "# Without the four keys of which no version is left.",
        "API_TABLE: dict[int, ApiInfo] = {",
        *(row(api) for api in apis if api.versions is not None),
        "}",
    ]
    return {"pykbroker/protocol/apis.py": "\n".join(lines) + "\n"}


def row(api: Api) -> str:
    assert api.versions is not None
    latest = api.versions.high
    stable = latest if api.unstable is None else api.unstable - 1
    where = "_BOTH" if len(api.listeners) == 2 else f"_{api.listeners[0].upper()}"
    versions = f"{api.versions.low}, {stable}, {latest}, {api.flexible_from}"
    header_version = -1 if api.response_header is None else api.response_header
    facts = f'{api.key}, "{api.name}", "{snake(api.name)}", {versions}, {where}'
    line = f"    {api.key}: ApiInfo({facts}, {api.forwardable}, {api.cluster_action}, {header_version}),"
    if len(line) <= 120:
        return line
    return line.replace("ApiInfo(", "ApiInfo(\n        ").removesuffix("),") + "\n    ),"
