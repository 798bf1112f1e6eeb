"""./dev bench authority --zone: what a zone costs as a whole, unsigned and signed, beside NSD and Knot.

Start: to the first answer, from SQLite here and from the zone's file there. Memory: the proportional
set size of all processes then. Transfer: a fresh NSD that has nothing takes the zone from
mutua-authority or from Knot, until its own first answer; what the primary spends on it as well. The
signed zone is the one that mutua-authority signs, for all three. Each start and each transfer has both
processors; turns alternate."""

import pathlib
import shutil
import statistics

PEERS = ("nsd", "knot")
MEMORY_TARGET = 1.3


def make_server(bench, name, folder, zone_file, signed):
    """A server whose zone may be transferred by anyone here."""

    class Primary(bench.Server):
        def _prepare_mutua(self, zone_file):
            command = super()._prepare_mutua(zone_file)
            with open(command[-1], "a", encoding="ascii") as configuration:
                configuration.write("transfer = 127.0.0.0/8\n")
            return command

        def _prepare_knot(self, zone_file):
            command = super()._prepare_knot(zone_file)
            configuration = pathlib.Path(command[-1])
            text = configuration.read_text(encoding="ascii").replace(
                "zone:\n", "acl:\n  - id: anyone\n    address: 127.0.0.0/8\n    action: transfer\nzone:\n")
            configuration.write_text(f"{text}    acl: anyone\n", encoding="ascii")
            return command

    return Primary(name, folder, zone_file, "0-1", signed)


def transfer(bench, primary, folder):
    """Seconds until a secondary without a zone answers from it, and the primary's processor seconds."""

    class Secondary(bench.Server):
        def _prepare_nsd(self, zone_file):
            command = super()._prepare_nsd(zone_file)
            with open(command[-1], "a", encoding="ascii") as configuration:
                configuration.write(f"  request-xfr: AXFR 127.0.0.1@{primary.port} NOKEY\n"
                                    "  allow-notify: 127.0.0.1 NOKEY\n")
            return command

    before = primary.processor_seconds()
    secondary = Secondary("nsd", folder, folder / "none", "0-1")
    try:
        return secondary.start_seconds, primary.processor_seconds() - before
    finally:
        secondary.stop()
        shutil.rmtree(secondary.folder)


def measure(bench, arguments, folder, zone_file, signed):
    servers = {"mutua": make_server(bench, "mutua", folder, zone_file, signed)}
    start = {name: [] for name in ("mutua", *PEERS)}
    taken = {name: [] for name in ("mutua", "knot")}
    try:
        if signed:
            servers["mutua"].wait_until_signed()
            zone_file = servers["mutua"].export()
        for name in PEERS:
            servers[name] = make_server(bench, name, folder, zone_file, signed)
        for number in range(arguments.rounds):
            for name in list(servers)[::1 if number % 2 == 0 else -1]:
                servers[name].restart()
                start[name].append(servers[name].start_seconds)
        memory = {name: server.memory_megabytes() for name, server in servers.items()}
        servers["nsd"].stop()
        secondary_folder = folder / "secondary"
        secondary_folder.mkdir()
        for number in range(arguments.rounds):
            for name in list(taken)[::1 if number % 2 == 0 else -1]:
                taken[name].append(transfer(bench, servers[name], secondary_folder))
    finally:
        for server in servers.values():
            server.stop()

    word = "signed" if signed else "unsigned"
    lines = []

    def add(figure, unit, mine, theirs, target, ratio):
        lines.append({"figure": f"zone.{word}.{figure}", "value": round(mine, 2), "unit": unit,
                      "peer": round(theirs, 2), "ratio": round(ratio, 3), "target": target,
                      "holds": None if target is None else ratio <= target})

    def compare(figure, unit, mine, theirs, target):
        add(figure, unit, statistics.median(mine), statistics.median(theirs), target,
            statistics.median(m / t for m, t in zip(mine, theirs)))

    for peer in PEERS:
        compare(f"start/{peer}", "s", start["mutua"], start[peer], 1.0 if peer == "nsd" else None)
        add(f"memory/{peer}", "MB", memory["mutua"], memory[peer], MEMORY_TARGET if peer == "nsd" else None,
            memory["mutua"] / memory[peer])
    for key, (figure, unit) in enumerate((("to_nsd/knot", "s"), ("to_nsd.processor/knot", "s of the primary"))):
        compare(figure, unit, [one[key] for one in taken["mutua"]], [one[key] for one in taken["knot"]],
                1.0 if key == 0 else None)
    return lines


def run(bench, arguments, folder):
    zone_file = folder / "zone"
    bench.write_zone(zone_file, arguments.services)
    lines = []
    for signed in (False, True):
        place = folder / ("signed" if signed else "unsigned")
        place.mkdir()
        lines += measure(bench, arguments, place, zone_file, signed)
    return lines
