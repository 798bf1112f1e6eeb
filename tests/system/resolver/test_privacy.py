# ctest: sanitized
"""Ordinary names are told to real DNS and to nobody else: what goes over the authority's wire is recorded whole."""

import os
import socket
import struct
import subprocess
import threading

import pytest

from client_machine import ClientMachine
from daemons import Daemon, program, wait_until
from netlab import NetLab, available

NAMES = [f"{word}{number}.ordinary{number % 7}.example"
         for number, word in enumerate(["www", "mail", "cdn", "login", "api"] * 2000)]
ADDRESS = "203.0.113.80"
STUB = "127.0.0.153"
ASIDE = "www.aside.example"

ZONE = """\
$ORIGIN fed.test.
$TTL 30
@ SOA ns1 hostmaster 1 3600 600 604800 60
@ NS ns1
ns1 A {authority}
web A {web}
shop TXT "v=1" "ports=80/tcp"
_80._tcp.shop SRV 0 0 8080 web
www.aside.example.lookaside TXT "v=1" "ports=80/tcp"
_80._tcp.www.aside.example.lookaside SRV 0 0 8080 web
"""

# Looks names up by the C library, or asks the stub; prints how many have the wanted address.
CLIENT = """
import socket, struct, sys
way, wanted, stub, names = sys.argv[1], sys.argv[2], sys.argv[3], sys.stdin.read().split()
found = 0
if way == "nss":
    for name in names:
        found += socket.getaddrinfo(name, 80, socket.AF_INET, socket.SOCK_STREAM)[0][4][0] == wanted
else:
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.settimeout(20)
    line.connect((stub, 53))
    for number, name in enumerate(names):
        labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        line.send(struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\\0" + struct.pack("!2H", 1, 1))
        found += line.recv(65535).endswith(socket.inet_aton(wanted))
print(found)
"""


class RealDns:
    """Knows every name. Its socket is the host's, its thread ours."""

    def __init__(self, host):
        with host.entered():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.bind((host.address, 53))
        self.asked = set()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        record = struct.pack("!HHHIH", 0xC00C, 1, 1, 300, 4) + socket.inet_aton(ADDRESS)
        while True:
            query, client = self._socket.recvfrom(4096)
            end, labels = 12, []
            while query[end]:
                labels.append(query[end + 1:end + 1 + query[end]].decode().lower())
                end += 1 + query[end]
            self.asked.add(".".join(labels))
            is_a = query[end + 1:end + 3] == b"\0\1"
            self._socket.sendto(query[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_a else b"\0\0") + b"\0\0\0\0"
                                + query[12:end + 5] + (record if is_a else b""), client)


class Wire:
    """All that passes the host's interface, in both directions."""

    def __init__(self, host):
        every_protocol = socket.htons(3)
        with host.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, every_protocol)
            self._socket.bind(("eth0", 3))
        self._socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE: nothing may be lost
        self._socket.setblocking(False)

    def passed(self):
        """The frames since the last call; fails where the kernel had to drop one."""
        frames = []
        while True:
            try:
                frames.append(self._socket.recv(65535))
            except BlockingIOError:
                break
        dropped = struct.unpack("II", self._socket.getsockopt(263, 6, 8))[1]  # SOL_PACKET, PACKET_STATISTICS
        assert dropped == 0, f"{dropped} frames are not in the record"
        return frames

    def says(self, text):
        """Whether a frame since the last call, or what one TCP connection said in several, has the text in it."""
        streams, frames = {}, self.passed()
        for frame in frames:
            if frame[12:14] == b"\x08\x00" and frame[23] == socket.IPPROTO_TCP:
                tcp = 14 + (frame[14] & 15) * 4
                content = frame[tcp + (frame[tcp + 12] >> 4) * 4:14 + struct.unpack("!H", frame[16:18])[0]]
                connection = frame[26:34] + frame[tcp:tcp + 4]
                streams[connection] = streams.get(connection, b"") + content
        return any(text in octets.lower() for octets in [*frames, *streams.values()])


