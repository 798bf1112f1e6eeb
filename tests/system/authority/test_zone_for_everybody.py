# ctest: timeout=900
"""A signed zone after random updates, a roll-over of its keys and a wrap of its serial: whoever checks accepts
it, secondaries of every kind hold it record by record, and no name is lost behind a resolver that denies by itself.

MUTUA_RANDOM_UPDATES says how many updates (400 by default; 10,000 are the full measure). The authority and its
secondaries live in libfaketime's time, where hours pass when the test says so. It begins in the past and stays
there, so that the signatures hold for the judges, too, who live in the present: BIND's tools cannot bear libfaketime."""

import collections
import os
import pathlib
import random
import re
import shutil
import subprocess
import time
import warnings

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from daemons import Authority, free_port, program, wait_until
from netlab import NetLab, available, die_with_parent
from secondaries import SECRET, Following, knot_surroundings, nsd_surroundings, records, secret_option

UPDATES = int(os.environ.get("MUTUA_RANDOM_UPDATES", "400"))
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
NAMES = 60
# The serial is near the end of its numbers: it wraps in the midst of the updates.
ZONE_TEXT = f"""\
$ORIGIN fed.test.
$TTL 300
@ SOA ns1 hostmaster {2**32 - UPDATES // 2} 3600 2 604800 60
@ NS ns1
ns1 A 127.0.0.1
*.wild TXT "whoever"
alias CNAME ns1
deep.under.nothing TXT "below"
MiXed A 192.0.2.3
secure NS ns.secure
secure DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
ns.secure A 192.0.2.5
"""


