"""Eight peers in network namespaces of their own, and an adversary who kills, blackholes, slows and
heals them while a client asks at a steady rate."""
import json
import random
import signal
import time

import lab as laboratory

NAME = "blog.fed.example"


class FarPeer:
    """A peer behind a cable. Its address is 10.10.NUMBER.2; the client's end of the cable is .1."""

    def __init__(self, lab, number):
        self.lab = lab
        self.number = number
        self.address = f"10.10.{number}.2"
        self.holder = lab.start("unshare", "--net", "sh", "-c", "ip link set lo up; echo ready; exec sleep infinity")
        pid = self.holder.process.pid
        self._here("ip", "link", "add", f"far{number}", "type", "veth", "peer", "name", "eth0", "netns", pid)
        self._here("ip", "address", "add", f"10.10.{number}.1/24", "dev", f"far{number}")
        self._here("ip", "link", "set", f"far{number}", "up")
        self._there("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self._there("ip", "link", "set", "eth0", "up")
        self.server = None
        self.ailment = None
        self._serve()

    def _here(self, *arguments):
        result = self.lab.run(*arguments)
        assert result.returncode == 0, f"{arguments}: {result.stderr}"

    def _there(self, *arguments):
        self._here("nsenter", "-t", self.holder.process.pid, "-n", *arguments)

    def _serve(self):
        self.server = self.lab.start("nsenter", "-t", self.holder.process.pid, "-n",
                                     laboratory.programs() / "bench_client", "serve", f"{self.address}:8080")

    def kill(self):
        self.server.end(signal.SIGKILL)
        self.ailment = "killed"

    def blackhole(self):
        """It hears everything; nothing that it says comes back."""
        self._there("ip", "route", "add", "blackhole", f"10.10.{self.number}.1/32")
        self.ailment = "blackholed"

    def slow(self):
        self._there("tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "64kbit", "burst", "1600",
                    "limit", "30000")
        self.ailment = "slowed"

    def heal(self):
        if self.ailment == "killed":
            self._serve()
        elif self.ailment == "blackholed":
            self._there("ip", "route", "del", "blackhole", f"10.10.{self.number}.1/32")
        elif self.ailment == "slowed":
            self._there("tc", "qdisc", "del", "dev", "eth0", "root")
        self.ailment = None


def run(lab, requests, each_second, retries, seed):
    """What `bench_client steady` printed, with "events": [[seconds, what, peer]…]. At least three of the
    eight peers are healthy at any time."""
    choose = random.Random(seed)
    peers = [FarPeer(lab, number) for number in range(1, 9)]
    lab.publish(NAME, [(peer.address, 8080) for peer in peers])
    address = lab.address_of(NAME)
    for _ in range(2 * len(peers)):  # everybody is visited
        assert lab.curl(f"http://{NAME}/").stdout == "ok"
    client = lab.start(laboratory.programs() / "bench_client", "steady", f"{address}:80", requests, each_second,
                       retries)
    begun = time.monotonic()
    events = []
    while time.monotonic() - begun < requests / each_second - 1:
        time.sleep(choose.uniform(0.2, 0.8))
        sick = [peer for peer in peers if peer.ailment]
        best = lab.lookup(NAME)["candidates"][0]["address"].rsplit(":", 1)[0]
        in_use = [peer for peer in peers if peer.address == best and not peer.ailment]
        if len(sick) >= 5 or (sick and choose.random() < 0.4):
            peer, what = choose.choice(sick), "heal"
        else:
            # Whom it hits: every second time the one in use, who matters.
            healthy = in_use if in_use and choose.random() < 0.5 else [one for one in peers if not one.ailment]
            peer, what = choose.choice(healthy), choose.choice(["kill", "blackhole", "slow"])
        getattr(peer, what)()
        events.append([round(time.monotonic() - begun, 3), what, peer.address])
    report = json.loads(client.line(60))
    report["events"] = events
    return report
