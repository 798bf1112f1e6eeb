import pytest

from federation import Federation


@pytest.fixture
def federation(tmp_path):
    with Federation(tmp_path) as running:
        yield running
        # Shown by pytest where the test fails.
        for daemon in [running.authority, *running.peers]:
            print(f"--- {daemon.folder.name}\n{daemon.log()[-6000:]}")
