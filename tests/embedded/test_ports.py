import socket
from pathlib import Path

from embedded import ports


def test_a_port_is_kept_from_one_start_to_the_next(tmp_path: Path) -> None:
    first = ports.kept_ports(tmp_path / "ports.json", ("grpc", "ui"))
    assert ports.kept_ports(tmp_path / "ports.json", ("grpc", "ui")) == first
    assert first["grpc"] != first["ui"]


def test_a_port_that_someone_took_meanwhile_is_replaced(tmp_path: Path) -> None:
    first = ports.kept_ports(tmp_path / "ports.json", ("postgres",))
    with socket.create_server((ports.LOOPBACK, first["postgres"])):
        assert not ports.is_free(first["postgres"])
        assert ports.kept_ports(tmp_path / "ports.json", ("postgres",)) != first


def test_ports_are_not_among_those_given_to_outgoing_connections(tmp_path: Path) -> None:
    chosen = ports.kept_ports(tmp_path / "ports.json", tuple("abcdefgh"))
    assert max(chosen.values()) < 32_768
