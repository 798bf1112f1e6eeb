# ctest: sanitized
"""Owners and operators take peers out of lists: of those lists only, and for good."""

import dns.rcode
import pytest
from conftest import MANIFEST, Owner, commit, set_base
from sig0 import Key


@pytest.fixture
def federation(authority):
    set_base(authority, "trusted")
    return Owner(authority, "blog").claim(), Owner(authority, "wiki").claim()


def test_a_denial_concerns_its_service_only_and_survives_renewals_and_restarts(authority, federation):
    blog, wiki = federation
    liar, honest = Key(), Key()
    for peer in (liar, honest):
        assert commit(authority, peer, blog, wiki).rcode() == dns.rcode.NOERROR
    assert blog.served() == wiki.served() == {liar.peer_id(), honest.peer_id()}

    blog.deny(liar)
    for _ in range(2):
        assert blog.served() == {honest.peer_id()}
        assert wiki.served() == {liar.peer_id(), honest.peer_id()}
        assert commit(authority, liar, blog, wiki).rcode() == dns.rcode.NOERROR
        assert blog.served() == {honest.peer_id()}
        authority.kill()
        authority.start()

    pardon = blog.update()
    pardon.delete(f"{liar.peer_id()}._deny.{blog.name}")
    blog.must(pardon)
    assert blog.served() == {liar.peer_id(), honest.peer_id()}


def test_an_owner_deletes_a_commitment_but_cannot_make_one(authority, federation):
    blog, wiki = federation
    peer = Key()
    commit(authority, peer, blog, wiki)
    owner_name = f"{peer.peer_id()}._80._tcp.{blog.name}"
    deletion = blog.update()
    deletion.delete(owner_name)
    blog.must(deletion)
    assert blog.served() == set()
    assert wiki.served() == {peer.peer_id()}
    forged = blog.update()
    forged.add(owner_name, 60, "SRV", f"0 0 1 {peer.peer_id()}.peers.{authority.zone}")
    assert blog.send(forged).rcode() == dns.rcode.REFUSED


def test_a_revoked_base_takes_every_service_that_stands_on_it_out(authority, federation):
    blog, _ = federation
    other_base = "c" * 52
    set_base(authority, "trusted", other_base)
    safe = Owner(authority, "safe").claim(base=other_base)
    peer = Key()
    assert commit(authority, peer, blog, safe).rcode() == dns.rcode.NOERROR
    assert blog.served() == safe.served() == {peer.peer_id()}
    set_base(authority, "revoked")
    assert blog.served() == set()
    assert safe.served() == {peer.peer_id()}
    assert commit(authority, peer, blog, safe).rcode() == dns.rcode.NOERROR
    authority.kill()
    authority.start()
    assert blog.served() == set()
    set_base(authority, "trusted")
    assert blog.served() == {peer.peer_id()}


def test_audited_services_serve_whom_the_owner_admitted(authority, federation):
    audited = Owner(authority, "audited").claim(admission="audited")
    peer = Key()
    commit(authority, peer, audited)
    commit(authority, audited.key, audited)
    assert audited.served() == {audited.key.peer_id()}  # the owner's own needs no admission
    audited.admit(peer)
    assert audited.served() == {peer.peer_id(), audited.key.peer_id()}


def test_a_new_manifest_unlists_the_old_ones_unless_they_are_named_previous(authority, federation):
    blog, _ = federation
    peer = Key()
    commit(authority, peer, blog)
    blog.claim(manifest="1" * 64)
    assert blog.served() == set()
    rolling = blog.update()
    rolling.delete(blog.name, "TXT")
    rolling.add(blog.name, 60, "TXT", f'"v=1" "manifest=sha256:{"1" * 64}" "previous=sha256:{MANIFEST}" '
                f'"base={"b" * 52}" "ports=80/tcp" "admission=open"')
    blog.must(rolling)
    assert blog.served() == {peer.peer_id()}
