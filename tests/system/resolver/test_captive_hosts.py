"""Hosts whose network is not what it should be: each has a stated behaviour (resolver/README.md)."""

import shutil
import subprocess
import time

import pytest

import lab as laboratory
from daemons import wait_until
from test_with_the_authority import ZONE_FILE, start_authority

NAME = "blog.fed.example"
URL = f"http://{NAME}/"
PEER, OTHER_PEER = "127.0.0.11", "127.0.0.12"
STUB = "127.0.0.153"
ORDINARY = "localhost"


def serve(lab, **settings):
    lab.start_resolver(**settings)
    lab.peer("http", PEER)
    lab.publish(NAME, [(PEER, 8080)])


def test_an_authority_that_is_not_there_at_boot_is_found_later(lab):
    serve(lab)
    begun = time.monotonic()
    assert lab.address_of(NAME) is None, "nobody can say"
    assert time.monotonic() - begun < 10
    assert lab.run("getent", "hosts", ORDINARY).returncode == 0
    lab.start_authority()
    wait_until(lambda: lab.curl(URL).stdout == PEER, 15, what="the name is found")


def test_a_host_without_any_network_has_what_is_on_it(lab):
    for words in (("link", "del", "outside"), ("route", "flush", "table", "main")):
        lab.run("ip", *words)
    lab.start_authority()
    serve(lab)
    assert lab.curl(URL).stdout == PEER


def test_a_host_without_ipv4_uses_the_ipv6_pool(lab):
    lab.run("ip", "address", "del", "198.51.100.1/24", "dev", "outside")
    own = "2001:db8:1::1"
    start_authority(lab, ZONE_FILE.replace("a.peers A 127.0.0.11", f"a.peers AAAA {own}").replace("A 127.0.0.53", f"AAAA {own}"),
                    f"listen = [{own}]:53")
    lab.peer("http", own, name=PEER)
    lab.start_resolver(authority=f"[{own}]:53", pool6="fd6d:7574:7561::/96")
    # AI_ADDRCONFIG, which getent and browsers ask by, leaves out IPv4 where no interface but lo has it.
    found = lab.run("getent", "ahosts", NAME).stdout.split()[0]
    assert found.startswith("fd6d:7574:7561:")
    assert lab.curl(f"http://[{found}]/").stdout == PEER
    assert lab.curl(URL).stdout == PEER


def test_a_host_without_ipv6_needs_none(lab):
    lab.run("ip", "-6", "address", "flush", "dev", "outside")
    lab.run("sysctl", "-w", "net.ipv6.conf.all.disable_ipv6=1")
    lab.start_authority()
    serve(lab)
    assert lab.curl(URL).stdout == PEER
    lab.resolver.end()
    if lab.make_cgroup():
        lab.start_resolver(redirect="kernel", cgroup=lab.cgroup)
        assert lab.curl(URL).stdout == PEER


NSCD_CONF = """\
enable-cache hosts yes
persistent hosts no
shared hosts no
enable-cache passwd no
enable-cache group no
enable-cache services no
enable-cache netgroup no
"""


def test_nscd_keeps_an_address_and_thereby_no_peer(lab):
    nscd = shutil.which("nscd", path="/usr/sbin:/sbin")
    if not nscd:
        pytest.skip("NOT RUN: nscd is not installed (./dev setup --test)")
    lab.start_authority()
    serve(lab)
    lab.peer("http", OTHER_PEER)
    conf = lab.folder / "nscd.conf"
    conf.write_text(NSCD_CONF)
    lab.start("sh", "-c", 'mkdir /run/nscd && echo ready && exec "$0" -F -f "$1"', nscd, conf)
    # Without a path to our module, programs know of the name by nscd alone.
    address = lab.address_of(NAME)
    del lab.environment["LD_LIBRARY_PATH"]
    wait_until(lambda: lab.address_of(NAME) == address, 10, what="nscd answers")
    assert lab.curl(URL).stdout == PEER
    assert lab.run("getent", "hosts", ORDINARY).returncode == 0
    lab.publish(NAME, [(OTHER_PEER, 8080)], ttl=1)
    lab.control(command="flush")
    wait_until(lambda: lab.curl(URL).stdout == OTHER_PEER, 10, what="the address leads to the new peer")


