# ctest: timeout=600
# ctest: serial
"""The acceptance kit of ../shared/conformance, run against the real authority."""

import os
import pathlib
import subprocess

import pytest

from daemons import Daemon
from netlab import NetLab

ZONE = "held.test"
PORT = 5300
CHECKS = "^(00|10|11|20|22)-"
EXPECTED_CHECKS = 5


def find_kit():
    source = pathlib.Path(os.environ.get("MUTUA_SOURCE", "."))
    shared = pathlib.Path(os.environ.get("MUTUA_SHARED", source / ".." / "shared"))
    return (shared / "conformance").resolve()


KIT = find_kit()


def secrets_line(name, keys):
    return f"tsig_key = {name} hmac-sha256 {keys}/{name}.secret"


def configure(folder, keys):
    zone_file = folder / "zone"
    zone_file.write_text(f"$ORIGIN {ZONE}.\n" + (KIT / "zone" / "base.zone").read_text())
    configuration = folder / "authority.conf"
    configuration.write_text("\n".join([
        f"zone = {ZONE}.",
        f"database = {folder}/zone.sqlite",
        f"zone_file = {zone_file}",
        f"listen = 127.0.0.1:{PORT}",
        secrets_line("hk-upd", keys),
        secrets_line("hk-xfr", keys),
    ]) + "\n")
    return configuration


@pytest.mark.skipif(not (KIT / "run.sh").exists(), reason=f"NOT RUN: {KIT} is missing")
def test_the_authority_passes_the_conformance_kit(tmp_path):
    keys = tmp_path / "keys"
    subprocess.run([KIT / "lib" / "mkkeys.sh", keys, ZONE], check=True, capture_output=True,
                   timeout=60)
    for secret in keys.glob("*.secret"):
        secret.chmod(0o600)
    configuration = configure(tmp_path, keys)
    with NetLab() as lab:
        host = lab.add_host("authority")
        with Daemon("mutua-authority", ["--config", configuration], tmp_path,
                    ready=r"ready udp\+tcp (\S+):(\d+)$", prefix=host.command([])) as authority:
            done = host.run(
                [KIT / "run.sh", "127.0.0.1", PORT, ZONE, "--keys", keys, "--no-dnssec",
                 "--only", CHECKS, "--out", tmp_path / "out"],
                check=False, timeout=540)
            print(done.stdout, done.stderr)
            assert authority.alive(), authority.log()[-4000:]
            assert done.returncode == 0, done.stdout + done.stderr
            assert f"checks: {EXPECTED_CHECKS} passed, 0 failed, 0 skipped" in done.stdout
