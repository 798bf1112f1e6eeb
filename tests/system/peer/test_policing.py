# ctest: timeout=600
# ctest: sanitized
"""Replicas that are not what the owner published, and bases that nobody trusts any more."""

import os
import signal

from daemons import wait_until
from federation import body_digest, fetch

PAGE = "<h1>two and two is four</h1>\n"
ALTERED = "<h1>two and two is five</h1>\n"


def alter(peer, service):
    """What a dishonest host does: changes the page in the machine's disk and boots it again."""
    scratch, = peer.machine_folder(service).glob("*.cow")
    content = scratch.read_bytes()
    at = content.index(PAGE.encode())
    with open(scratch, "r+b") as disk:
        disk.seek(at)
        disk.write(ALTERED.encode())
    os.kill(peer.ps()[service]["pid"], signal.SIGKILL)
    wait_until(lambda: peer.ps()[service]["restarts"] > 0 and peer.ps()[service]["state"] == "committed",
               60, "the altered machine's commitment")
    assert fetch(peer.address, peer.host_port(service)) == (200, ALTERED)


def test_an_altered_replica_is_out_within_two_rounds_and_stays_out(federation):
    owner, host = federation.add_peer("owner"), federation.add_peer("host")
    check = f"http:/;digest={body_digest(PAGE)}"
    services = ["blog.fed.test", "shop.fed.test"]
    for service in services:
        federation.publish(owner, service, PAGE, "--every", "1h", "--check", check)
        host.run("host", service)
        assert set(federation.served(service)) == {owner.id}  # nobody has checked it yet
        assert "-> admit" in owner.run("audit", service)
        federation.await_served(service, [owner, host])

    alter(host, "blog.fed.test")
    assert "altered" in owner.run("audit", "blog.fed.test")
    assert "-> deny" in owner.run("audit", "blog.fed.test")
    assert set(federation.served("blog.fed.test")) == {owner.id}
    denial, = federation.authority.rdatas(f"{host.id}._deny.blog.fed.test.", "TXT")
    assert "reason=altered" in denial and body_digest(ALTERED) in denial

    # Renewals change nothing: the commitment lives, and is not served.
    instance = f"{host.id}._80._tcp.blog.fed.test."
    renewed_after = host.log().count("commitment")
    host.run("host", "blog.fed.test")
    for _ in range(2):
        federation.authority.kill()
        wait_until(lambda: host.log().count("register.failed") > renewed_after, 20, "a missed renewal")
        federation.authority.start()
        wait_until(lambda: federation.authority.rdatas(instance, "SRV"), 20, "the renewed commitment")
        federation.await_served("shop.fed.test", [owner, host])
        assert host.id not in federation.served("blog.fed.test")
    assert "denied before" in owner.run("audit", "blog.fed.test")

    # The owner's hand lifts it.
    owner.run("admit", "blog.fed.test", host.id)
    federation.await_served("blog.fed.test", [owner, host])


def test_a_silent_replica_is_suspended_and_admitted_again(federation):
    owner, host = federation.add_peer("owner"), federation.add_peer("host")
    service = "blog.fed.test"
    federation.publish(owner, service, PAGE, "--every", "1h", "--check", "http:/")
    host.run("host", service)
    owner.run("audit", service)
    federation.await_served(service, [owner, host])
    # The daemon renews, the machine is frozen.
    machine = host.ps()[service]["pid"]
    group = _descendants(machine)
    for pid in group:
        os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(3):
            owner.run("audit", service)
        assert set(federation.served(service)) == {owner.id}
        assert federation.authority.rdatas(f"{host.id}._deny.{service}.", "TXT") == set()
    finally:
        for pid in reversed(group):
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: "-> admit" in owner.run("audit", service), 60, "the admission")
    federation.await_served(service, [owner, host])


def test_a_revoked_base_stops_machines_and_is_not_hosted(federation):
    owner, host = federation.add_peer("owner"), federation.add_peer("host")
    service = "blog.fed.test"
    federation.publish(owner, service, PAGE, "--every", "500ms")
    federation.revoke(federation.kernel)
    wait_until(lambda: owner.ps()[service]["state"] == "waiting", 30, "the machine's end")
    assert "revoked" in owner.ps()[service]["detail"]
    assert federation.served(service) == {}
    assert "revoked" in host.fails("host", service)
    federation.trust(federation.kernel)
    host.run("host", service)
    federation.await_served(service, [owner, host], timeout=90)


def _descendants(pid):
    """The process and all below it, the parents first."""
    found = [pid]
    for each in found:
        with open(f"/proc/{each}/task/{each}/children") as children:
            found.extend(int(child) for child in children.read().split())
    return found
