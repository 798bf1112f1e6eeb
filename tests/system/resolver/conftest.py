import os
import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import lab as laboratory  # noqa: E402


@pytest.fixture
def lab(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root: private mounts and a private network")
    for tool in ("unshare", "nsenter", "ip", "curl", "getent"):
        assert shutil.which(tool), f"{tool} is missing; ./dev setup installs it"
    made = laboratory.Lab(tmp_path)
    try:
        yield made
    finally:
        made.end()
        if made.resolver:  # shown when the test fails
            print(made.log())


@pytest.fixture
def federation(lab):
    """An authority and a resolver; the peers are the test's."""
    lab.start_authority()
    lab.start_resolver()
    return lab
