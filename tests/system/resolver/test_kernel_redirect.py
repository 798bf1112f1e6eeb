"""Connections that the kernel turns to their peer: unmodified programs, no relay in between."""
# ctest: sanitized

import errno
import signal
import subprocess
import time

import failover
import lab as laboratory
import pytest
from daemons import wait_until

NAME = "blog.fed.example"
URL = f"http://{NAME}/"
ADDRESSES = [f"127.0.0.{number}" for number in range(11, 14)]


@pytest.fixture
def machine(lab):
    if not lab.make_cgroup():
        pytest.skip("no second version of cgroups to make a group in")
    lab.start_authority()
    return lab


def start(lab, **changes):
    lab.start_resolver(redirect="kernel", cgroup=lab.cgroup, **changes)


def status(lab):
    return lab.control(command="status")["result"]


def visit_all(lab, addresses):
    """Through the relay, which measures; then the kernel takes over."""
    for _ in addresses:
        assert lab.curl(URL).returncode == 0
    wait_until(lambda: status(lab)["services_in_kernel"] == 1, what="the service is led in the kernel")


WHERE = """
import socket, sys
address = (sys.argv[1], 80)
client = socket.socket(socket.AF_INET6 if len(sys.argv) > 2 else socket.AF_INET)
client.settimeout(10)
client.connect(("::ffff:" + address[0], 80) if len(sys.argv) > 2 else address)
print(client.getpeername()[0].removeprefix("::ffff:") == address[0], client.getpeername()[1])
client.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
print(client.makefile("rb").read().decode().split("\\n")[-1])
"""


def test_first_visits_go_through_the_relay_and_the_rest_straight_to_the_best_peer(machine):
    start(machine)
    peers = {address: machine.peer("http", address) for address in ADDRESSES}
    machine.publish(NAME, [(address, 8080) for address in ADDRESSES])
    assert sorted(machine.curl(URL).stdout for _ in ADDRESSES) == ADDRESSES
    wait_until(lambda: status(machine)["services_in_kernel"] == 1, what="the service is led in the kernel")
    assert status(machine)["redirect"] == "kernel"
    address = machine.address_of(NAME)
    # The relay is frozen, and with it the daemon: what works now works without it.
    machine.resolver.process.send_signal(signal.SIGSTOP)
    is_synthetic, port, peer = machine.python(WHERE, address).split()
    machine.resolver.process.send_signal(signal.SIGCONT)
    assert (is_synthetic, port) == ("True", "80"), "the program believes to be where it wanted to go"
    assert peer in peers
    # The daemon learns of the use, or it would close the name one day.
    assert '"used_at": 0,' not in machine.run("bpftool", "map", "dump", "name", "services").stdout


def test_ipv4_in_ipv6_dress_and_ipv6_addresses_are_turned_too(machine):
    start(machine, pool6="fd6d:7574:7561::/96")
    machine.peer("http", ADDRESSES[0])
    machine.publish(NAME, [(ADDRESSES[0], 8080)])
    visit_all(machine, ADDRESSES[:1])
    address = machine.address_of(NAME)
    ipv6 = machine.run("getent", "ahostsv6", NAME).stdout.split()[0]
    machine.resolver.process.send_signal(signal.SIGSTOP)
    mapped = machine.python(WHERE, address, "mapped").split()
    machine.resolver.process.send_signal(signal.SIGCONT)
    assert mapped == ["True", "80", ADDRESSES[0]]
    assert ipv6.startswith("fd6d:7574:7561:")
    # The peer has no IPv6 address, so that way leads through the relay.
    assert machine.curl(f"http://[{ipv6}]/").stdout == ADDRESSES[0]
    machine.peer("http", "2001:db8:1::1")
    other = "other.fed.example"
    machine.publish(other, [("2001:db8:1::1", 8080)])
    ipv6 = machine.run("getent", "ahostsv6", other).stdout.split()[0]
    assert machine.curl(f"http://[{ipv6}]/").stdout == "2001:db8:1::1"
    wait_until(lambda: status(machine)["services_in_kernel"] == 2, what="both services are led in the kernel")
    machine.resolver.process.send_signal(signal.SIGSTOP)
    straight = machine.curl(f"http://[{ipv6}]/").stdout
    machine.resolver.process.send_signal(signal.SIGCONT)
    assert straight == "2001:db8:1::1"


def test_nobody_sees_a_peer_refuse(machine):
    start(machine)
    peers = {address: machine.peer("http", address) for address in ADDRESSES}
    machine.publish(NAME, [(address, 8080) for address in ADDRESSES])
    visit_all(machine, ADDRESSES)
    assert status(machine)["interfaces"] == ["lo"]
    for dead in range(1, len(ADDRESSES)):
        best = machine.lookup(NAME)["candidates"][0]["address"].split(":")[0]
        peers.pop(best).end(signal.SIGKILL)
        # The program's connect() of the first one succeeds, and it is where it believes to be.
        outcome = [machine.python(WHERE, machine.address_of(NAME)).split() for _ in range(5)]
        assert [one[:2] for one in outcome] == [["True", "80"]] * 5
        assert {one[2] for one in outcome} <= set(peers), "the next peer serves it"
        # Those after the first are not led to the dead peer.
        assert status(machine)["handed_over"] == dead
        wait_until(lambda: status(machine)["services_in_kernel"] == 1, what="the service is led in the kernel")
    assert machine.lookup(NAME)["candidates"][-1]["consecutive_failures"] > 0


