# ctest: timeout=600
# ctest: sanitized
"""What a peer promised survives its end, however it ends."""

import os
import signal

from daemons import wait_until
from federation import fetch

SERVICE = "blog.fed.test"
PAGE = "<h1>still here</h1>\n"


def process_exists(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_peer_lapses_and_takes_its_commitment_up_again(federation):
    owner, host = federation.add_peer("owner"), federation.add_peer("host")
    federation.publish(owner, SERVICE, PAGE, "--every", "500ms")
    host.run("host", SERVICE)
    federation.await_served(SERVICE, [owner, host])
    machine = host.ps()[SERVICE]["pid"]

    host.kill()
    wait_until(lambda: not process_exists(machine), 10, "the machine's end after its daemon's")
    federation.await_served(SERVICE, [owner])

    host.start()
    served = federation.await_served(SERVICE, [owner, host])
    assert fetch(host.address, served[host.id]) == (200, PAGE)


def test_a_killed_owner_goes_on_to_serve_and_to_audit(federation):
    owner, host = federation.add_peer("owner"), federation.add_peer("host")
    federation.publish(owner, SERVICE, PAGE, "--every", "500ms")
    owner.kill()
    owner.start()
    federation.await_served(SERVICE, [owner])
    host.run("host", SERVICE)
    federation.await_served(SERVICE, [owner, host])


def test_a_host_restarts_while_the_owner_is_away(federation):
    owner, host = federation.add_peer("owner"), federation.add_peer("host")
    federation.publish(owner, SERVICE, PAGE, "--every", "500ms")
    host.run("host", SERVICE)
    federation.await_served(SERVICE, [owner, host])
    owner.kill()
    host.kill()
    host.start()
    federation.await_served(SERVICE, [host])


def test_a_machine_that_dies_is_withdrawn_and_restarted(federation):
    owner = federation.add_peer("owner")
    federation.publish(owner, SERVICE, PAGE)
    first_port = owner.host_port(SERVICE)
    os.kill(owner.ps()[SERVICE]["pid"], signal.SIGKILL)
    wait_until(lambda: owner.ps()[SERVICE]["restarts"] == 1, 20, "the restart")
    served = federation.await_served(SERVICE, [owner])
    wait_until(lambda: owner.ps()[SERVICE]["state"] == "committed", 30, "the new commitment")
    served = federation.served(SERVICE)
    assert fetch(owner.address, served[owner.id]) == (200, PAGE)
    assert served[owner.id] == owner.host_port(SERVICE)
    del first_port  # it may be taken again, by chance


def test_commitments_outlive_an_authority_that_was_away(federation):
    owner = federation.add_peer("owner")
    federation.publish(owner, SERVICE, PAGE)
    federation.authority.kill()
    wait_until(lambda: "register.failed" in owner.log(), 20, "a failed renewal")
    assert fetch(owner.address, owner.host_port(SERVICE)) == (200, PAGE)
    federation.authority.start()
    federation.await_served(SERVICE, [owner])
