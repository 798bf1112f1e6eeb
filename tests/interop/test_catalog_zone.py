# ctest: timeout=120
"""Knot and BIND learn of the zone from the authority's catalog zone (RFC 9432), with the samples of zones/.

NSD 4.6 knows no catalog zones; it is told of each zone by its own configuration (secondary-nsd.conf)."""

import base64
import os
import pathlib
import shutil
import subprocess

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.tsigkeyring
import dns.zone
import pytest

from daemons import Authority, free_port, wait_until
from netlab import die_with_parent

SAMPLES = pathlib.Path(os.environ["MUTUA_SOURCE"]) / "zones"
SECRET = base64.b64encode(b"secret of the samples, not for yours!").decode()
KEYRING = dns.tsigkeyring.from_text({"secondary": ("hmac-sha256", SECRET)})
CATALOG = "zones.invalid"


def tool(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")


def knot(folder):
    sample = (SAMPLES / "catalog-knot.conf").read_text()
    # Sections may stand only once.
    sample = sample.replace("server:\n    listen:", f"server:\n    rundir: {folder}\n    listen:")
    sample = sample.replace("template:\n", f"database:\n    storage: {folder}\ntemplate:\n  - id: default\n    storage: {folder}\n")
    sample = sample.replace("  - id: federations\n", f"  - id: federations\n    storage: {folder}\n")
    return sample, ["knotd", "-c"]


def bind(folder):
    sample = (SAMPLES / "catalog-bind.conf").read_text()
    sample = sample.replace("options {\n", f'options {{\n  directory "{folder}"; pid-file none; session-keyfile none;\n'
                            "  listen-on-v6 { none; }; dnssec-validation no;\n")
    return sample + "controls { };\n", ["named", "-g", "-n", "1", "-c"]


class Consumer:
    """A secondary of others that is told of no zone but the catalog."""

    def __init__(self, kind, folder):
        self.kind, self.port, self.folder = kind, free_port(), folder / kind
        self.folder.mkdir()
        self.process = None

    def start(self, authority):
        text, command = {"knot": knot, "bind": bind}[self.kind](self.folder)
        for own, theirs in (("5300", authority.port), ("5302", self.port), ("5304", self.port)):
            text = text.replace(own, str(theirs))
        assert SECRET in text
        path = self.folder / "configuration"
        path.write_text(text)
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([tool(command[0]), *command[1:], str(path)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, preexec_fn=die_with_parent)

    def ask(self, name, rdtype):
        try:
            return dns.query.udp(dns.message.make_query(name, rdtype), "127.0.0.1", 0.3, self.port)
        except (OSError, dns.exception.DNSException):
            return None

    def text(self, name):
        answer = self.ask(name, "TXT")
        return answer.answer[0][0].to_text() if answer and answer.answer else None

    def await_text(self, name, wanted):
        wait_until(lambda: self.text(name) == wanted, 30, f"{wanted} at {self.kind}")

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def leading(folder, *consumers, catalog=f"{CATALOG} federations"):
    folder.mkdir(exist_ok=True)
    secret = folder / "secondary.secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    return Authority(folder, options=[f"transfer_key = secondary hmac-sha256 {secret}", "transfer = 127.0.0.1 secondary",
                                      f"catalog_zone = {catalog}",
                                      *[f"notify = 127.0.0.1:{one.port} secondary" for one in consumers]])


def change(authority, value):
    message = authority.operator_update()
    message.replace("seen", 60, "TXT", value)
    assert authority.send(message).rcode() == dns.rcode.NOERROR


@pytest.mark.parametrize("kind, program", [("knot", "knotd"), ("bind", "named")])
def test_a_secondary_follows_what_the_catalog_lists(tmp_path, kind, program):
    if not tool(program):
        pytest.skip(f"NOT RUN: {program} is not installed (./dev setup --test)")
    consumer = Consumer(kind, tmp_path)
    with leading(tmp_path / "authority", consumer) as authority:
        try:
            change(authority, "first")
            consumer.start(authority)
            consumer.await_text("seen.fed.test.", '"first"')
            # From now on by NOTIFY and IXFR, as any zone.
            change(authority, "second")
            consumer.await_text("seen.fed.test.", '"second"')
            # And after a restart, whose catalog has a new serial.
            authority.stop()
            authority.start()
            change(authority, "third")
            consumer.await_text("seen.fed.test.", '"third"')
        finally:
            consumer.stop()


def catalog(port, key=KEYRING, kind="AXFR"):
    zone = dns.zone.Zone(CATALOG)
    query = dns.message.make_query(CATALOG, kind)
    query.use_tsig(key)
    dns.query.inbound_xfr("127.0.0.1", zone, query, port, timeout=10, lifetime=20)
    return zone


def test_the_catalog_is_what_the_rfc_asks_for(tmp_path):
    with leading(tmp_path / "authority") as authority:
        zone = catalog(authority.port)
        assert zone.find_rdataset("@", "NS")[0].to_text() == "invalid."
        assert [rdata.to_text() for rdata in zone.find_rdataset("version", "TXT")] == ['"2"']
        members = {str(name): rdata for name, _, rdata in zone.iterate_rdatas("PTR")}
        (label, member), = members.items()
        assert member.to_text() == "fed.test." and label.endswith(".zones")
        assert zone.find_rdataset(f"group.{label}", "TXT")[0].to_text() == '"federations"'
        serial = zone.find_rdataset("@", "SOA")[0].serial
        # Its SOA is for everybody who looks for something newer, its members for secondaries.
        soa = authority.query(dns.name.from_text(CATALOG), "SOA")
        assert soa.answer[0][0].serial == serial
        for name, rdtype in ((CATALOG, "NS"), (f"version.{CATALOG}", "TXT"), (f"{label}.{CATALOG}", "PTR")):
            for tcp in (False, True):
                assert authority.query(dns.name.from_text(name), rdtype, tcp=tcp).rcode() == dns.rcode.REFUSED
        unsigned = dns.message.make_query(CATALOG, "AXFR")
        assert dns.query.tcp(unsigned, "127.0.0.1", 5, authority.port).rcode() == dns.rcode.REFUSED
        # The label stays over restarts, or consumers would begin the zone anew (section 5.6).
        authority.stop()
        authority.start()
        again = catalog(authority.port)
        assert [str(name) for name, _, _ in again.iterate_rdatas("PTR")] == [label]
        assert again.find_rdataset("@", "SOA")[0].serial >= serial


@pytest.mark.parametrize("wrong, problem", [
    ("zones.fed.test", "neither in the zone nor above it"), ("test", "neither in the zone nor above it"),
    (f"{CATALOG} {'x' * 256}", "255 characters")],
    ids=["inside", "above", "group"])
def test_a_catalog_that_cannot_be_is_refused(tmp_path, wrong, problem):
    authority = leading(tmp_path / "authority", catalog=wrong)
    authority.write_config()
    checked = subprocess.run([*authority.command, "--check-config"], capture_output=True, text=True, check=False)
    assert checked.returncode == 1 and problem in checked.stderr, checked.stderr