def test_a_black_hole_delays_one_connection_by_less_than_its_time_out_and_a_round_trip(machine):
    start(machine)
    near, far = machine.peer("http", ADDRESSES[0]), failover.FarPeer(machine, 1)
    machine.publish(NAME, [(far.address, 8080, 1, 0), (ADDRESSES[0], 8080, 2, 0)])
    assert machine.curl(URL).stdout == "ok", "the far peer's answer"
    far.kill()
    assert machine.curl(URL).stdout == ADDRESSES[0]
    far.heal()

    def leads_to_the_far_one():
        machine.curl(URL)
        return "far1" in status(machine)["interfaces"] and machine.curl(URL).stdout == "ok"

    wait_until(leads_to_the_far_one, 20, what="the far peer is led to")
    handed_over = status(machine)["handed_over"]
    far.blackhole()
    begun = time.monotonic()
    assert machine.curl(URL).stdout == ADDRESSES[0]
    first = time.monotonic() - begun
    begun = time.monotonic()
    assert machine.curl(URL).stdout == ADDRESSES[0]
    second = time.monotonic() - begun
    assert status(machine)["handed_over"] == handed_over + 1
    assert second < 0.2 < first < 0.7
    near.end()


def test_a_new_peer_is_visited_through_the_relay_first(machine):
    start(machine)
    for address in ADDRESSES:
        machine.peer("http", address)
    machine.publish(NAME, [(ADDRESSES[0], 8080)], ttl=1)
    visit_all(machine, ADDRESSES[:1])
    machine.publish(NAME, [(address, 8080) for address in ADDRESSES[:2]], ttl=1)

    def the_new_one_answers():
        return machine.curl(URL).stdout == ADDRESSES[1]

    wait_until(the_new_one_answers, 20, what="the new peer has its visit")


def test_programs_of_other_groups_and_namespaces_are_left_alone(machine):
    start(machine)
    machine.peer("http", ADDRESSES[0])
    machine.publish(NAME, [(ADDRESSES[0], 8080)])
    visit_all(machine, ADDRESSES[:1])
    address = machine.address_of(NAME)
    code = f"import socket; s = socket.socket(); s.settimeout(5); print(s.connect_ex(('{address}', 80)))"
    # The same cgroup, but the network namespace of the test itself, where nobody listens.
    join = machine.inside("true")
    join = join[:join.index("nsenter")]
    elsewhere = subprocess.run([*join, laboratory.PYTHON, "-c", code], capture_output=True, text=True, timeout=30,
                               check=False)
    assert elsewhere.stdout.strip() == str(errno.ECONNREFUSED), "not turned to a peer"


def test_a_port_that_another_program_has_on_all_addresses_is_served_all_the_same(machine):
    start(machine)
    machine.start(laboratory.PYTHON, laboratory.HERE / "peer_server.py", "http", "0.0.0.0", 80, "the other program")
    machine.peer("http", ADDRESSES[0])
    machine.publish(NAME, [(ADDRESSES[0], 8080)])
    address = machine.address_of(NAME)
    assert machine.curl(f"http://{address}/").stdout == ADDRESSES[0], "the first visit, through the relay"
    visit_all(machine, ADDRESSES[:1])
    assert machine.curl(f"http://{address}/").stdout == ADDRESSES[0]
    assert machine.curl("http://127.0.0.1/").stdout == "the other program"
    assert machine.curl(f"http://{address}:81/").returncode == 7, "no port of the service, nobody's"
    # Nobody listens on the address itself.
    assert address not in machine.run("ss", "-Hltn").stdout


def test_nothing_stays_attached_after_a_kill(machine):
    start(machine)
    machine.peer("http", ADDRESSES[0])
    machine.publish(NAME, [(ADDRESSES[0], 8080)])
    visit_all(machine, ADDRESSES[:1])
    assert "connect4" in machine.run("bpftool", "cgroup", "show", machine.cgroup).stdout
    machine.resolver.end(signal.SIGKILL)
    wait_until(lambda: "connect4" not in machine.run("bpftool", "cgroup", "show", machine.cgroup).stdout,
               what="the programs are gone")


def test_without_leave_it_says_so_and_the_relay_serves(lab):
    lab.start_authority()
    lab.start_resolver(redirect="auto", cgroup="/nowhere")
    assert "kernel_redirect.unavailable" in lab.log()
    assert lab.control(command="status")["result"]["redirect"] == "relay"
    lab.peer("http", ADDRESSES[0])
    lab.publish(NAME, [(ADDRESSES[0], 8080)])
    assert lab.curl(URL).stdout == ADDRESSES[0]
    config = lab.folder / "forced.conf"
    config.write_text((lab.folder / "resolver.conf").read_text().replace("redirect = auto", "redirect = kernel")
                      .replace("socket", "other") + f"socket_folder = {lab.folder}\ncontrol_socket = {lab.folder}/c\n")
    forced = lab.run(laboratory.programs() / "mutua-resolver", "--config", config)
    assert forced.returncode == 1 and "/nowhere" in forced.stderr
