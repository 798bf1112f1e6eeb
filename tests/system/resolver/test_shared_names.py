"""Lookups in shared memory: what a process does between its first lookup and the daemon's end."""
# ctest: sanitized

import re
import signal

import lab as laboratory
from daemons import wait_until

NAME = "blog.fed.example"
ADDRESS = "127.0.0.11"

# A process that looks a name up when it is told to, and says what it got and how long it took.
ASKER = """
import socket, sys, time
print("ready", flush=True)
for line in sys.stdin:
    name, family = line.split()
    begun = time.monotonic()
    try:
        found = socket.getaddrinfo(name, 80, family=int(family), type=socket.SOCK_STREAM)[0][4][0]
    except socket.gaierror as error:
        found = "none"
    print(found, f"{time.monotonic() - begun:.3f}", flush=True)
"""


class Asker:
    def __init__(self, lab, *prefix):
        import subprocess
        self.process = subprocess.Popen(lab.inside(*prefix, laboratory.PYTHON, "-c", ASKER), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=lab.environment)
        assert self.process.stdout.readline() == "ready\n"
        lab.started.append(self)

    def ask(self, name=NAME, family=0):
        self.process.stdin.write(f"{name} {family}\n")
        self.process.stdin.flush()
        found, seconds = self.process.stdout.readline().split()
        return (None if found == "none" else found), float(seconds)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(20)


def test_a_process_asks_the_daemon_once_and_then_makes_no_system_call_of_ours(federation):
    federation.publish(NAME, [(ADDRESS, 8080)])
    trace = federation.folder / "trace"
    code = """
import os, socket, sys
for _ in range(20): socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM)
os.getppid()
for _ in range(100): socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM)
os.getppid()
for _ in range(5):
    try: socket.getaddrinfo("www.debian.org", 80)
    except socket.gaierror: pass
"""
    result = federation.run("strace", "-f", "-o", trace, laboratory.PYTHON, "-c", code, NAME)
    assert result.returncode == 0, result.stderr
    calls = trace.read_text()
    assert len(re.findall(r'connect\(.*/run/mutua/resolver.sock', calls)) == 1
    hits = calls.split("getppid()")[1]
    # What glibc does by itself: it looks whether its configuration has changed, and for nscd now and then.
    names = set(re.findall(r"^\d+ +(\w+)\(", hits, re.M))
    assert not names & {"recvmsg", "recvfrom", "sendmsg", "sendto", "mmap", "poll", "clock_gettime"}, names
    assert "mutua" not in hits


def test_a_stopped_daemon_delays_no_lookup_beyond_the_deadline(federation):
    federation.publish(NAME, [(ADDRESS, 8080)])
    asker = Asker(federation)
    address, _ = asker.ask()
    federation.resolver.process.send_signal(signal.SIGSTOP)
    assert asker.ask() == (address, asker.ask()[1])
    assert asker.ask()[1] < 0.1, "its word still holds"

    def has_lost_faith():
        return asker.ask()[1] > 0.1

    wait_until(has_lost_faith, 20, what="the table of a silent daemon is left alone")
    assert asker.ask()[1] < 6
    federation.resolver.process.send_signal(signal.SIGCONT)
    wait_until(lambda: asker.ask()[0] == address, 20, what="the daemon answers again")


def test_a_running_process_follows_the_daemon_through_restarts(federation):
    federation.publish(NAME, [(ADDRESS, 8080)])
    asker = Asker(federation)
    address, _ = asker.ask()
    for how in (signal.SIGTERM, signal.SIGKILL):
        federation.resolver.end(how)
        if how == signal.SIGTERM:
            assert asker.ask()[0] is None, "an end in good order is known at once"
        federation.start_resolver()
        wait_until(lambda: asker.ask()[0] == address, 20, what="the new daemon is found")
    other = "other.fed.example"
    federation.publish(other, [(ADDRESS, 8080)])
    assert asker.ask(other)[0] not in (None, address)
    assert asker.ask(other)[1] < 0.1


def test_a_name_that_is_given_up_goes_and_a_new_port_appears(federation):
    federation.publish(NAME, [(ADDRESS, 8080)], ttl=1)
    asker = Asker(federation)
    assert asker.ask()[0]
    federation.zone["records"] = []
    federation.write_zone()
    other = Asker(federation)
    wait_until(lambda: other.ask("nobody.fed.example")[0] is None and federation.address_of(NAME) is None, 90,
               what="the name is gone for those who ask anew")
    assert asker.ask()[0] is None, "and for those who had it"


def test_names_are_found_without_privileges_in_chroots_and_with_few_descriptors(federation):
    federation.publish(NAME, [(ADDRESS, 8080)])
    code = """
import os, resource, socket, sys, threading
def find(): return socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM)[0][4][0]
address = find()
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
threading.stack_size(96 * 1024)
wrong = []
def many():
    for _ in range(200):
        if find() != address: wrong.append(1)
threads = [threading.Thread(target=many) for _ in range(64)]
for thread in threads: thread.start()
for thread in threads: thread.join()
held = []
try:
    while True: held.append(os.open("/dev/null", os.O_RDONLY))
except OSError: pass
held.pop() and os.close(held.pop())   # glibc opens nsswitch.conf again if it changed
print(find() == address, len(wrong))
child = os.fork()
if child == 0: os._exit(0 if find() == address else 1)
print(os.waitpid(child, 0)[1])
os.setgid(65534); os.setuid(65534)
print(find() == address)
"""
    assert federation.python(code, NAME, timeout=120).split() == ["True", "0", "0", "True"]
    unprivileged = federation.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                  "getent", "ahostsv4", NAME)
    assert unprivileged.stdout.startswith("127.")


def fetch_over_ipv6(lab):
    """curl -6 is no help: it asks for both families and throws one away."""
    return lab.python("""
import socket, sys
address = socket.getaddrinfo(sys.argv[1], 80, socket.AF_INET6, socket.SOCK_STREAM)[0][4]
client = socket.create_connection(address[:2], 10)
client.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
print(client.makefile("rb").read().decode().split("\\n")[-1])
""", NAME).strip()


def test_ipv6_lookups_get_an_address_of_their_own_and_are_served(lab):
    lab.start_authority()
    lab.start_resolver(pool="198.18.0.0/15", pool6="fd6d:7574:7561::/96")
    lab.peer("http", ADDRESS)
    lab.publish(NAME, [(ADDRESS, 8080)])
    asker = Asker(lab)
    for _ in range(2):  # from the daemon, then from the table
        assert asker.ask(family=10)[0].startswith("fd6d:7574:7561:")
        assert asker.ask(family=2)[0].startswith(("198.18.", "198.19."))
        assert asker.ask(family=0)[0].startswith(("198.18.", "198.19."))
    assert fetch_over_ipv6(lab) == ADDRESS
    assert lab.curl(f"http://{NAME}/", "-4").stdout == ADDRESS
    ipv6 = asker.ask(family=10)[0]
    assert lab.run("getent", "hosts", ipv6).stdout.split() == [ipv6, NAME]
    assert lab.resolver.end(signal.SIGTERM) == 0
    assert "198.18." not in lab.run("ip", "route", "show", "table", "local").stdout, "the routes went with it"
    # A killed daemon leaves them; its successor takes them as they are.
    lab.start_resolver(pool="198.18.0.0/15", pool6="fd6d:7574:7561::/96")
    lab.resolver.end(signal.SIGKILL)
    lab.start_resolver(pool="198.18.0.0/15", pool6="fd6d:7574:7561::/96")
    assert fetch_over_ipv6(lab) == ADDRESS
