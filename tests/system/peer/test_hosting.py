# ctest: timeout=600
# ctest: sanitized
"""One service: published by its owner, hosted by others, found through the authority, stopped."""

import json
import os
import subprocess

from daemons import wait_until
from federation import body_digest, fetch

SERVICE = "blog.fed.test"
PAGE = "<h1>a page that lives nowhere in particular</h1>\n"


def test_a_published_service_is_served_by_its_owner_and_two_hosts(federation):
    owner, first, second = (federation.add_peer(name) for name in ("owner", "first", "second"))
    federation.publish(owner, SERVICE, PAGE, "--every", "1s",
                       "--check", f"http:/;status=200;digest={body_digest(PAGE)}")
    assert set(federation.served(SERVICE)) == {owner.id}
    assert fetch(owner.address, owner.host_port(SERVICE)) == (200, PAGE)

    first.run("host", SERVICE)
    second.run("host", SERVICE)
    served = federation.await_served(SERVICE, [owner, first, second])
    for peer in (owner, first, second):
        assert fetch(peer.address, served[peer.id]) == (200, PAGE)
        entry = peer.ps()[SERVICE]
        assert entry["state"] == "committed"
        assert entry["address"] == "10.0.0.1"
        assert entry["ports"][0]["hostPort"] == served[peer.id]
    assert owner.replicas(SERVICE)[first.id]["audit"]["outcome"] == "passed"
    assert "Run /init" in first.run("logs", SERVICE)

    first.run("stop", SERVICE)
    assert set(federation.served(SERVICE)) == {owner.id, second.id}
    assert SERVICE not in first.ps()

    assert second.stop() == 0
    assert set(federation.served(SERVICE)) == {owner.id}
    assert federation.authority.rdatas(f"{second.id}.peers", "A") == set()

    owner.run("withdraw", SERVICE)
    assert federation.served(SERVICE) == {}
    assert federation.authority.rdatas(SERVICE + ".", "KEY") == set()
    assert "nobody publishes" in first.fails("host", SERVICE)


def test_a_new_snapshot_replaces_the_old_one_everywhere(federation):
    owner, host = federation.add_peer("owner"), federation.add_peer("host")
    federation.publish(owner, SERVICE, PAGE, "--every", "500ms")
    host.run("host", SERVICE)
    federation.await_served(SERVICE, [owner, host])
    changed = PAGE.replace("nowhere", "anywhere")
    federation.publish(owner, SERVICE, changed, "--every", "500ms")

    def replaced():
        served = federation.served(SERVICE)
        return set(served) == {owner.id, host.id} and host.ps()[SERVICE]["state"] == "committed" and \
            fetch(host.address, served[host.id]) == (200, changed)

    def replaced_without_error():
        try:
            return replaced()
        except (OSError, IndexError):
            return False

    wait_until(replaced_without_error, 60, "the new page at both peers")


def test_another_key_cannot_take_the_name(federation):
    owner, thief = federation.add_peer("owner"), federation.add_peer("thief")
    federation.publish(owner, SERVICE, PAGE)
    problem = str(_failure(lambda: federation.publish(thief, SERVICE, "mine now\n")))
    assert "another key" in problem
    assert set(federation.served(SERVICE)) == {owner.id}
    assert SERVICE not in thief.ps()


def test_a_peer_takes_no_more_machines_than_its_capacity(federation):
    owner = federation.add_peer("owner", options=["capacity = 1"])
    federation.publish(owner, SERVICE, PAGE)
    problem = str(_failure(lambda: federation.publish(owner, "shop.fed.test", PAGE)))
    assert "capacity" in problem
    assert "256" in str(_failure(
        lambda: federation.publish(owner, "large.fed.test", PAGE, "--memory", "1000")))


def test_curl_reads_the_exchange(federation):
    owner = federation.add_peer("owner")
    federation.publish(owner, SERVICE, PAGE)
    base = f"http://{owner.address}:{owner.exchange_port}/v2/"

    def curl(path, *options):
        return subprocess.run(["curl", "-sS", "--fail-with-body", *options, base + path],
                              capture_output=True, check=True, timeout=20).stdout

    assert curl("") == b"{}"
    manifest = json.loads(curl(f"{SERVICE}/manifests/latest"))
    assert manifest["artifactType"] == "application/vnd.mutua.snapshot.v1"
    kernel = manifest["layers"][0]
    assert len(curl(f"{SERVICE}/blobs/{kernel['digest']}")) == kernel["size"]
    assert len(curl(f"{SERVICE}/blobs/{kernel['digest']}", "-r", "100-199")) == 100
    status = subprocess.run(["curl", "-s", "-o", os.devnull, "-w", "%{http_code}",
                             base + f"other.fed.test/blobs/{kernel['digest']}"],
                            capture_output=True, text=True, check=True, timeout=20).stdout
    assert status == "404"


def _failure(action):
    try:
        action()
    except AssertionError as failure:
        return failure
    raise AssertionError("it succeeded")
