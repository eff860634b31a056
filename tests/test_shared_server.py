"""Directories and identity of a node, whatever its roles; and where its metadata come from."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from pykbroker.clock import ManualClock
from pykbroker.config.broker_config import BrokerConfig
from pykbroker.controller_server import ControllerServer
from pykbroker.log.files import Files
from pykbroker.log.log_dir import LogDirError, read_meta_properties
from pykbroker.log.log_manager import LogManager
from pykbroker.observer_server import ObserverServer
from pykbroker.shared_server import SharedServer, metadata_source

BROKER = {"process.roles": "broker", "controller.quorum.bootstrap.servers": "h:1"}


def shared(folder: Path, **texts: str) -> SharedServer:
    settings = {"log.dirs": f"{folder / 'a'},{folder / 'b'}", **{k.replace("_", "."): v for k, v in texts.items()}}
    config = BrokerConfig(settings)
    clock = ManualClock()
    return SharedServer(config, clock, LogManager(config.log_dirs or [], clock=clock))


def opened(node: SharedServer) -> SharedServer:
    """Its directories are released again."""
    with ExitStack() as stack:
        node.open_directories(stack)
    return node


def test_all_directories_are_of_one_cluster(tmp_path: Path) -> None:
    node = opened(shared(tmp_path))
    found = [read_meta_properties(Files(), str(tmp_path / name)) for name in ("a", "b")]
    assert {each.cluster_id for each in found if each} == {node.cluster_id}
    assert len({each.directory_id for each in found if each}) == 2
    assert node.image.cluster_id == node.cluster_id
    assert opened(shared(tmp_path)).cluster_id == node.cluster_id


@pytest.mark.parametrize("name", ["a", "b", "elsewhere"])
def test_where_the_metadata_log_lies(tmp_path: Path, name: str) -> None:
    node = opened(shared(tmp_path, metadata_log_dir=str(tmp_path / name)))
    assert node.metadata_directory.path == str(tmp_path / name)
    assert opened(shared(tmp_path)).metadata_directory.path == str(tmp_path / "a")


def test_a_directory_of_another_cluster_is_refused(tmp_path: Path) -> None:
    opened(shared(tmp_path / "one"))
    opened(shared(tmp_path / "two"))
    mixed = shared(tmp_path, log_dirs=f"{tmp_path / 'one' / 'a'},{tmp_path / 'two' / 'a'}")
    with pytest.raises(LogDirError, match="belongs to cluster"):
        opened(mixed)


def test_the_metadata_come_from_where_the_roles_say(tmp_path: Path) -> None:
    assert isinstance(metadata_source(shared(tmp_path)), ControllerServer)
    assert isinstance(metadata_source(shared(tmp_path, process_roles="controller")), ControllerServer)
    node = SharedServer(
        BrokerConfig({**BROKER, "log.dirs": str(tmp_path)}), ManualClock(), LogManager([], clock=ManualClock())
    )
    assert isinstance(metadata_source(node), ObserverServer)
