"""Network namespaces as hosts, on one switch.

    with NetLab() as lab:
        server = lab.add_host("server")               # 10.99.0.1
        client = lab.add_host("client", "10.99.0.50")
        process = server.popen(["mutua-authority", ...])
        client.run(["dig", f"@{server.address}", ...])

Nothing is named in the machine: a namespace is held by one sleeping process, the switch is a bridge
in a namespace of its own, and the kernel removes all of it when the holders end. They end with the
test, also when the test is killed. Needs root (or the root of a user namespace) and iproute2.

A lab makes its processes through Host.popen() and Host.run(); close() ends those that still live,
the youngest first.
"""

import contextlib
import ctypes
import ipaddress
import os
import signal
import subprocess

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    """For preexec_fn: the kernel kills this process when the thread that started it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def available():
    """Whether this process may make network namespaces."""
    test = ["unshare", "--net", "--", "ip", "link", "set", "lo", "up"]
    return subprocess.run(test, capture_output=True, check=False).returncode == 0


def _ip(*arguments, namespace=None):
    enter = [] if namespace is None else ["nsenter", f"--net=/proc/{namespace}/ns/net", "--"]
    command = enter + ["ip", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


def _hold_namespaces(*unshare_options):
    """Starts a process in new namespaces; returns it once it is there."""
    held = subprocess.Popen(
        ["unshare", *unshare_options, "--", "sh", "-c", "echo ready; exec sleep infinity"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
    if held.stdout.readline() != "ready\n":
        held.wait(timeout=10)
        raise RuntimeError(f"unshare {' '.join(unshare_options)}: {held.stderr.read().strip()}")
    return held


class Host:
    """One network namespace with one interface, eth0, and its address. Made by NetLab."""

    def __init__(self, lab, name, address, prefix_length):
        self.lab = lab
        self.name = name
        self.address = address
        self._holder = _hold_namespaces(*self._namespaces())
        self._plug_in(prefix_length)

    def _namespaces(self):
        return ["--net"]

    @property
    def holder_pid(self):
        return self._holder.pid

    def _plug_in(self, prefix_length):
        port = f"port{self.address.rpartition('.')[2]}"
        switch = self.lab.switch_pid
        _ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", self.holder_pid,
            namespace=switch)
        _ip("link", "set", port, "master", "switch", "up", namespace=switch)
        _ip("link", "set", "lo", "up", namespace=self.holder_pid)
        _ip("address", "add", f"{self.address}/{prefix_length}", "dev", "eth0",
            namespace=self.holder_pid)
        _ip("link", "set", "eth0", "up", namespace=self.holder_pid)

    def command(self, arguments):
        """The command line that runs `arguments` on this host. With no arguments: a prefix."""
        return ["nsenter", f"--net=/proc/{self.holder_pid}/ns/net", "--", *map(str, arguments)]

    def popen(self, arguments, **options):
        """Starts a program here; the lab ends it at the latest."""
        options.setdefault("preexec_fn", die_with_parent)
        process = subprocess.Popen(self.command(arguments), **options)
        self.lab.adopt(process)
        return process

    def run(self, arguments, check=True, timeout=30, **options):
        """Runs a program here to its end and returns its CompletedProcess, with its output."""
        options.setdefault("text", True)
        if "stdout" not in options:
            options.setdefault("capture_output", True)
        done = subprocess.run(self.command(arguments), timeout=timeout, check=False, **options)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, arguments))} on {self.name}: "
                               f"status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    @contextlib.contextmanager
    def entered(self):
        """This thread is on the host inside the `with`: sockets made there are the host's."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/proc/{self.holder_pid}/ns/net", os.O_RDONLY)
        try:
            _set_namespace(there)
            yield self
        finally:
            _set_namespace(home)
            os.close(there)
            os.close(home)

    def set_link(self, up):
        """Pulls the cable out, or plugs it in again."""
        _ip("link", "set", "eth0", "up" if up else "down", namespace=self.holder_pid)

    def close(self):
        self._holder.kill()
        self._holder.wait()
        self._holder.stdout.close()
        self._holder.stderr.close()


def _set_namespace(descriptor):
    clone_newnet = 0x40000000
    if _libc.setns(descriptor, clone_newnet) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"setns: {os.strerror(error)}")


class NetLab:
    """A switch and its hosts. A context manager."""

    def __init__(self, network="10.99.0.0/24"):
        self._network = ipaddress.ip_network(network)
        self.hosts = {}
        self._processes = []
        self._switch = _hold_namespaces("--net")
        _ip("link", "add", "switch", "type", "bridge", namespace=self.switch_pid)
        _ip("link", "set", "switch", "up", namespace=self.switch_pid)

    @property
    def switch_pid(self):
        return self._switch.pid

    def add_host(self, name, address=None, kind=Host):
        """Plugs in a new host; without an address it gets the first free one."""
        if name in self.hosts:
            raise ValueError(f"a host {name} exists already")
        if address is None:
            taken = {host.address for host in self.hosts.values()}
            address = next(str(free) for free in self._network.hosts() if str(free) not in taken)
        host = kind(self, name, address, self._network.prefixlen)
        self.hosts[name] = host
        return host

    def adopt(self, process):
        self._processes.append(process)

    def close(self):
        for process in reversed(self._processes):
            end(process)
        self._processes.clear()
        for host in self.hosts.values():
            host.close()
        self.hosts.clear()
        self._switch.kill()
        self._switch.wait()
        self._switch.stdout.close()
        self._switch.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def end(process, patience_seconds=10):
    """SIGTERM, and SIGKILL where that does not end it in time. Returns the exit status."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=patience_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode
