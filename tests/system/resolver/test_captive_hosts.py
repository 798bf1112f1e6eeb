"""Hosts whose network is not what it should be: each has a stated behaviour (resolver/README.md)."""

import time

import lab as laboratory
from daemons import wait_until

NAME = "blog.fed.example"
URL = f"http://{NAME}/"
PEER = "127.0.0.11"
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
    lab.start_authority()
    serve(lab, pool6="fd6d:7574:7561::/96")
    # AI_ADDRCONFIG, which getent and browsers ask by, leaves out IPv4 where no interface but lo has it.
    found = lab.run("getent", "ahosts", NAME).stdout.split()[0]
    assert found.startswith("fd6d:7574:7561:")
    assert lab.curl(f"http://[{found}]/").stdout == PEER, "the peer's family is the relay's concern"
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
