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


def straight_to(lab, url=None):
    """Who answers while the daemon, and with it the relay, is frozen; nothing where the kernel leads nowhere."""
    url = url or f"http://{lab.address_of(NAME)}/"
    lab.resolver.process.send_signal(signal.SIGSTOP)
    try:
        return lab.curl(url, "--max-time", "0.5").stdout
    finally:
        lab.resolver.process.send_signal(signal.SIGCONT)


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
    machine.publish(NAME, [(address, 8080, place, 0) for place, address in enumerate(ADDRESSES)])
    for dead, address in enumerate(ADDRESSES[:-1]):
        wait_until(lambda: machine.curl(URL).stdout == address == straight_to(machine), what=f"{address} is led to")
        peers.pop(address).end(signal.SIGKILL)
        # The program's connect() of the first one succeeds, and it is where it believes to be.
        for _ in range(3):
            assert machine.python(WHERE, machine.address_of(NAME)).split() == ["True", "80", ADDRESSES[dead + 1]]
        # Those after the first are not led to the dead peer.
        assert status(machine)["handed_over"] == dead + 1
    assert status(machine)["interfaces"] == ["lo"]
    assert machine.lookup(NAME)["candidates"][-1]["consecutive_failures"] > 0


def prefer_a_far_peer(machine):
    """One that answers "ok" and is led to, before one at ADDRESSES[0], which is measured."""
    machine.peer("http", ADDRESSES[0])
    far = failover.FarPeer(machine, 1)
    machine.publish(NAME, [(far.address, 8080, 1, 0), (ADDRESSES[0], 8080, 2, 0)])
    assert machine.curl(URL).stdout == "ok", "the far peer's answer"
    far.kill()
    assert machine.curl(URL).stdout == ADDRESSES[0]
    far.heal()
    wait_until(lambda: machine.curl(URL).stdout == "ok" == straight_to(machine), 20, what="the far peer is led to")
    return far


def test_a_black_hole_delays_one_connection_by_less_than_its_time_out_and_a_round_trip(machine):
    start(machine)
    far = prefer_a_far_peer(machine)
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


ASKS_WHEN_TOLD = """
import signal, socket, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
client = socket.create_connection((sys.argv[1], 80), timeout=10)
print("ready", flush=True)
signal.sigwait({signal.SIGUSR1})
client.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
print(client.makefile("rb").read().decode().split("\\n")[-1], flush=True)
"""


def test_a_peer_that_is_silent_under_a_connection_is_replaced_after_two_time_outs(machine):
    start(machine)
    far = prefer_a_far_peer(machine)
    handed_over = status(machine)["handed_over"]
    clients = [machine.start(laboratory.PYTHON, "-c", ASKS_WHEN_TOLD, machine.address_of(NAME)) for _ in range(2)]
    # It is heard after all: the program and its peer go on.
    far.blackhole()
    clients[0].process.send_signal(signal.SIGUSR1)
    far.heal()
    assert clients[0].line(5) == "ok"
    far.blackhole()
    begun = time.monotonic()
    clients[1].process.send_signal(signal.SIGUSR1)
    assert clients[1].line(5) == ADDRESSES[0]
    assert time.monotonic() - begun < 1
    assert status(machine)["handed_over"] == handed_over + 1


def test_a_reset_before_the_peer_acknowledged_anything_is_not_seen(machine):
    start(machine)
    far = prefer_a_far_peer(machine)
    handed_over = status(machine)["handed_over"]
    far.server.process.send_signal(signal.SIGSTOP)  # its kernel takes the connection, and resets it with its end
    client = machine.start(laboratory.PYTHON, "-c", ASKS_WHEN_TOLD, machine.address_of(NAME))
    far.blackhole()
    client.process.send_signal(signal.SIGUSR1)
    far.server.end(signal.SIGKILL)
    far.heal()
    assert client.line(5) == ADDRESSES[0]
    assert status(machine)["handed_over"] == handed_over + 1


