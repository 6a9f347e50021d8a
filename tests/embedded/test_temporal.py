from pathlib import Path

from embedded import probe
from embedded.temporal import Temporal


def test_it_comes_back_at_the_same_address_after_a_kill(data_dir: Path) -> None:
    server = Temporal(data_dir, namespace="bills")
    server.start()
    try:
        address, pages = server.address, server.ui_url
        server.kill()
        assert not server.running
        server.start()
        assert (server.address, server.ui_url) == (address, pages)
        assert probe.get(int(pages.rpartition(":")[2]), "/") is not None
    finally:
        server.kill()


def test_a_second_start_ends_the_first_server(data_dir: Path) -> None:
    first, second = Temporal(data_dir), Temporal(data_dir)
    first.start()
    second.start()
    try:
        assert not first.running
        assert first.address == second.address
    finally:
        first.kill()
        second.kill()


def test_further_arguments_reach_the_server(data_dir: Path) -> None:
    setting = "frontend.WorkflowTimeSkippingEnabled=true"
    server = Temporal(data_dir, extra_args=["--dynamic-config-value", setting])
    server.start()
    try:
        assert server.pid is not None
        assert setting in Path(f"/proc/{server.pid}/cmdline").read_text().split("\0")
    finally:
        server.kill()
