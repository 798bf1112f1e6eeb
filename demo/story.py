"""What the demo shows, in order."""

import collections
import json
import pathlib
import re
import signal
import time

from federation_lab import DemoError, LEASE_SECONDS, PEER_NAMES, ZONE

SERVICE = f"shop.{ZONE}"
URL = f"http://{SERVICE}/"
SERVED_LIST = f"_80._tcp.{SERVICE}"
SHOP = pathlib.Path(__file__).resolve().parent / "shop"
MEMORY_MIB = 128
VISITS_BEFORE = 7
STATE = re.compile(r'<p id="state">visit (\d+), of which SQLite has (\d+); process (\d+); '
                   r'up ([\d.]+) s$', re.MULTILINE)


class State:
    """What a page of the shop says of the machine that it comes from."""

    def __init__(self, page):
        found = STATE.search(page)
        if not found or not page.endswith("</table>\n"):
            raise ValueError(page[:300])
        self.visit, self.kept, self.process = (int(found.group(n)) for n in (1, 2, 3))
        self.uptime = float(found.group(4))

    def __str__(self):
        return f"visit {self.visit}, process {self.process}, up {self.uptime:.0f} s"


class Story:
    def __init__(self, lab):
        self.lab = lab
        self.started = time.monotonic()
        self.served_by = collections.Counter()
        self.measured = {}
        self.left = None  # the State in which the machine was taken
        self.met = set()  # peers that have shown theirs

    # -- telling --

    def tell(self, who, what):
        seconds = int(time.monotonic() - self.started)
        print(f"  {seconds // 60}:{seconds % 60:02}  {who:<10} {what}", flush=True)

    @staticmethod
    def quote(text):
        for line in text.splitlines():
            print(f"        {line}", flush=True)

    # -- setting up --

    def set_up(self):
        print("\nMutua: one running machine, passed on to hosts that nobody has to trust\n", flush=True)
        self.start_authority()
        self.start_peers()
        self.keep_a_base()
        self.open_the_shop()
        self.publish()
        self.host_on_the_others()
        self.show_served_list()
        self.lab.start_resolver()
        self.tell("resolver", "runs beside the client; nsswitch.conf says: hosts: files mutua dns")

    def start_authority(self):
        self.lab.start_authority()
        self.tell("authority", f"{self.lab.authority_host.address}, zone {ZONE}, kept in SQLite")
        kernel, base = self.lab.trust_bases()
        self.tell("operator", f"trusts the kernel {kernel[:8]}… and the base image {base[:8]}…")

    def start_peers(self):
        for peer in self.lab.peers:
            peer.initialize()
            peer.start()
        for peer in self.lab.peers:
            self.lab.wait_until(peer.socket.exists, 20, f"{peer.name} runs", peer.daemon)
        self.lab.wait_until(
            lambda: len(self.lab.dig(f"_mutua._tcp.{ZONE}", "PTR")) == len(self.lab.peers),
            30, "all peers are registered", *(peer.daemon for peer in self.lab.peers))
        places = ", ".join(f"{peer.name} {peer.host.address}" for peer in self.lab.peers)
        self.tell("peers", places)

    def keep_a_base(self):
        """A bare Debian machine as it runs: what the snapshots of all services on it stand on."""
        owner = self.lab.peers[0]
        started = time.monotonic()
        owner.mutua("machine", "boot", "bare", "--kernel", self.lab.kernel, "--base", self.lab.base,
                    "--memory", str(MEMORY_MIB), "--port", "80/tcp")
        owner.mutua("machine", "run", "bare", "sync; echo 3 > /proc/sys/vm/drop_caches")
        booted = time.monotonic() - started
        owner.mutua("snapshot", "take", "bare", "debian", "--leave")
        owner.mutua("machine", "stop", "--discard", "bare")
        self.tell(owner.name, f"boots a bare Debian machine in {booted:.1f} s and keeps it as it runs")

    def open_the_shop(self):
        owner = self.lab.peers[0]
        started = time.monotonic()
        owner.mutua("snapshot", "resume", "debian", "shop")
        resumed = time.monotonic() - started
        self.tell(owner.name, f"lets a copy go on, after {resumed:.2f} s, and opens a shop in it: "
                              "Python and SQLite")
        self.lab.pack_into(owner, "shop", SHOP)
        owner.mutua("machine", "run", "shop", "kill $(pidof httpd)")
        port = json.loads(owner.mutua("machine", "list", "--json"))[0]["ports"][0]["hostPort"]
        url = f"http://127.0.0.1:{port}/"
        self.lab.wait_until(lambda: self.lab.fetch_at(owner, url), 30, "the shop is open", owner.daemon)
        while (state := State(self.lab.fetch_at(owner, url))).visit < VISITS_BEFORE:
            pass
        self.left = state
        self.tell(owner.name, f"visits it until it says: {state}")

    def publish(self):
        owner = self.lab.peers[0]
        owner.mutua("snapshot", "take", "shop", "shop-1")
        taken = json.loads(owner.mutua("snapshot", "show", "shop-1", "--json"))
        self.tell(owner.name, f"takes the machine as it runs: it stands still for "
                              f"{taken['frozenMicroseconds'] / 1000:.0f} ms; what it adds to the base is "
                              f"{taken['memoryBytes'] / 1024:.0f} KiB of memory and "
                              f"{taken['diskBytes'] / 1024:.0f} KiB of disk")
        started = time.monotonic()
        owner.mutua("publish", SERVICE, "--from-snapshot", "shop-1", "--check", "http:/",
                    "--every", "2s")
        self.wait_until_served(1)
        self.tell(owner.name, f"signs and publishes it as {SERVICE}: its replica answers after "
                              f"{time.monotonic() - started:.1f} s")

    def host_on_the_others(self):
        for number, peer in enumerate(self.lab.peers[1:], start=2):
            started = time.monotonic()
            peer.mutua("host", SERVICE)
            self.tell(peer.name, "fetches it, verifies it, lets it go on: answers after "
                                 f"{time.monotonic() - started:.1f} s")
            self.wait_until_served(number)
            self.tell(self.lab.peers[0].name, f"checked the page at {peer.name} and admits it")

    def wait_until_served(self, replicas):
        self.lab.wait_until(lambda: len(self.served_list()) >= replicas, 60,
                            f"{replicas} of the replicas are served",
                            *(peer.daemon for peer in self.lab.peers))

    def served_list(self):
        return self.lab.dig(SERVED_LIST, "SRV")

    def show_served_list(self):
        print(f"\n        $ dig @{self.lab.authority_host.address} {SERVED_LIST} SRV", flush=True)
        self.quote("\n".join(self.served_list()))
        print(flush=True)

    # -- fetching, while peers are killed --

    def fetch(self, count):
        """Returns how many of the fetches gave the right page."""
        self.tell("client", f"fetches {URL} {count} times with curl, by name, through NSS")
        answered = 0
        phases = len(PEER_NAMES)
        for phase in range(phases):
            if phase > 0:
                self.kill_peer(self.best_peer())
            first, last = count * phase // phases, count * (phase + 1) // phases
            servers = collections.Counter()
            for _ in range(first, last):
                good, server = self.fetch_once()
                answered += good
                servers[server] += 1
            shares = ", ".join(f"{pages} by {name}" for name, pages in servers.most_common())
            self.tell("client", f"{last} of {count} fetched: {shares}")
            self.served_by += servers
        self.report()
        self.wait_for_lapse()
        return answered

    def fetch_once(self):
        """Whether the page was right, and the name of the peer that served it."""
        before = self.visits()
        status, body = self.lab.fetch(URL)
        after = self.visits()
        # A dead peer may have been tried first; the living one that was tried then served it.
        served = [peer.name for peer in self.lab.peers if peer.alive()
                  and after.get(peer.host.address, 0) > before.get(peer.host.address, 0)]
        server = served[0] if len(served) == 1 else "?"
        try:
            if status != 0:
                raise ValueError(body)
            self.compare(server, State(body))
        except ValueError as problem:
            self.tell("client", f"NOT ANSWERED, curl's status {status}:")
            self.quote(str(problem))
            return False, server
        return True, server

    def compare(self, server, state):
        """Each replica goes on from the snapshot: its count, its processes, its uptime."""
        if state.process != self.left.process or state.uptime <= self.left.uptime or \
                state.visit <= self.left.visit or state.kept != state.visit:
            raise ValueError(f"not the machine that was taken: {state}")
        if server not in self.met:
            self.met.add(server)
            self.tell(server, f"the machine goes on there: {state}")

    def visits(self):
        """How many connections the resolver has given each address; keeps what was measured."""
        candidates = self.lab.candidates(SERVICE, 80)
        for address, candidate in candidates.items():
            if "rtt_ms" in candidate:
                self.measured[address] = candidate
        return {address: candidate["visits"] for address, candidate in candidates.items()}

    def best_peer(self):
        """The living peer that the resolver would choose next: the one that will be missed."""
        for address in self.lab.candidates(SERVICE, 80):
            for peer in self.lab.peers:
                if peer.host.address == address and peer.alive():
                    return peer
        raise DemoError("the resolver knows of no living peer")

    def kill_peer(self, peer):
        peer.daemon.kill()
        left = sum(peer.alive() for peer in self.lab.peers)
        self.tell("kill -9", f"{peer.name}, the one that the resolver likes best; {left} of {len(self.lab.peers)} "
                             f"{'is' if left == 1 else 'are'} left")

    def report(self):
        print(f"\n        {'peer':<10} {'address':<12} {'pages':>5} {'RTT':>10} {'bandwidth':>14}")
        for peer in self.lab.peers:
            measured = self.measured.get(peer.host.address, {})
            rtt, bandwidth = measured.get("rtt_ms"), measured.get("bandwidth_mbit_s")
            print(f"        {peer.name:<10} {peer.host.address:<12} {self.served_by[peer.name]:>5} "
                  f"{'-' if rtt is None else f'{rtt:.2f} ms':>10} "
                  f"{'-' if bandwidth is None else f'{bandwidth:.1f} Mbit/s':>14}"
                  f"{'' if peer.alive() else '  killed'}")
        print(flush=True)

    def wait_for_lapse(self):
        """Who is dead leaves the served list when its lease ends, or by the owner's checks."""
        living = [peer for peer in self.lab.peers if peer.alive()]
        self.lab.wait_until(lambda: len(self.served_list()) == len(living), 2 * LEASE_SECONDS,
                            "the leases of the killed peers lapse", self.lab.authority)
        self.tell("authority", f"the dead have left the served list, by lapse of their lease of "
                               f"{LEASE_SECONDS} s or by the owner's word; it is now")
        print(flush=True)
        self.quote("\n".join(self.served_list()))
        print(flush=True)

    # -- --keep --

    def keep_running(self):
        enter = " ".join(self.lab.client.command([]))
        library = f"LD_LIBRARY_PATH={self.lab.libraries}"
        programs = self.lab.programs
        print(f"""\
  It runs until Ctrl-C. As root, on the client's host:

    {enter} env {library} bash

  opens a shell in which every program finds the service by name, for example

    curl {URL}
    chromium --no-sandbox --user-data-dir=/tmp/mutua-browser {URL}     # any other browser as well
    chromium --headless --no-sandbox --disable-gpu --dump-dom {URL}
    {programs}/mutua lookup {SERVICE}:80

  Peers are killed by their process ids, and may be watched:
""")
        for peer in self.lab.peers:
            print(f"    kill -9 {peer.daemon.process.pid:<8} # {peer.name}    "
                  f"{programs}/mutua --peer-socket {peer.socket} ps")
        print(flush=True)
        signal.pause()