def test_ipv6_connections_are_handed_over_too_and_the_rule_for_it_ends_with_the_daemon(machine):
    start(machine, pool6="fd6d:7574:7561::/96")
    second = "2001:db8:1::2"
    machine.run("ip", "address", "add", f"{second}/64", "dev", "outside", "nodad")
    peers = [machine.peer("http", "2001:db8:1::1"), machine.peer("http", second)]
    machine.publish(NAME, [("2001:db8:1::1", 8080, 1, 0), (second, 8080, 2, 0)])
    ipv6 = machine.run("getent", "ahostsv6", NAME).stdout.split()[0]
    assert machine.curl(f"http://[{ipv6}]/").stdout == "2001:db8:1::1"
    peers[0].end(signal.SIGKILL)
    assert machine.curl(f"http://[{ipv6}]/").stdout == second
    peers[0] = machine.peer("http", "2001:db8:1::1")

    def leads_to_the_first():
        machine.curl(f"http://[{ipv6}]/")
        return straight_to(machine, f"http://[{ipv6}]/") == "2001:db8:1::1"

    wait_until(leads_to_the_first, 20, what="the first peer is led to")
    handed_over = status(machine)["handed_over"]
    peers[0].end(signal.SIGKILL)
    assert machine.curl(f"http://[{ipv6}]/").stdout == second
    assert status(machine)["handed_over"] == handed_over + 1
    assert "oif lo lookup 109" in machine.run("ip", "-6", "rule").stdout
    assert machine.resolver.end(signal.SIGTERM) == 0
    assert "109" not in machine.run("ip", "-6", "rule").stdout
    assert machine.run("ip", "-6", "route", "show", "table", "109").stdout == ""


TUNNEL = """
import ctypes, fcntl, os, select, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def end(pid):
    space = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    assert libc.setns(space, 0x40000000) == 0
    tunnel = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tunnel, 0x400454ca, struct.pack("16sH22x", b"tunnel", 0x1001))
    return tunnel
other = {}
here, there = end(sys.argv[1]), end(sys.argv[2])
other = {here: there, there: here}
print("ready", flush=True)
while True:
    for tunnel in select.select(list(other), [], [])[0]:
        try:
            os.write(other[tunnel], os.read(tunnel, 65536))
        except OSError:
            pass  # the other end is down
"""


def test_a_refusal_that_comes_through_a_tunnel_is_heard(machine):
    """An interface whose packets have no Ethernet header."""
    start(machine)
    far = failover.FarPeer(machine, 1)
    here, there = machine.machine.process.pid, far.holder.process.pid
    machine.started.append(laboratory.Program([laboratory.PYTHON, "-c", TUNNEL, str(here), str(there)]))
    for pid, address in ((here, "10.20.0.1"), (there, "10.20.0.2")):
        for words in (("address", "add", f"{address}/24", "dev", "tunnel"), ("link", "set", "tunnel", "up")):
            assert machine.run("nsenter", "-t", pid, "-n", "ip", *words).returncode == 0
    server = machine.start("nsenter", "-t", there, "-n", laboratory.programs() / "bench_client", "serve",
                           "10.20.0.2:8080")
    machine.peer("http", ADDRESSES[0])
    machine.publish(NAME, [("10.20.0.2", 8080, 1, 0), (ADDRESSES[0], 8080, 2, 0)])
    assert machine.curl(URL).stdout == "ok"
    server.end(signal.SIGKILL)
    assert machine.curl(URL).stdout == ADDRESSES[0], "through the relay, which now knows both"
    server = machine.start("nsenter", "-t", there, "-n", laboratory.programs() / "bench_client", "serve",
                           "10.20.0.2:8080")
    wait_until(lambda: machine.curl(URL).stdout == "ok" == straight_to(machine), 20, what="the far peer is led to")
    assert "tunnel" in status(machine)["interfaces"]
    handed_over = status(machine)["handed_over"]
    server.end(signal.SIGKILL)
    begun = time.monotonic()
    assert machine.curl(URL).stdout == ADDRESSES[0]
    assert time.monotonic() - begun < 0.18, "a refusal is no time-out"
    assert status(machine)["handed_over"] == handed_over + 1


def test_nobody_is_led_to_a_peer_without_a_way_to_it(machine):
    start(machine)
    far = failover.FarPeer(machine, 1)
    machine.peer("http", ADDRESSES[0])
    machine.publish(NAME, [(far.address, 8080, 1, 0), (ADDRESSES[0], 8080, 2, 0)])
    assert machine.curl(URL).stdout == "ok"
    far.kill()
    assert machine.curl(URL).stdout == ADDRESSES[0]
    far.heal()
    wait_until(lambda: machine.curl(URL).stdout == "ok" == straight_to(machine), 20, what="the far peer is led to")
    assert status(machine)["interfaces"] == ["lo", "far1"]
    machine.run("ip", "link", "del", "far1")
    wait_until(lambda: status(machine)["interfaces"] == ["lo"], what="the interface is forgotten")
    # connect() to the far peer would fail at once, and no retry would help.
    for _ in range(3):
        assert machine.curl(URL).stdout == ADDRESSES[0]
    assert status(machine)["services_in_kernel"] == 1


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
