"""getaddrinfo() of a cached name, by us and by others."""
import json
import os
import pathlib
import shutil
import subprocess
import time

import lab as laboratory

NAME = "blog.fed.example"
ADDRESS = "127.0.0.11"
RESOLVED_PACKAGES = ["libnss-resolve", "systemd-resolved"]


def tool(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


class Sources:
    """The ways to have a name looked up on one machine: a label, the hosts line, the nameserver."""

    def __init__(self, lab, progress):
        self.lab = lab
        self.processes = []
        self.found = {"mutua": ("mutua", None), "bare": ("bare", None)}
        entry = NAME.encode().ljust(256, b"\0") + bytes([127, 200, 1, 2])
        self.lab.run("sh", "-c", f"cat > /run/mutua/bare < {self._file('bare', entry)}")
        for label, start in (("unbound", self._unbound), ("dnsmasq", self._dnsmasq), ("nss-resolve", self._resolved)):
            missing = start()
            if missing:
                progress(f"lookups: without {label}: {missing}")

    def _file(self, name, content):
        path = self.lab.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def _daemon(self, *arguments):
        self.processes.append(subprocess.Popen(self.lab.inside(*arguments), stdin=subprocess.DEVNULL,
                                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                               env=self.lab.environment))

    def _unbound(self):
        if not tool("unbound"):
            return "not installed"
        config = self._file("unbound.conf", f"""server:
  interface: 127.0.0.61
  do-daemonize: no
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  directory: "{self.lab.folder}"
  local-zone: "fed.example." static
  local-data: "{NAME}. 300 A {ADDRESS}"
remote-control:
  control-enable: no
""")
        self._daemon(tool("unbound"), "-d", "-c", config)
        self.found["unbound"] = ("dns", "127.0.0.61")
        return None

    def _dnsmasq(self):
        if not tool("dnsmasq"):
            return "not installed"
        self._daemon(tool("dnsmasq"), "-k", "-C", "/dev/null", "-R", "-h", "-u", "root", "-a", "127.0.0.62", "-z",
                     f"--address=/{NAME}/{ADDRESS}", "--pid-file=")
        self.found["dnsmasq"] = ("dns", "127.0.0.62")
        return None

    def _resolved(self):
        """Unpacked, never installed: its installation would take over this machine's resolv.conf."""
        place = self.lab.folder / "resolved"
        place.mkdir()
        if subprocess.run(["apt-get", "download", "-q", *RESOLVED_PACKAGES], cwd=place, capture_output=True,
                          check=False, timeout=60).returncode != 0:
            return "its Debian packages cannot be had"
        for package in place.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, place], check=True)
        self.lab.run("mkdir", "-p", "/run/systemd/resolve")
        # It insists on a user of its own; here that is root. It finds unbound in resolv.conf.
        for path, line in (("/etc/passwd", "systemd-resolve:x:0:0::/:/usr/sbin/nologin\n"),
                           ("/etc/group", "systemd-resolve:x:0:\n")):
            lines = pathlib.Path(path).read_text().splitlines(keepends=True)
            changed = "".join(one for one in lines if not one.startswith("systemd-resolve:")) + line
            self.lab.run("mount", "--bind", self._file(path.rsplit("/", 1)[1], changed), path)
        (self.lab.folder / "resolv.conf").write_text("nameserver 127.0.0.61\n")
        self._daemon(place / "lib/systemd/systemd-resolved")
        libraries = next(place.rglob("libnss_resolve.so.2")).parent
        self.lab.environment["LD_LIBRARY_PATH"] += f":{libraries}"
        self.found["nss-resolve"] = ("resolve", "127.0.0.61")
        if not self._answers("nss-resolve"):
            del self.found["nss-resolve"]
            return "systemd-resolved does not serve here"
        return None

    def _answers(self, label):
        deadline = time.monotonic() + 5
        self.use(label)
        while time.monotonic() < deadline:
            if self.lab.run("getent", "ahostsv4", NAME).returncode == 0:
                return True
        return False

    def use(self, label):
        hosts, nameserver = self.found[label]
        (self.lab.folder / "nsswitch.conf").write_text(f"hosts: {hosts}\npasswd: files\ngroup: files\n")
        if nameserver:
            (self.lab.folder / "resolv.conf").write_text(f"nameserver {nameserver}\n")

    def measure(self, label, calls, threads, processes):
        self.use(label)
        result = self.lab.run(laboratory.programs() / "bench_client", "lookups", NAME, 0, calls, threads, processes,
                              timeout=120)
        if result.returncode != 0:
            raise RuntimeError(f"{label}: {result.stdout}{result.stderr}")
        return json.loads(result.stdout)

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()


# (what, threads, processes, calls of ours, calls of the slow ones)
LOADS = [("one thread", 1, 1, 20_000, 2_000), ("8 threads", 8, 1, 4_000, 400), ("64 processes", 1, 64, 500, 40)]
TARGETS = {"bare": 1.1, "unbound": 1 / 20, "dnsmasq": 1 / 20, "nss-resolve": 1 / 80}


def measure(folder, rounds, progress, compare, state):
    lab = laboratory.Lab(folder)
    sources = None
    try:
        lab.start_authority()
        lab.start_resolver()
        lab.publish(NAME, [(ADDRESS, 8080)])
        sources = Sources(lab, progress)
        lines = []
        for what, threads, processes, calls, slow_calls in LOADS:
            taken = {label: [] for label in sources.found}
            for number in range(rounds):
                order = list(taken) if number % 2 == 0 else list(taken)[::-1]
                for label in order:
                    fast = label in ("mutua", "bare")
                    taken[label].append(sources.measure(label, calls if fast else slow_calls, threads, processes))
                progress(f"lookups: {what}: round {number + 1} of {rounds}: " + ", ".join(
                    f"{label} {each[-1]['p50']:.2f}" for label, each in taken.items()))
            ours = taken.pop("mutua")
            short = what.replace(" ", "_")
            for label, theirs in taken.items():
                for key in ("p50", "p99"):
                    target = TARGETS[label] if threads == processes == 1 and key == "p50" else None
                    lines.append(compare(f"lookup.{short}.{key}/{label}", "us", [one[key] for one in ours],
                                         [one[key] for one in theirs], target))
            lines.append(state(f"lookup.{short}.failures", f"of {rounds * calls * threads * processes}",
                               sum(one["failures"] for one in ours)))
        return lines
    finally:
        if sources:
            sources.end()
        lab.end()