def tool(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


def need(*names):
    for name in names:
        if not tool(name):
            pytest.skip(f"NOT RUN: {name} is not installed (./dev setup --test)")


class FakeTime:
    """The time of every process that is started with `environment`, and that this object moves."""

    def __init__(self, folder, begin=-4 * 3600):
        if not pathlib.Path(FAKETIME).exists():
            pytest.skip("NOT RUN: faketime is not installed (./dev setup --test)")
        self.path = folder / "faketime"
        self.environment = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(self.path),
                            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
        self.passed = begin
        self.advance(0)

    def advance(self, seconds):
        self.passed += seconds
        assert self.passed < 0
        temporary = self.path.with_suffix(".new")
        temporary.write_text(f"{self.passed}\n")
        temporary.replace(self.path)


class Zone:
    """The authority, what was put into it, and its command line."""

    def __init__(self, folder, clock, followers):
        self.clock = clock
        self.folder = folder
        self.choose = random.Random(9)
        self.present = {}  # name: addresses
        options = [secret_option(folder / "authority"), f"dnssec_keys = {folder}/keys", "dnssec_propagation = 10m",
                   "dnssec_parent_ds_ttl = 1h", "zonemd = 2s", "transfer = 127.0.0.1",
                   *[f"notify = 127.0.0.1:{port} transfer" for port in followers]]
        self.authority = Authority(folder / "authority", zone_text=ZONE_TEXT, options=options, environment=clock.environment)

    def keys(self, *words):
        done = subprocess.run([program("mutua-authority"), "--config", self.authority.folder / "authority.conf", "keys", *words],
                              capture_output=True, text=True, env={**os.environ, **self.clock.environment})
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def update(self, count):
        for _ in range(count):
            message = self.authority.operator_update()
            for _ in range(self.choose.randrange(1, 4)):
                name = self.choose.choice(("", "a.", "b.c.")) + f"n{self.choose.randrange(NAMES)}"
                if self.choose.random() < 0.4:
                    message.delete(name)
                    self.present.pop(name, None)
                else:
                    address = f"192.0.2.{self.choose.randrange(250)}"
                    message.replace(name, self.choose.choice((60, 300)), "A", address)
                    self.present[name] = address
            self._send(message)

    def _send(self, message):
        # dnspython signs by the real time; the authority lives in another.
        real = time.time
        dns.message.time.time = lambda: real() + self.clock.passed
        try:
            assert self.authority.send(message).rcode() == dns.rcode.NOERROR
        finally:
            dns.message.time.time = real

    def leap(self, seconds):
        """Time passes, and the authority comes back from a kill -9."""
        self.clock.advance(seconds)
        self.authority.kill()
        self.authority.start()

    def phases(self):
        """"zsk active" and the like, of every key in use."""
        words = [line.split() for line in self.keys("list").splitlines()]
        return sorted(f"{role} {phase.rstrip(':')}" for _, role, _, _, phase, *_ in words if phase != "removed:")

    def published(self):
        return len(self.authority.rdatas("fed.test.", "DNSKEY"))


# ---------------------------------------------------------------- who judges

def check_files(zone, knot="on"):
    """ldns-verify-zone, named-checkzone, dnssec-verify, kzonecheck on what an AXFR brings."""
    text = subprocess.run(["dig", "@127.0.0.1", "-p", str(zone.authority.port), "+noall", "+answer", "+onesoa", "fed.test", "AXFR"],
                          check=True, capture_output=True, text=True).stdout
    path = zone.folder / "zone.signed"
    path.write_text(text)
    # A SEP key may sign data, too: -z says so. Knot 3.x cannot judge two keys that each sign everything.
    checks = [["ldns-verify-zone", str(path)], ["named-checkzone", "-q", "-i", "none", "fed.test", str(path)],
              ["dnssec-verify", "-q", "-z", "-o", "fed.test", str(path)],
              ["kzonecheck", "--dnssec", knot, "-o", "fed.test", str(path)]]
    for name, *arguments in checks:
        done = subprocess.run([tool(name), *arguments], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{name}: {done.stdout[-1500:]}{done.stderr[-1500:]}"


def check_delv(zone, ds=None):
    """Everything validates for who trusts the DS; by default that of the active key."""
    owner, _, _, tag, algorithm, digest_type, digest = (ds or zone.keys("ds")).split()
    anchors = zone.folder / "anchors"
    anchors.write_text(f'trust-anchors {{ {owner} static-ds {tag} {algorithm} {digest_type} "{digest}"; }};\n')
    for name, rdtype in (("ns1", "A"), ("ns1", "AAAA"), ("zz", "A"), ("some.wild", "TXT"), ("fed.test.", "SOA")):
        name = name if name.endswith(".") else f"{name}.fed.test"
        done = subprocess.run([tool("delv"), "@127.0.0.1", "-p", str(zone.authority.port), "-a", str(anchors), "+root=fed.test", name, rdtype],
                              capture_output=True, text=True, timeout=60)
        assert "fully validated" in done.stdout, f"{name} {rdtype}: {done.stdout}{done.stderr}"


def check_dnsviz(zone):
    """dnsviz asks a nameserver, and only where there is a way to the world: a host with NSD and a route to nobody."""
    if not available():
        return warnings.warn("NOT RUN: dnsviz, for want of network namespaces")
    folder = zone.folder / f"dnsviz-{zone.authority.serial()}"
    folder.mkdir()
    with NetLab() as lab:
        host = lab.add_host("server")
        host.run(["ip", "route", "add", "default", "via", f"{host.address.rpartition('.')[0]}.254"])
        surroundings = nsd_surroundings(folder, f"ip-address: {host.address}")
        (folder / "conf").write_text(f'{surroundings}zone:\n  name: fed.test\n  zonefile: "{zone.folder}/zone.signed"\n')
        host.popen([tool("nsd"), "-d", "-c", folder / "conf"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
        ask = ["dig", f"@{host.address}", "+norec", "+short", "+timeout=1", "fed.test", "DNSKEY"]
        keys = wait_until(lambda: host.run(ask, check=False).stdout.strip(), 20, "NSD answers")
        (folder / "keys").write_text("".join(f"fed.test. IN DNSKEY {key}\n" for key in keys.splitlines()))
        ds = " ".join(zone.keys("ds").split()[3:])
        names = ["fed.test", "ns1.fed.test", "alias.fed.test", "x.wild.fed.test", "nobody.fed.test", "deep.under.nothing.fed.test"]
        host.run(["dnsviz", "probe", "-4", "-A", "-d", "0", "-o", folder / "probe", "-x", f"fed.test+:ns1.fed.test={host.address}",
                  "-N", f"fed.test:ns1.fed.test={host.address}", "-D", f"fed.test:{ds}", *names], timeout=120)

        def judge(keys):
            shown = host.run(["dnsviz", "print", "-t", keys, "-r", folder / "probe"], timeout=120).stdout
            return collections.Counter(re.findall(r"\[(\S+)\]", shown)), shown
        found, shown = judge(folder / "keys")
        assert set(found) == {"."} and found["."] > 50, shown
        (folder / "other").write_text("fed.test. IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=\n")
        assert set(judge(folder / "other")[0]) != {"."}, "dnsviz accepts everything"


class Resolver:
    """unbound with the zone's DS as its anchor and aggressive-nsec: what it has proven absent it does not ask again."""

    def __init__(self, zone):
        self.port = free_port()
        folder = zone.folder / f"unbound-{self.port}"
        folder.mkdir()
        (folder / "anchor").write_text(zone.keys("ds") + "\n")
        (folder / "unbound.conf").write_text(f"""server:
  interface: 127.0.0.1@{self.port}
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: "{folder}/pid"
  use-syslog: no
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor-file: "{folder}/anchor"
  local-zone: "test." nodefault
  num-threads: 1
  aggressive-nsec: yes
  cache-max-negative-ttl: 2
  cache-max-ttl: 2
remote-control:
  control-enable: no
stub-zone:
  name: "fed.test"
  stub-addr: 127.0.0.1@{zone.authority.port}
""")
        self.log = folder / "log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([tool("unbound"), "-d", "-c", str(folder / "unbound.conf")], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, preexec_fn=die_with_parent)
        wait_until(self._answers, 20, "unbound answers")

    def _answers(self):
        try:
            return self.ask("fed.test.", "SOA")
        except (OSError, dns.exception.DNSException):
            return None

    def ask(self, name, rdtype):
        query = dns.message.make_query(name, rdtype, want_dnssec=True)
        query.flags |= dns.flags.AD
        return dns.query.udp(query, "127.0.0.1", 5, self.port)

    def check_all(self, zone):
        """Every name, there or not: the truth, and proven."""
        for label in ("", "a.", "b.c.", "c.", "x.y."):
            for number in range(NAMES):
                name = f"{label}n{number}"
                answer = self.ask(f"{name}.fed.test.", "A")
                assert answer.flags & dns.flags.AD, f"{name} is not secure: {answer}\n{self.log.read_text()[-1500:]}"
                found = {rdata.to_text() for rrset in answer.answer if rrset.rdtype == dns.rdatatype.A for rdata in rrset}
                expected = {zone.present[name]} if name in zone.present else set()
                assert found == expected, f"{name}: {answer}"

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


# ---------------------------------------------------------------- who follows

def nsd_config(folder, port, primary):
    surroundings = nsd_surroundings(folder, f"ip-address: 127.0.0.1@{port}")
    return f"""{surroundings}key:
  name: transfer
  algorithm: hmac-sha256
  secret: "{SECRET}"
zone:
  name: fed.test
  zonefile: "{folder}/zone"
  request-xfr: 127.0.0.1@{primary} transfer
  allow-notify: 127.0.0.1 transfer
  provide-xfr: 127.0.0.1 NOKEY
"""


def knot_config(folder, port, primary, validating=False):
    surroundings = knot_surroundings(folder, port, ("primary", primary))
    return f"""{surroundings}acl:
  - id: primary
    address: 127.0.0.1
    key: transfer
    action: notify
  - id: anybody
    address: 127.0.0.1
    action: transfer
template:
  - id: default
    storage: {folder}
zone:
  - domain: fed.test
    master: primary
    acl: [primary, anybody]
    dnssec-validation: {"on" if validating else "off"}
"""


class Foreign:
    """NSD or Knot, following, in the authority's time: their TSIGs are judged by it."""

    def __init__(self, kind, folder, port, zone, **options):
        self.kind, self.port = kind, port
        folder = folder / kind
        folder.mkdir()
        path = folder / "conf"
        path.write_text({"nsd": nsd_config, "knotd": knot_config}[kind](folder, port, zone.authority.port, **options))
        self.command = [tool(kind), *(["-d"] if kind == "nsd" else []), "-c", str(path)]
        self.log = folder / "log"
        self.environment = {**os.environ, **zone.clock.environment}
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=die_with_parent, env=self.environment)

    def has(self, serial):
        try:
            answer = dns.query.udp(dns.message.make_query("fed.test.", "SOA"), "127.0.0.1", 0.5, self.port)
        except (OSError, dns.exception.DNSException):
            return False
        return bool(answer.answer) and answer.answer[0][0].serial == serial

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def has(follower, serial):
    try:
        return follower.has(serial)
    except (OSError, dns.exception.DNSException):
        return False


def check_followers(zone, followers):
    """Equal to the primary record by record, at a serial that all of them have."""
    def all_equal():
        serial = zone.authority.serial()
        if not all(has(one, serial) for one in followers):
            return False
        expected = records(zone.authority.port)
        found = [records(one.port) for one in followers]
        return zone.authority.serial() == serial and (expected, found)
    expected, found = wait_until(all_equal, 60, "every secondary has the newest serial", 0.1)
    for one, theirs in zip(followers, found):
        lower = [line.lower() for line in expected]
        assert sorted(line.lower() for line in theirs) == sorted(lower), type(one).__name__ + getattr(one, "kind", "")


# ---------------------------------------------------------------- the test

def test_everybody_accepts_the_zone_after_updates_a_roll_over_and_a_wrap(tmp_path):
    need("ldns-verify-zone", "named-checkzone", "dnssec-verify", "kzonecheck", "delv", "unbound", "nsd", "knotd", "dig", "dnsviz")
    clock = FakeTime(tmp_path)
    ports = [free_port() for _ in range(3)]
    zone = Zone(tmp_path, clock, ports)
    stoppable = []
    with zone.authority:
        ours = Following(tmp_path / "follower", [zone.authority.port])
        ours.environment.update(clock.environment)
        ours.listen = [f"127.0.0.1:{ports[0]}"]
        try:
            followers = [ours.start()]
            stoppable.append(ours)
            for kind, port in (("nsd", ports[1]), ("knotd", ports[2])):
                followers.append(Foreign(kind, tmp_path, port, zone))
                stoppable.append(followers[-1])
            resolver = Resolver(zone)
            stoppable.append(resolver)

            before = zone.authority.serial()
            zone.update(UPDATES // 2)
            check_files(zone)
            resolver.check_all(zone)
            check_followers(zone, followers)

            # The roll-over, with a crash at every step and updates between.
            old = zone.keys("ds").split()[3]
            new = zone.keys("roll")
            wait_until(lambda: zone.published() == 2, 20, "two keys")
            steps = ((0, None), (3600 + 600 + 60, "active"), (60, "retired"))
            for seconds, event in steps:
                clock.advance(seconds)
                zone.authority.kill()
                zone.authority.start()
                if event:
                    wait_until(lambda: event in zone.keys("list").replace("inactive", ""), 20, event)
                zone.update(max(3, UPDATES // 20))
                check_files(zone, knot="off")
                check_delv(zone)
            wait_until(lambda: zone.keys("ds").split()[3] == new, 20, "the successor is active")
            zone.keys("ds-seen", new)
            clock.advance(3600 + 600 + 60 + 3600)
            wait_until(lambda: zone.published() == 1, 30, f"the old key is gone: {zone.keys('list')}")
            assert old != new and f"{int(old):05}" in zone.keys("list")

            for one in followers[1:]:  # Knot's timers under libfaketime do not outlive such a leap
                one.stop()
                one.start()
            zone.update(UPDATES // 2)
            after = zone.authority.serial()
            assert before > 2**31 > after, "the serial has wrapped"
            check_files(zone)
            check_delv(zone)
            check_dnsviz(zone)
            resolver.stop()
            stoppable.remove(resolver)
            resolver = Resolver(zone)  # trusts the new key
            stoppable.append(resolver)
            for _ in range(3):
                resolver.check_all(zone)  # fills its cache with denials ...
                zone.update(20)           # ... of names that come now
                time.sleep(3.5)           # what it was told to keep is two whole seconds old
            resolver.check_all(zone)
            check_followers(zone, followers)
        finally:
            for one in stoppable:
                one.stop()


class RollOver:
    """Of several keys at once, as the zone above and the judges follow it."""

    def __init__(self, zone, judge):
        self.zone, self.judge = zone, judge
        self.above = zone.keys("ds")

    def go(self, published, retired, final):
        """Through what `phases` gives after each step; all judge before and after the zone above has followed."""
        self._expect(published)
        self.zone.leap(3600 + 600 + 60)
        self._expect(retired)
        if self.zone.keys("ds") != self.above:
            self.above = self.zone.keys("ds")
            self.zone.keys("ds-seen", self.above.split()[3])
            check_delv(self.zone, self.above)
        self.zone.leap(3600 + 600 + 60)
        self._expect(final)

    def _expect(self, phases):
        wait_until(lambda: self.zone.phases() == phases, 30, f"{phases}, not {self.zone.phases()}", 0.1)
        self.zone.update(3)
        self.judge()
        check_delv(self.zone, self.above)


def test_a_validating_secondary_accepts_every_step_from_one_key_to_two_and_on(tmp_path):
    need("ldns-verify-zone", "named-checkzone", "dnssec-verify", "kzonecheck", "delv", "knotd", "dig")
    clock = FakeTime(tmp_path, begin=-6 * 3600)
    port = free_port()
    zone = Zone(tmp_path, clock, [port])
    knot = None
    with zone.authority:
        def judge():
            check_files(zone)
            knot.stop()  # its timers do not outlive the leaps of libfaketime
            knot.start()
            wait_until(lambda: has(knot, zone.authority.serial()), 30, f"Knot's acceptance (see {knot.log})")
        try:
            roll = RollOver(zone, lambda: check_files(zone, knot="off"))
            zone.authority.options.append("dnssec_signing_keys = split")
            zone.leap(0)
            roll.go(["csk active", "ksk published", "zsk published"], ["csk retired", "ksk active", "zsk active"], ["ksk active", "zsk active"])
            knot = Foreign("knotd", tmp_path, port, zone, validating=True)
            roll.judge = judge
            for role in ("ksk", "zsk"):
                zone.keys("roll", role)
            roll.go(["ksk active", "ksk published", "zsk active", "zsk published"],
                    ["ksk active", "ksk retired", "zsk active", "zsk retired"], ["ksk active", "zsk active"])
        finally:
            if knot:
                knot.stop()
