import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Unlike tmp_path one that PostgreSQL's user can enter when root runs the tests."""
    directory = Path(tempfile.mkdtemp(prefix="pave-billing-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)