class Setting:
    def __init__(self, lab, folder):
        self.folder = folder
        self.authority_host, dns = lab.add_host("authority"), lab.add_host("dns")
        self.dns = RealDns(dns)
        self.client = lab.add_host("client", kind=ClientMachine)
        self.client.library_folder = os.environ["MUTUA_LIB"]
        self.client.replace_file("/etc/resolv.conf", f"nameserver {dns.address}\n")
        self.wire = Wire(self.authority_host)
        address = self.authority_host.address
        (folder / "zone").write_text(ZONE.format(authority=address, web=dns.address))
        self.authority_conf = folder / "authority.conf"
        self.authority_conf.write_text(
            f"zone = fed.test.\ndatabase = {folder}/zone.sqlite\nzone_file = {folder}/zone\nlisten = {address}:53\n"
            f"transfer = {self.client.address}\ndnssec_keys = {folder}/keys\n")
        self.resolver_lines = ["zone = fed.test.", f"authority = {address}", f"upstream = {dns.address}",
                               f"stub_listen = {STUB}", f"state = {folder}/state", "redirect = relay"]

    def start_authority(self):
        daemon = Daemon("mutua-authority", ["--config", self.authority_conf], self.folder,
                        ready=r"ready udp\+tcp", prefix=self.authority_host.command([])).start()
        self.anchor = subprocess.run([program("mutua-authority"), "--config", self.authority_conf, "keys", "ds"],
                                     check=True, capture_output=True, text=True).stdout.strip()
        return daemon

    def start_resolver(self, *lines):
        path = self.folder / "resolver.conf"
        path.write_text("\n".join([*self.resolver_lines, *lines]) + "\n")
        return Daemon("mutua-resolver", ["--config", path], self.folder, ready=r"^ready",
                      prefix=self.client.command([])).start()

    def look_up(self, way, names, wanted=ADDRESS):
        done = self.client.run(["/usr/bin/python3", "-c", CLIENT, way, wanted, STUB], input="\n".join(names),
                               env=self.client.environment(), timeout=280)
        return int(done.stdout)

    def address_of(self, name):
        done = self.client.run(["getent", "ahostsv4", name], env=self.client.environment(), check=False)
        return done.stdout.partition(" ")[0]


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    if not available():
        pytest.skip("NOT RUN: no network namespace may be made here")
    with NetLab() as lab:
        made = Setting(lab, tmp_path_factory.mktemp("privacy"))
        with made.start_authority():
            yield made


@pytest.mark.parametrize("mode", ("no", "listed", "mirror"))
def test_no_ordinary_name_reaches_the_authority(setting, mode):
    lines = {"no": ["lookaside = no"], "listed": ["lookaside = listed"],
             "mirror": ["lookaside = listed", "mirror = yes", f"trust_anchor = {setting.anchor}"]}[mode]
    with setting.start_resolver(*lines):
        if mode != "no":  # the list, or the mirror, has come
            wait_until(lambda: setting.address_of(ASIDE).startswith("127."), 20, "the looked-aside name is known")
        assert setting.address_of("shop.fed.test").startswith("127.")
        setting.wire.passed()
        for way in ("nss", "stub"):
            setting.dns.asked.clear()
            assert setting.look_up(way, NAMES) == len(NAMES), "each has its real address"
            assert setting.dns.asked >= set(NAMES), "real DNS was asked for each"
        assert not setting.wire.says(b"ordinary")


def test_the_record_would_show_them(setting):
    with setting.start_resolver("lookaside = yes"):
        for way in ("nss", "stub"):
            setting.wire.passed()
            name = f"{way}.ordinary.example"
            assert setting.look_up(way, [name]) == 1
            assert setting.wire.says(b"ordinary"), "all names are asked of the authority"


def test_a_listed_name_is_asked_for_and_a_mirrored_one_is_not(setting):
    with setting.start_resolver("lookaside = listed"):
        wait_until(lambda: setting.address_of(ASIDE).startswith("127."), 20, "the list has come")
        setting.client.run([program("mutua"), "resolver", "flush"])
        setting.wire.passed()
        assert setting.address_of(ASIDE)
        assert setting.wire.says(b"\5aside")
    with setting.start_resolver("lookaside = listed", "mirror = yes", "mirror_refresh = 1h",
                                f"trust_anchor = {setting.anchor}"):
        wait_until(lambda: setting.address_of(ASIDE).startswith("127."), 20, "the mirror has come")
        setting.client.run([program("mutua"), "resolver", "flush"])
        setting.wire.passed()
        assert setting.address_of(ASIDE)
        assert setting.address_of("shop.fed.test")
        assert not setting.wire.says(b"\5aside") and not setting.wire.says(b"\4shop")
