"""The socket in the data directory."""

from pathlib import Path

import pytest

from pykbroker.console import socket_path


@pytest.mark.parametrize("depth", [0, 20])
def test_one_listens_another_connects(tmp_path: Path, depth: int) -> None:
    folder = tmp_path.joinpath(*["a-folder"] * depth)
    folder.mkdir(parents=True, exist_ok=True)
    with socket_path.listen(str(folder)) as listener:
        assert (folder / socket_path.NAME).stat().st_mode & 0o777 == 0o600
        with socket_path.connect(str(folder)) as client:
            served, _ = listener.accept()
            with served:
                client.sendall(b"x")
                assert served.recv(1) == b"x"
    with pytest.raises(ConnectionRefusedError):
        socket_path.connect(str(folder))


def test_a_socket_that_was_left_is_replaced_and_removed(tmp_path: Path) -> None:
    socket_path.listen(str(tmp_path)).close()
    socket_path.listen(str(tmp_path)).close()
    socket_path.remove(str(tmp_path))
    socket_path.remove(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        socket_path.connect(str(tmp_path))
