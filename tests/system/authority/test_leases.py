# ctest: sanitized
"""SRP registrations: leases are granted within bounds, lapse on time, are refreshed silently."""

import time

import dns.name
import dns.rcode
import pytest
from conftest import Owner, commit, set_base
from daemons import wait_until
from sig0 import ED25519, ECDSA_P256, Key, Registration, error_text, granted_lease


@pytest.fixture
def owner(authority):
    set_base(authority, "trusted")
    return Owner(authority, "blog").claim()


@pytest.mark.parametrize("algorithm", [ED25519, ECDSA_P256])
def test_a_peer_registers_itself_and_its_commitment(authority, owner, algorithm):
    peer = Key(algorithm)
    registration = Registration(authority.zone, peer, addresses=("127.0.0.1", "::1"))
    registration.service(7000, "_mutua._tcp", authority.zone, texts=["v=1", "capacity=8"])
    registration.commit(owner.name, 20080, "0" * 64)
    registration.message.delete("x")  # no SRP with this in it
    answer = authority.send_wire(registration.signed())
    assert answer.rcode() == dns.rcode.REFUSED

    answer = commit(authority, peer, owner)
    assert answer.rcode() == dns.rcode.NOERROR, error_text(answer)
    host = f"{peer.peer_id()}.peers"
    assert authority.rdatas(host, "A") == {"127.0.0.1"}
    assert len(authority.rdatas(host, "KEY")) == 1
    assert owner.served() == {peer.peer_id()}


@pytest.mark.parametrize("asked, granted", [
    ((60, 1209600), (60, 1209600)), ((1, 1), (30, 30)), ((999999, 9999999), (7200, 1209600)), ((100, None), (100,)),
])
def test_leases_are_granted_within_bounds_in_the_variant_that_came(authority, asked, granted):
    peer = Key()
    answer = authority.send_wire(Registration(authority.zone, peer, lease=asked[0], key_lease=asked[1]).signed())
    assert answer.rcode() == dns.rcode.NOERROR, error_text(answer)
    assert granted_lease(answer) == granted


def test_a_refresh_keeps_the_serial(authority, owner):
    peer = Key()
    commit(authority, peer, owner)
    before = authority.serial()
    for _ in range(3):
        assert commit(authority, peer, owner).rcode() == dns.rcode.NOERROR
    assert authority.serial() == before


def test_a_lease_lapses_on_time(authority, owner):
    staying, leaving = Key(), Key()
    commit(authority, staying, owner, lease=300)
    started = time.time()
    commit(authority, leaving, owner, lease=30)
    assert owner.served() == {staying.peer_id(), leaving.peer_id()}
    wait_until(lambda: owner.served() == {staying.peer_id()}, 40, "the lapse", interval=0.1)
    assert 28.5 <= time.time() - started <= 33
    host = f"{leaving.peer_id()}.peers"
    assert not authority.rdatas(host, "A")
    assert authority.rdatas(host, "KEY")


def test_lease_0_removes_the_peer_with_all_its_commitments(authority, owner):
    peer, other = Key(), Key()
    commit(authority, peer, owner)
    commit(authority, other, owner)
    answer = authority.send_wire(
        Registration(authority.zone, peer, addresses=(), lease=0, key_lease=0).signed())
    assert answer.rcode() == dns.rcode.NOERROR, error_text(answer)
    assert granted_lease(answer) == (0, 0)
    assert owner.served() == {other.peer_id()}
    assert authority.query(f"{peer.peer_id()}.peers", "KEY").rcode() == dns.rcode.NXDOMAIN


def test_names_of_another_key_are_yxdomain(authority):
    first, second = Key(), Key()
    host = dns.name.from_text("printer", authority.zone)
    def register(key):
        registration = Registration(authority.zone, key, host=host)
        registration.service(631, "_ipp._tcp", authority.zone, instance="Office", texts=["pdl=x"])
        return authority.send_wire(registration.signed())
    assert register(first).rcode() == dns.rcode.NOERROR
    assert register(second).rcode() == dns.rcode.YXDOMAIN
    assert register(first).rcode() == dns.rcode.NOERROR
    instance = Registration(authority.zone, second, host=dns.name.from_text("other", authority.zone))
    instance.service(631, "_ipp._tcp", authority.zone, instance="Office")
    assert authority.send_wire(instance.signed()).rcode() == dns.rcode.YXDOMAIN


@pytest.mark.parametrize("spoil, words", [
    (lambda r: r.message.absent("x"), "prerequisites"),
    (lambda r: r.message.add(r.host, 30, "TXT", "x"), "holds TXT"),
    (lambda r: r.message.add(r.host, 30, Key().rdata()), "exactly one KEY"),
    (lambda r: r.message.add("_80._tcp", 30, "PTR", f"x._80._tcp.{r.zone}"), "does not describe"),
    (lambda r: r.message.delete("_80._tcp", "SRV"), "single RRset"),
    (lambda r: r.service(1, "_80._tcp", "nothing"), "no service stands"),
    (lambda r: r.service(1, "_80._tcp", "blog", instance="a" * 32), "not made from"),
    (lambda r: r.service(1, "_mutua._tcp", r.zone, instance="other"), "not made from"),
    (lambda r: r.service(1, "_x", r.zone), "no service may be registered"),
])
def test_what_is_not_srp_is_refused(authority, owner, spoil, words):
    registration = Registration(authority.zone, Key())
    spoil(registration)
    before = authority.serial()
    answer = authority.send_wire(registration.signed())
    assert answer.rcode() == dns.rcode.REFUSED
    assert words in error_text(answer)[1]
    assert authority.serial() == before


def test_a_peers_name_is_made_from_its_key(authority):
    host = dns.name.from_text(f"{Key().peer_id()}.peers", authority.zone)
    answer = authority.send_wire(Registration(authority.zone, Key(), host=host).signed())
    assert answer.rcode() == dns.rcode.REFUSED
    assert "not made from this key" in error_text(answer)[1]
