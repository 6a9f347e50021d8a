"""The seller from a shell."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from billing.errors import InvalidArgument
from billing.ledger import seller
from billing.logo import Logo
from cli import seller as command
from tests.support.pictures import jpeg, png


@pytest.fixture
def pave(engine: Engine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(command, "engine", lambda: engine)
    return lambda *arguments: CliRunner().invoke(command.seller, arguments, catch_exceptions=False)


def test_a_logo_comes_stays_and_goes(pave, engine: Engine, tmp_path: Path):
    file = tmp_path / "logo.png"
    file.write_bytes(png())
    pave("change", "--name", "Pave", "--tax-id", "GE1", "--logo", str(file))
    pave("change", "--name", "Pave Ltd")
    hash_ = Logo.parse(png()).hash
    assert seller.read(engine) == seller.Seller("Pave Ltd", "", "", hash_)
    assert pave("show").output == f"Pave Ltd\nlogo {hash_}\n"
    pave("change", "--name", "Pave Ltd", "--no-logo")
    assert seller.read(engine).logo is None


def test_what_cannot_be_printed_is_refused(pave, tmp_path: Path):
    file = tmp_path / "logo.jpg"
    file.write_bytes(jpeg())
    with pytest.raises(InvalidArgument, match="cannot be read"):
        pave("change", "--name", "Pave", "--logo", str(file))