# Asks the stub for a name's address and fetches its page, as a container would whose C library knows nothing of us.
BY_STUB = f"""
import socket, struct
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.settimeout(5)
labels = b"".join(bytes([len(label)]) + label.encode() for label in "{NAME}".split("."))
try:
    line.connect(("{STUB}", 53))
    line.send(struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, 1, 1))
    address = socket.inet_ntoa(line.recv(4096)[-4:])
    page = socket.create_connection((address, 80), 10)
    page.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    print(page.makefile().read().splitlines()[-1])
except OSError as problem:
    print(type(problem).__name__)
"""


def test_a_container_in_the_hosts_network_is_served_and_one_in_its_own_is_not(lab):
    lab.start_authority()
    serve(lab, stub_listen=STUB)

    def contained(*namespaces):
        """In namespaces of its own, and without the host's /run."""
        return lab.run("unshare", "--mount", "--pid", "--fork", "--propagation", "private", *namespaces, "sh", "-c",
                       'ip link set lo up; mount -t tmpfs tmpfs /run && exec "$@"', "sh", laboratory.PYTHON, "-c", BY_STUB)

    assert contained().stdout.strip() == PEER
    assert contained("--net").stdout.strip() == "ConnectionRefusedError", "at once: nobody is there"
    # One that shares /run is told the address, and finds nobody at it.
    shared = lab.run("unshare", "--net", "sh", "-c", f"ip link set lo up; exec curl -sS --max-time 10 {URL}")
    assert shared.returncode == 7, shared.stderr


def test_a_resolv_conf_that_others_rewrite_is_not_noticed_by_the_c_library(lab):
    resolv_conf = lab.folder / "resolv.conf"
    resolv_conf.write_text(f"nameserver {STUB}\n")
    lab.start_authority()
    serve(lab, stub_listen=STUB, upstream=laboratory.UPSTREAM)
    assert lab.curl(URL).stdout == PEER
    # By DHCP, in the same file, to a nameserver that is not there.
    resolv_conf.write_text(f"nameserver {laboratory.UPSTREAM}\noptions timeout:1 attempts:1\n")
    assert lab.curl(URL).stdout == PEER
    assert PEER in lab.python(BY_STUB), "the stub is where it was"


def test_a_laptop_that_slept_for_a_day_is_right_at_the_first_lookup(lab):
    """A real sleep: CLOCK_MONOTONIC stands, CLOCK_BOOTTIME goes on."""
    preloaded, slept = lab.folder / "asleep.so", lab.folder / "slept"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", preloaded, laboratory.HERE / "asleep.c"], check=True)
    aside = "www.example.org"

    def zone(peer, name):
        return ZONE_FILE.replace("a.peers A 127.0.0.11", f"a.peers A {peer}").replace(
            "_80._tcp.blog SRV 0 0 8080 b.peers\n", "") + (
            f'{name}.lookaside TXT "v=1" "manifest=sha256:00" "ports=80/tcp" "admission=open"\n'
            f"_80._tcp.{name}.lookaside SRV 0 0 8080 a.peers\n")

    authority = start_authority(lab, zone(PEER, aside).replace("$TTL 60", "$TTL 3600"), "transfer = 127.0.0.0/8")
    for peer in (PEER, OTHER_PEER):
        lab.peer("http", peer)
    lab.environment.update(LD_PRELOAD=str(preloaded), SLEPT=str(slept))
    lab.start_resolver(lookaside="listed")
    wait_until(lambda: lab.curl(f"http://{aside}/").stdout == PEER, 10, what="the list has come")
    assert lab.curl(URL).stdout == PEER

    authority.end()
    (lab.folder / "database").unlink()
    start_authority(lab, zone(OTHER_PEER, "www.example.net"), "transfer = 127.0.0.0/8")
    slept.write_text("90000\n")
    begun = time.monotonic()
    assert lab.curl(URL).stdout == OTHER_PEER, "an hour's TTL is over, by the clock that counts sleep"
    assert time.monotonic() - begun < 2
    # The list is fetched at once, too, not when a minute of waking is over.
    wait_until(lambda: lab.curl("http://www.example.net/").stdout == OTHER_PEER, 10, what="the new list is there")
    assert not lab.lookup(aside)["held"]
