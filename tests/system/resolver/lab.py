"""A machine of its own for each test: private mounts (/run, /etc/nsswitch.conf, /etc/resolv.conf)
and a private network with nothing but loopback, so that ports may be fixed and nothing leaks."""
import json
import os
import pathlib
import select
import signal
import subprocess
import time

HERE = pathlib.Path(__file__).parent
PYTHON = "/usr/bin/python3"
ZONE = "fed.example."
AUTHORITY = "127.0.0.53"
UPSTREAM = "127.0.0.54"

MACHINE = """
set -e
ip link set lo up
# AI_ADDRCONFIG looks for an address that is not loopback.
ip link add outside type veth peer name outside-end
ip link set outside-end up
ip link set outside up
ip address add 198.51.100.1/24 dev outside
ip address add 2001:db8:1::1/64 dev outside nodad
mount -t tmpfs tmpfs /run
mkdir /run/mutua /run/lib
# Where every user may read it, wherever the build is.
cp "$2/libnss_mutua.so.2" /run/lib
mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf
mount --bind "$1/resolv.conf" /etc/resolv.conf
echo ready
exec sleep infinity
"""


def programs():
    folder = pathlib.Path(os.environ.get("MUTUA_BIN", HERE.parents[2] / "build/release/bin"))
    return folder.resolve()


class Program:
    """A process that says "ready" (and perhaps more on that line) when it serves."""

    def __init__(self, arguments, environment=None, errors=None):
        self.errors_path = errors
        self.process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=open(errors, "ab") if errors else None,
            env=environment, stdin=subprocess.DEVNULL)
        line = self.line(20)
        assert line and line.startswith("ready"), f"{arguments}: said {line!r}\n{self.errors()}"

    def errors(self):
        return pathlib.Path(self.errors_path).read_text() if self.errors_path else ""

    def line(self, timeout):
        deadline = time.monotonic() + timeout
        text = b""
        fd = self.process.stdout.fileno()
        while not text.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                return None
            octet = os.read(fd, 1)
            if not octet:
                return None
            text += octet
        return text.decode().strip()

    def lines(self):
        """What it has said up to now."""
        found = []
        while select.select([self.process.stdout], [], [], 0)[0]:
            line = self.line(1)
            if line is None:
                break
            found.append(line)
        return found

    def end(self, how=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(20)
        return self.process.returncode


class Lab:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.started = []
        self.zone = {"zone": ZONE, "records": []}
        self.write_zone()
        (self.folder / "nsswitch.conf").write_text("hosts: files mutua dns\npasswd: files\ngroup: files\n")
        (self.folder / "resolv.conf").write_text(f"nameserver {UPSTREAM}\noptions timeout:2 attempts:1\n")
        self.machine = Program(["unshare", "--mount", "--net", "--propagation", "private",
                                "sh", "-c", MACHINE, "sh", str(self.folder), str(programs().parent / "lib")])
        self.started.append(self.machine)
        self.environment = dict(os.environ, LD_LIBRARY_PATH="/run/lib")
        self.resolver = None
        self.cgroup = None

    # ---- running things on the machine

    def make_cgroup(self):
        """What runs on the machine from now on has a cgroup of its own. False where the system has none to give."""
        for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
            if " - cgroup2 " in line:
                self.cgroup = pathlib.Path(line.split()[4]) / f"mutua-test-{self.machine.process.pid}"
                try:
                    self.cgroup.mkdir()
                except OSError:
                    break
                return True
        self.cgroup = None
        return False

    def inside(self, *arguments):
        join = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(self.cgroup)] if self.cgroup else []
        return join + ["nsenter", "-t", str(self.machine.process.pid), "-m", "-n", "--", *map(str, arguments)]

    def run(self, *arguments, timeout=30, text=True, **options):
        return subprocess.run(self.inside(*arguments), capture_output=True, text=text, timeout=timeout,
                              env=self.environment, **options)

    def start(self, *arguments, errors=None):
        program = Program(self.inside(*arguments), self.environment, errors)
        self.started.append(program)
        return program

    def python(self, code, *arguments, timeout=60):
        result = self.run(PYTHON, "-c", code, *arguments, timeout=timeout)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    # ---- the federation

    def write_zone(self):
        temporary = self.folder / "zone.new"
        temporary.write_text(json.dumps(self.zone))
        temporary.rename(self.folder / "zone.json")

    def start_authority(self):
        return self.start(PYTHON, HERE / "fake_authority.py", AUTHORITY, 53, self.folder / "zone.json",
                          self.folder / "queries")

    def questions(self):
        path = self.folder / "queries"
        return path.read_text().splitlines() if path.exists() else []

    def publish(self, name, peers, port=80, transport="tcp", ttl=60, ports=None):
        """peers: [(address, port)] or [(address, port, priority, weight)]"""
        mine = {f"{name}.", f"_{port}._{transport}.{name}."}
        records = [record for record in self.zone["records"] if record[0] not in mine]
        records.append([f"{name}.", ttl, "TXT",
                        f'"v=1" "manifest=sha256:00" "ports={ports or f"{port}/{transport}"}" "admission=open"'])
        for peer in peers:
            address, peer_port, priority, weight = (*peer, 0, 0)[:4]
            host = f"p{address.replace('.', '-').replace(':', '-')}.peers.{ZONE}"
            records.append([f"_{port}._{transport}.{name}.", ttl, "SRV",
                            f"{priority} {weight} {peer_port} {host}"])
            if not any(record[0] == host for record in records):
                records.append([host, ttl, "AAAA" if ":" in address else "A", address])
        self.zone["records"] = records
        self.write_zone()

    def peer(self, kind, address, port=8080, name=None):
        return self.start(PYTHON, HERE / "peer_server.py", kind, address, port, name or address)

    def start_resolver(self, **changes):
        settings = {"zone": ZONE, "authority": AUTHORITY, "redirect": "relay", **changes}
        lines = []
        for key, value in settings.items():
            lines += [f"{key} = {one}" for one in (value if isinstance(value, list) else [value])]
        config = self.folder / "resolver.conf"
        config.write_text("\n".join(lines) + "\n")
        self.resolver = self.start(programs() / "mutua-resolver", "--config", config,
                                   errors=self.folder / "resolver.log")
        return self.resolver

    def log(self):
        return (self.folder / "resolver.log").read_text()

    # ---- asking

    def address_of(self, name):
        result = self.run("getent", "ahostsv4", name)
        return result.stdout.split()[0] if result.returncode == 0 else None

    def curl(self, url, *options):
        return self.run("curl", "-sS", "--max-time", "20", "--noproxy", "*", *options, url)

    def control(self, **request):
        code = ("import json,socket,sys; s=socket.socket(socket.AF_UNIX); s.settimeout(20);"
                "s.connect('/run/mutua/resolver-control.sock'); s.sendall(sys.argv[1].encode()+b'\\n');"
                "print(s.makefile().read())")
        lines = self.python(code, json.dumps(request)).splitlines()
        return json.loads([line for line in lines if line][-1])

    def lookup(self, host, port=80, **more):
        return self.control(command="lookup", host=host, port=port, **more)["result"]

    def end(self):
        for program in reversed(self.started):
            program.end()
        while self.cgroup and self.cgroup.exists():
            try:
                self.cgroup.rmdir()
            except OSError:  # somebody is still on the way out
                for pid in (self.cgroup / "cgroup.procs").read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
                time.sleep(0.01)
