"""pykbroker format | info | random-uuid: the directories of a node, as Kafka's kafka-storage makes and shows them."""

import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pykbroker.cli.output import run_quietly

if TYPE_CHECKING:
    from pykbroker.config.broker_config import BrokerConfig
    from pykbroker.protocol.message import Message
    from pykbroker.raft.dynamic_voters import DynamicVoter
    from pykbroker.raft.formatting import Formatter

BROKEN, MISUSED = 1, 2
DESCRIPTION = """\
Formats the log directories of a node, as Kafka's kafka-storage format does. `pykbroker serve` formats a fresh directory
by itself; this command is for what must be decided before the first start: the cluster's id, its release and features,
the first voters of a dynamic quorum, SCRAM credentials."""
EPILOG = """\
Settings are read as serve reads them: --config, then the environment (KAFKA_LOG_DIRS=...), then --set.
exit code: 0 formatted; 1 the disk refused; 2 refused before anything was written"""


def format_main(arguments: Sequence[str]) -> int:
    options = _format_parser().parse_args(arguments)
    return run_quietly(lambda: _refusing("format", lambda: _format(options)))


def info_main(arguments: Sequence[str]) -> int:
    parser = ArgumentParser(
        prog="pykbroker info", description="Shows the log directories of a node: formatted or not, for whom, by whom."
    )
    _add_settings(parser)
    options = parser.parse_args(arguments)
    return run_quietly(lambda: _refusing("info", lambda: _info(_load(options))))


def random_uuid_main(arguments: Sequence[str]) -> int:
    parser = ArgumentParser(prog="pykbroker random-uuid", description="Prints a random id for a cluster or directory.")
    parser.parse_args(arguments)
    from pykbroker.ids import Uuid

    print(Uuid.random())
    return 0


def _format_parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="pykbroker format", description=DESCRIPTION, epilog=EPILOG, formatter_class=RawDescriptionHelpFormatter
    )
    _add_settings(parser)
    parser.add_argument("--cluster-id", "-t", metavar="ID", required=True, help="of all nodes; random-uuid makes one")
    parser.add_argument(
        "--release-version", "-r", metavar="RELEASE", help="whose metadata.version and features to begin with (4.3)"
    )
    parser.add_argument(
        "--feature", "-f", metavar="NAME=LEVEL", action="append", default=[], help="another level than the release's"
    )
    parser.add_argument(
        "--add-scram", "-S", metavar="CREDENTIAL", action="append", default=[],
        help="a credential, e.g. 'SCRAM-SHA-256=[name=alice,password=secret]'",
    )  # fmt: skip
    parser.add_argument(
        "--ignore-formatted", "-g", action="store_true", help="leave formatted directories, format the others"
    )
    quorum = parser.add_mutually_exclusive_group()
    quorum.add_argument(
        "--standalone", "-s", action="store_true", help="this controller is the first and only voter of the quorum"
    )
    quorum.add_argument(
        "--no-initial-controllers", "-N", action="store_true", help="this controller joins a quorum later"
    )
    quorum.add_argument(
        "--initial-controllers", "-I", metavar="VOTERS",
        help="the first voters, ID@HOST:PORT:DIRECTORY_ID with commas between them, the same for all nodes",
    )  # fmt: skip
    return parser


def _add_settings(parser: ArgumentParser) -> None:
    parser.add_argument("--config", "-c", metavar="FILE", required=True, help="the node's server.properties")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], dest="settings", help="a setting")


def _load(options: Namespace) -> "BrokerConfig":
    """Raises ConfigError."""
    import logging

    from pykbroker.config.parse import load

    # What has no effect on a broker is told when it starts.
    logging.getLogger("pykbroker.config").setLevel(logging.ERROR)
    return load(options.config, os.environ, options.settings)


def _refusing(command: str, work: Callable[[], int]) -> int:
    from pykbroker.config.errors import ConfigError
    from pykbroker.log.log_dir import LogDirError

    try:
        return work()
    except (ConfigError, LogDirError) as error:
        print(f"pykbroker {command}: {error}", file=sys.stderr)
        return MISUSED
    except OSError as error:
        print(f"pykbroker {command}: {error.filename}: {error.strerror}", file=sys.stderr)
        return BROKEN


def _format(options: Namespace) -> int:
    """Raises ConfigError, LogDirError, OSError."""
    from pykbroker.clock import SystemClock
    from pykbroker.log.files import Files
    from pykbroker.protocol.feature_levels import METADATA_VERSIONS

    formatter = _formatter(options, _load(options))
    release = METADATA_VERSIONS[formatter.levels["metadata.version"]].version
    formatted = 0
    for kind, directory in formatter.run(Files(), SystemClock().wall_ms(), ignore_formatted=options.ignore_formatted):
        print(f"Formatting {kind} {directory} with metadata.version {release}.", flush=True)
        formatted += 1
    if not formatted:
        print("All log directories are formatted already.")
    return 0


def _formatter(options: Namespace, config: "BrokerConfig") -> "Formatter":
    """Raises ConfigError."""
    from pykbroker.config.environment import check_cluster_id
    from pykbroker.config.errors import ConfigError
    from pykbroker.metadata.initial_features import initial_levels, metadata_version_of, parse_levels
    from pykbroker.raft.formatting import Formatter

    check_cluster_id("--cluster-id", options.cluster_id)
    unstable = config.unstable_feature_versions_enable
    try:
        release = options.release_version and metadata_version_of(options.release_version, unstable=unstable)
        levels = initial_levels(
            release or None,
            parse_levels(options.feature),
            has_dynamic_quorum=not config.controller_quorum_voters,
            unstable=unstable,
        )
        return Formatter(
            node_id=config.node_id,
            cluster_id=options.cluster_id,
            directories=_directories(config),
            metadata_directory=config.metadata_log_dir or (config.log_dirs or config.log_dir)[0],
            levels=levels,
            credentials=_credentials(options.add_scram, levels["metadata.version"]),
            voters=_first_voters(options, config),
            listener=config.controller_listener_names[0].upper(),
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _directories(config: "BrokerConfig") -> list[str]:
    return sorted({*(config.log_dirs or config.log_dir), *filter(None, [config.metadata_log_dir])})


def _credentials(texts: Sequence[str], metadata_version: int) -> "list[Message]":
    """Raises ConfigError, InvalidCredential."""
    from pykbroker.config.errors import ConfigError
    from pykbroker.protocol.feature_levels import METADATA_VERSIONS
    from pykbroker.security.scram_arguments import parse

    row = METADATA_VERSIONS[metadata_version]
    if texts and not row.is_scram_supported:
        raise ConfigError(f"--add-scram: metadata.version {row.version} has no SCRAM; 3.5-IV2 is the first that has")
    return [parse(text) for text in texts]


def _first_voters(options: Namespace, config: "BrokerConfig") -> "list[DynamicVoter] | None":
    """None where the quorum is static, or its voters are elsewhere. Raises ConfigError, InvalidVoters."""
    from pykbroker.config.errors import ConfigError
    from pykbroker.raft.dynamic_voters import parse

    is_controller = "controller" in config.process_roles
    option = "--standalone" if options.standalone else "--initial-controllers"
    if options.standalone or options.initial_controllers is not None:
        if config.controller_quorum_voters:
            raise ConfigError(
                f"{option} is for a dynamic quorum, but controller.quorum.voters is set: "
                "set controller.quorum.bootstrap.servers in its place, or leave the option out"
            )
        if options.standalone and not is_controller:
            roles = ",".join(config.process_roles)
            raise ConfigError(f"--standalone is for a controller, which process.roles={roles} is none")
        return [_own_voter(config)] if options.standalone else parse(options.initial_controllers)
    if is_controller and not config.controller_quorum_voters and not options.no_initial_controllers:
        raise ConfigError(
            "controller.quorum.voters is not set, so this controller's quorum is dynamic: choose one of --standalone, "
            "--initial-controllers and --no-initial-controllers"
        )
    return None


def _own_voter(config: "BrokerConfig") -> "DynamicVoter":
    """Raises ConfigError."""
    from pykbroker.config.errors import ConfigError
    from pykbroker.config.listeners import advertised_controller_listener
    from pykbroker.ids import Uuid
    from pykbroker.raft.dynamic_voters import DynamicVoter

    endpoint = advertised_controller_listener(config)
    if endpoint is None:
        raise ConfigError(
            f"a voter of a dynamic quorum is known by its listener, and none of listeners={','.join(config.listeners)} "
            f"is named in controller.listener.names={','.join(config.controller_listener_names)}"
        )
    return DynamicVoter(config.node_id, endpoint.host or "localhost", endpoint.port, Uuid.random())


def format_fresh(config: "BrokerConfig", cluster_id: str) -> None:
    """What a node does before its first start when the cluster's id is given: a controller is the only voter.

    Raises ConfigError, LogDirError, OSError.
    """
    from pykbroker.clock import SystemClock
    from pykbroker.log.files import Files
    from pykbroker.metadata.features import INITIAL_FEATURES
    from pykbroker.raft.formatting import Formatter

    is_dynamic = "controller" in config.process_roles and bool(config.controller_quorum_bootstrap_servers)
    formatter = Formatter(
        node_id=config.node_id,
        cluster_id=cluster_id,
        directories=_directories(config),
        metadata_directory=config.metadata_log_dir or (config.log_dirs or config.log_dir)[0],
        levels=INITIAL_FEATURES,
        voters=[_own_voter(config)] if is_dynamic and not config.controller_quorum_voters else None,
        listener=config.controller_listener_names[0].upper(),
    )
    for _ in formatter.run(Files(), SystemClock().wall_ms(), ignore_formatted=True):
        pass


def _info(config: "BrokerConfig") -> int:
    """0 when all directories are formatted for one node of one cluster. Raises OSError."""
    from pykbroker.log.files import Files
    from pykbroker.log.log_dir import LogDirError, read_meta_properties

    found, problems = {}, []
    for path in _directories(config):
        try:
            properties = read_meta_properties(Files(), path) if os.path.isdir(path) else None
        except LogDirError as error:
            problems.append(str(error))
            continue
        if properties is not None:
            found[path] = properties
            print(f"{path}: cluster.id={properties.cluster_id} node.id={properties.node_id} "
                  f"directory.id={properties.directory_id}")  # fmt: skip
        else:
            problems.append(f"{path}: {'not formatted' if os.path.isdir(path) else 'no such directory'}")
    for name, values in (
        ("cluster", {properties.cluster_id for properties in found.values()}),
        ("node", {properties.node_id for properties in found.values()}),
    ):
        if len(values) > 1:
            problems.append(f"the directories belong to different {name}s: {', '.join(map(str, sorted(values)))}")
    for problem in problems:
        print(f"problem: {problem}")
    return BROKEN if problems else 0
