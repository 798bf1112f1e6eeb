"""TCP to one peer: directly, turned in the kernel, through our relay, HAProxy and nginx."""
import json
import pathlib
import subprocess

import lab as laboratory
from daemons import wait_until
from lookups import tool

NAME = "blog.fed.example"
PEER = "127.0.0.11"
RELAYS_FOLDER = "relay"


class Paths:
    """label -> (address, processes whose processor time belongs to it)"""

    def __init__(self, lab, progress):
        self.lab = lab
        self.processes = []
        server = lab.start(laboratory.programs() / "bench_client", "serve", f"{PEER}:8080")
        self.server = server.process.pid
        lab.publish(NAME, [(PEER, 8080)])
        self.found = {"direct": (f"{PEER}:8080", [])}
        self._kernel(progress)
        self._relay()
        self._haproxy()
        self._nginx()

    def _file(self, name, content):
        path = self.lab.folder / name
        path.write_text(content)
        return path

    def _kernel(self, progress):
        if not self.lab.cgroup:
            progress("paths: without the kernel: no second version of cgroups")
            return
        resolver = self.lab.start_resolver(redirect="kernel", cgroup=self.lab.cgroup)
        address = self.lab.address_of(NAME) + ":80"
        self._run(address, "requests", 0.05)  # the first visit is the relay's
        wait_until(lambda: self.lab.control(command="status")["result"]["services_in_kernel"] == 1,
                   what="the kernel leads")
        self.found["kernel"] = (address, [resolver.process.pid])

    def _relay(self):
        """A second resolver, with a socket, a pool and addresses of its own."""
        folder = self.lab.folder / RELAYS_FOLDER
        config = self._file("relay.conf", f"""zone = {laboratory.ZONE}
authority = {laboratory.AUTHORITY}
redirect = relay
pool = 127.128.0.0/10
socket_folder = {folder}
control_socket = {folder}/control.sock
""")
        resolver = self.lab.start(laboratory.programs() / "mutua-resolver", "--config", config,
                                  errors=self.lab.folder / "relay.log")
        code = ("import json,socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
                "s.sendall(sys.argv[2].encode()+b'\\n'); print(s.makefile().read())")
        answer = self.lab.python(code, f"{folder}/control.sock",
                                 json.dumps({"command": "lookup", "host": NAME, "port": 80}))
        found = json.loads(answer.strip().splitlines()[-1])["result"]
        self.found["relay"] = (found["address"] + ":80", [resolver.process.pid])

    def _daemon(self, *arguments):
        process = subprocess.Popen(self.lab.inside(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env=self.lab.environment)
        self.processes.append(process)
        return process.pid

    def _haproxy(self):
        if not tool("haproxy"):
            return
        config = self._file("haproxy.cfg", f"""global
  nbthread 2
  maxconn 4000
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option splice-auto
  option splice-request
  option splice-response
listen bench
  bind 127.0.0.71:80
  server peer {PEER}:8080
""")
        pid = self._daemon(tool("haproxy"), "-db", "-f", config)
        self._when_it_listens("haproxy", "127.0.0.71:80", pid)

    def _nginx(self):
        if not tool("nginx"):
            return
        module = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")
        load = f"load_module {module};" if module.exists() else ""
        config = self._file("nginx.conf", f"""{load}
daemon off; master_process on; worker_processes 2; user root;
pid {self.lab.folder}/nginx.pid; error_log /dev/null;
events {{ worker_connections 8000; }}
stream {{ server {{ listen 127.0.0.72:80; proxy_pass {PEER}:8080; proxy_buffer_size 256k; tcp_nodelay on; }} }}
""")
        pid = self._daemon(tool("nginx"), "-c", config)
        self._when_it_listens("nginx", "127.0.0.72:80", pid)

    def _when_it_listens(self, label, address, pid):
        try:
            wait_until(lambda: self._run(address, "requests", 0.02)["failures"] == 0, 10, f"{label} serves", 0.1)
            self.found[label] = (address, [pid])
        except AssertionError:
            pass

    def _run(self, address, mode, seconds):
        result = self.lab.run(laboratory.programs() / "bench_client", "path", address, mode, seconds)
        return json.loads(result.stdout)

    def _processor(self, pids):
        """Seconds that these processes and their children have used."""
        total = 0
        parents = set(pids)
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
                if int(stat.parent.name) in parents or int(fields[1]) in parents:
                    total += sum(int((task / "schedstat").read_text().split()[0])
                                 for task in (stat.parent / "task").iterdir())
            except OSError:
                continue
        return total / 1e9

    def measure(self, label, mode, seconds):
        address, pids = self.found[label]
        before = self._processor([self.server, *pids])
        result = self._run(address, mode, seconds)
        if result["failures"]:
            raise RuntimeError(f"{label}: {mode}: {result}")
        used = self._processor([self.server, *pids]) - before + result["processor"]
        result["processor_per_gigabyte"] = used / result["gigabytes"] if result["gigabytes"] else None
        return result

    def end(self):
        for process in self.processes:
            process.terminate()
            process.wait(10)


SECONDS = 0.4
# Where the scheduler puts both ends makes more of a difference than the path does.
TURNS = {"connect": 3, "pingpong": 5, "download": 5, "requests": 5}

# figure: (mode, key, unit, target of kernel / direct, target of relay / direct, target of relay / others, at most?)
FIGURES = {
    "connect": ("connect", "p50", "us", 1.10, None, None, True),
    "connect.p99": ("connect", "p99", "us", None, None, None, True),
    "pingpong": ("pingpong", "p50", "us", 1.03, None, None, True),
    "bulk": ("download", "gigabit", "Gbit/s", 0.97, 0.55, 1.0, False),
    "bulk.processor": ("download", "processor_per_gigabyte", "s/GB", 1.06, None, 0.95, True),
    "requests": ("requests", "rate", "/s", 0.95, None, 1.05, False),
}


def measure(folder, rounds, progress, compare, state):
    lab = laboratory.Lab(folder)
    paths = None
    try:
        lab.make_cgroup()
        lab.start_authority()
        paths = Paths(lab, progress)
        labels = list(paths.found)
        taken = {mode: {label: [] for label in labels} for mode in ("connect", "pingpong", "download", "requests")}
        for number in range(rounds):
            for mode, of_each in taken.items():
                for turn in range(TURNS.get(mode, 1)):
                    first = (number + turn) % len(labels)
                    for label in labels[first:] + labels[:first]:
                        of_each[label].append(paths.measure(label, mode, SECONDS))
            progress(f"paths: round {number + 1} of {rounds}: " + ", ".join(
                f"{label} {taken['download'][label][-1]['gigabit']:.1f} Gbit/s" for label in labels))
        lines = []
        for figure, (mode, key, unit, of_kernel, of_relay, of_others, at_most) in FIGURES.items():
            values = {label: [one[key] for one in taken[mode][label]] for label in labels}
            for ours, target in (("kernel", of_kernel), ("relay", of_relay)):
                if ours in values:
                    lines.append(compare(f"path.{ours}.{figure}/direct", unit, values[ours], values["direct"], target,
                                         at_most))
            for other in ("haproxy", "nginx"):
                if other in values:
                    lines.append(compare(f"path.relay.{figure}/{other}", unit, values["relay"], values[other],
                                         of_others, at_most))
        return lines
    finally:
        if paths:
            paths.end()
        lab.end()
