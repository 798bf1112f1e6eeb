"""./dev bench authority --xdp: questions past the kernel's network stack, beside Knot's XDP mode.

Two network namespaces on one virtual cable: the server with one worker on one processor, Knot's
kxdpgun on the other. Each round offers more questions than the one before, until no more answers come
back; the best counts. kxdpgun pays for both directions of the cable, so that it is what ends the
rise with mutua-authority: `processor` says what the server itself spends on each answer."""

import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time

import netlab

SERVER, CLIENT, PORT = "10.77.0.1", "10.77.0.2", 5300
TARGET = 1.5
RATES = (150_000, 250_000, 350_000, 450_000)  # questions a second
TOOLS = "/usr/sbin:/usr/bin:/sbin:/bin"


class End(netlab.Host):
    """One end of the cable."""

    def _plug_in(self, prefix_length):
        self.lab.plug_in(self, prefix_length)


class Cable:
    """Two hosts and nothing between them. A context manager."""

    def __init__(self):
        self.ends, self._processes = [], []
        for name, address in (("server", SERVER), ("client", CLIENT)):
            self.ends.append(End(self, name, address, 24))
        self.server, self.client = self.ends

    def plug_in(self, end, prefix_length):
        if self.ends:  # the second
            end.run(["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns",
                     str(self.ends[0].holder_pid)])
            for one in (self.ends[0], end):
                one.run(["ip", "address", "add", f"{one.address}/{prefix_length}", "dev", "eth0"])
                one.run(["ip", "link", "set", "eth0", "up"])

    def adopt(self, process):
        self._processes.append(process)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self._processes:
            netlab.end(process)
        for end in self.ends:
            end.close()


def configuration(name, way, folder, zone, zone_file):
    """The command line of a server; its configuration stands in its folder then."""
    path = folder / "server.conf"
    if name == "mutua":
        path.write_text(f"zone = {zone}\ndatabase = {folder}/zone.sqlite\nzone_file = {zone_file}\n"
                        f"listen = {SERVER}:{PORT}{' xdp' if way == 'xdp' else ''}\nresponse_rate_limit = 0\n")
        return ["mutua-authority", "--config", str(path)]
    listen = f"  listen: {SERVER}@{PORT}\n" if way == "sockets" else ""
    xdp = f"xdp:\n  listen: eth0@{PORT}\n" if way == "xdp" else ""
    path.write_text(f"server:\n  rundir: {folder}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n{listen}{xdp}"
                    f"database:\n  storage: {folder}\ntemplate:\n  - id: default\n    storage: {folder}\n"
                    f"    zonefile-sync: -1\n    journal-content: none\nzone:\n  - domain: {zone}\n    file: {zone_file}\n")
    return ["knotd", "-c", str(path)]


class Served:
    """One server at its end of the cable, for one round."""

    def __init__(self, cable, name, way, bench, folder, zone_file, processor):
        self.cable = cable
        self.folder = folder / f"{name}-{way}"
        self.folder.mkdir(exist_ok=True)
        program, *arguments = configuration(name, way, self.folder, bench.ZONE, zone_file)
        found = shutil.which(program, path=f"{pathlib.Path(bench.LOAD).parent}:{TOOLS}")
        with open(self.folder / "log", "wb") as log:
            self.process = cable.server.popen(["taskset", "-c", str(processor), found, *arguments],
                                              stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        question = ["dig", "+short", "+time=1", "+tries=1", f"@{SERVER}", "-p", str(PORT),
                    f"_80._tcp.s000000.{bench.ZONE}", "SRV"]
        deadline = time.monotonic() + 60
        while "peers" not in cable.client.run(question, check=False).stdout:
            if time.monotonic() > deadline or self.process.poll() is not None:
                sys.exit(f"{name} by {way} does not answer:\n{(self.folder / 'log').read_text()[-2000:]}")
        if name == "mutua" and way == "xdp" and "xdp.ready" not in (self.folder / "log").read_text():
            sys.exit("no AF_XDP here:\n" + (self.folder / "log").read_text()[-2000:])

    def processor_seconds(self):
        threads = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9

    def stop(self):
        netlab.end(self.process)
        # Knot leaves its program to whoever comes next.
        self.cable.server.run(["ip", "link", "set", "eth0", "xdp", "off"])


def offer(cable, served, queries, rate, seconds, processor):
    """Answers for each second, and microseconds of the server's processor for each."""
    before = served.processor_seconds()
    words = [shutil.which("kxdpgun", path=TOOLS), "-t", str(seconds), "-Q", str(rate), "-b", "32", "-F", str(processor),
             "-p", str(PORT), "-i", str(queries), SERVER]
    done = cable.client.run(["taskset", "-c", str(processor), *words], check=False, timeout=seconds + 30)
    found = re.search(r"total replies:\s+(\d+)", done.stdout + done.stderr)
    if not found or not int(found[1]):
        sys.exit(f"kxdpgun brought no answers:\n{done.stdout}{done.stderr}")
    answers, used = int(found[1]), served.processor_seconds() - before
    return {"rate": answers / seconds, "cpu": used / answers * 1e6, "busy": used / seconds}


def run(bench, arguments, folder):
    """The figures' lines, in the form of bench.figures()."""
    zone_file, queries = folder / "zone", folder / "queries"
    bench.write_zone(zone_file, arguments.services)
    names = bench.question_names(arguments.services, 50_000)
    queries.write_text("".join(f"{name} SRV E\n" for name in names))
    seconds = max(1, round(arguments.seconds))
    best = {}
    with Cable() as cable:
        for number in range(arguments.rounds):
            for name, way in (("mutua", "xdp"), ("knot", "xdp"), ("mutua", "sockets"), ("knot", "sockets")):
                served = Served(cable, name, way, bench, folder, zone_file, arguments.server_processor)
                try:
                    offered = [offer(cable, served, queries, rate, seconds, arguments.generator_processor)
                               for rate in RATES]
                finally:
                    served.stop()
                one = max(offered, key=lambda figure: figure["rate"])
                best.setdefault((name, way), []).append(one)
                print(f"round {number + 1} of {arguments.rounds}: {name:5} by {way:7} {one['rate']:9.0f}/s  "
                      f"{one['cpu']:5.2f} us  busy {one['busy']:.2f}", file=sys.stderr)
    lines = []
    for peer, way in (("knot", "xdp"), ("mutua", "sockets"), ("knot", "sockets")):
        mine, theirs = best["mutua", "xdp"], best[peer, way]
        for key, figure, unit in (("rate", "rate", "answers/s"), ("cpu", "processor", "us/answer"),
                                  ("busy", "busy", "share of one processor")):
            ratio = statistics.median(m[key] / t[key] for m, t in zip(mine, theirs))
            target = TARGET if (peer, way, key) == ("knot", "xdp", "rate") else None
            lines.append({"figure": f"authority.xdp.{figure}/{peer}.{way}",
                          "value": round(statistics.median(m[key] for m in mine), 2), "unit": unit,
                          "peer": round(statistics.median(t[key] for t in theirs), 2), "ratio": round(ratio, 3),
                          "target": target, "holds": None if target is None else ratio >= target})
    return lines
