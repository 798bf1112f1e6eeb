# ctest: timeout=600
# ctest: serial
"""The acceptance kit of ../shared/conformance, run against the real authority."""

import base64
import os
import pathlib
import re
import subprocess

import pytest

from daemons import Daemon
from netlab import NetLab

ZONE = "held.test"
PORT = 5300
NOTIFY_PORTS = "5401 5402 5403"
CHECKS = 8


def find_kit():
    source = pathlib.Path(os.environ.get("MUTUA_SOURCE", "."))
    shared = pathlib.Path(os.environ.get("MUTUA_SHARED", source / ".." / "shared"))
    return (shared / "conformance").resolve()


KIT = find_kit()


def make_keys(keys):
    """The kit's keys. BIND writes a private key without its leading zeros, one in 256 has some, and
    Net::DNS::SEC's signatures with such a key are wrong: another one is made then."""
    while True:
        subprocess.run([KIT / "lib" / "mkkeys.sh", keys, ZONE], check=True, capture_output=True, timeout=60)
        short = [path for path in keys.glob("*.private")
                 if len(base64.b64decode(re.search(r"PrivateKey: (\S+)", path.read_text())[1])) < 32]
        if not short:
            return
        for path in short:
            path.unlink()
            path.with_suffix(".key").unlink()


def key_line(kind, name, keys):
    return f"{kind} = {name} hmac-sha256 {keys}/{name}.secret"


def configure(folder, keys):
    zone_file = folder / "zone"
    zone_file.write_text(f"$ORIGIN {ZONE}.\n" + (KIT / "zone" / "base.zone").read_text())
    configuration = folder / "authority.conf"
    configuration.write_text("\n".join([
        f"zone = {ZONE}.",
        f"database = {folder}/zone.sqlite",
        f"zone_file = {zone_file}",
        f"listen = 127.0.0.1:{PORT}",
        f"dnssec_keys = {folder}/zone-keys",
        key_line("tsig_key", "hk-upd", keys),
        key_line("transfer_key", "hk-upd", keys),
        key_line("transfer_key", "hk-xfr", keys),
        "transfer = 127.0.0.1 hk-upd",
        "transfer = 127.0.0.1 hk-xfr",
        *[f"notify = 127.0.0.1:{port} hk-xfr" for port in NOTIFY_PORTS.split()],
    ]) + "\n")
    return configuration


@pytest.mark.skipif(not (KIT / "run.sh").exists(), reason=f"NOT RUN: {KIT} is missing")
def test_the_signed_zone_passes_the_whole_conformance_kit_in_strict_mode(tmp_path):
    keys = tmp_path / "keys"
    make_keys(keys)
    for secret in keys.glob("*.secret"):
        secret.chmod(0o600)
    configuration = configure(tmp_path, keys)
    with NetLab() as lab:
        host = lab.add_host("authority")
        with Daemon("mutua-authority", ["--config", configuration], tmp_path,
                    ready=r"ready udp\+tcp (\S+):(\d+)$", prefix=host.command([])) as authority:
            done = host.run(
                [KIT / "run.sh", "127.0.0.1", PORT, ZONE, "--keys", keys, "--strict",
                 "--notify-ports", NOTIFY_PORTS, "--out", tmp_path / "out"],
                check=False, timeout=540)
            print(done.stdout, done.stderr)
            assert authority.alive(), authority.log()[-4000:]
            assert done.returncode == 0, done.stdout + done.stderr
            assert f"checks: {CHECKS} passed, 0 failed, 0 skipped" in done.stdout
