"""./dev bench authority --dnstap: what it costs to tell a reader of dnstap of every question and answer.

mutua-authority and Knot, each with dnstap and without, in turns, with the same questions. The reader
(bench_tap_reader) shares the generator's processor, takes everything and forgets it. `told` is the
share of questions and answers that it got: mutua-authority tells what its processor leaves time for
and counts the rest as dropped; Knot's module tells first and answers later, up to what its queue holds.
So the figures say what dnstap does to the answers of a server that is asked all that it can answer, not
what a frame costs."""

import pathlib
import statistics
import subprocess
import sys


class Reader:
    """A process that listens at a unix socket."""

    def __init__(self, program, path, processor):
        self.path = path
        self.process = subprocess.Popen(["taskset", "-c", str(processor), str(program), str(path)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, start_new_session=True)
        if self.process.stdout.readline() != "listening\n":
            sys.exit("the reader of dnstap does not listen")

    def frames(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)


def tapped_server(bench, arguments):
    """bench.Server, but for `mutua_tap` and `knot_tap`, which have a reader."""

    class TappedServer(bench.Server):
        reader = None

        def _begin_reading(self):
            program = pathlib.Path(bench.LOAD).parent / "bench_tap_reader"
            self.reader = Reader(program, self.folder / "tap", arguments.generator_processor)

        def _prepare_mutua_tap(self, zone_file):
            self._begin_reading()
            command = self._prepare_mutua(zone_file)
            with open(self.folder / "authority.conf", "a", encoding="ascii") as configuration:
                configuration.write(f"dnstap = socket {self.reader.path}\n")
            return command

        def _prepare_knot_tap(self, zone_file):
            self._begin_reading()
            command = self._prepare_knot(zone_file)
            configuration = self.folder / "knot.conf"
            text = configuration.read_text(encoding="ascii")
            text = text.replace("template:\n", f"mod-dnstap:\n  - id: tap\n    sink: unix:{self.reader.path}\ntemplate:\n")
            configuration.write_text(text.replace("content: none\n", "content: none\n    global-module: mod-dnstap/tap\n"),
                                     encoding="ascii")
            return command

        def processor_seconds(self):
            """Called where the count of a round begins, and where it ends."""
            if self.reader:
                self.marks = [*getattr(self, "marks", []), self.reader.frames()]
            return super().processor_seconds()

        def stop(self):
            super().stop()
            if self.reader:
                self.reader.stop()

    return TappedServer


def one_round(bench, server, transport, queries, arguments):
    server.marks = []
    figure = bench.measure(server, transport, queries, arguments.seconds, arguments.generator_processor)
    if server.reader:
        figure["told"] = (server.marks[1] - server.marks[0]) / (2 * figure["rate"] * arguments.seconds)
    print(f"{transport} {server.name:9} {figure['rate']:9.0f}/s  {figure['cpu']:5.2f} us  busy {figure['busy']:.2f}"
          + (f"  told {figure['told']:.2f}" if server.reader else ""), file=sys.stderr)
    return figure


def lines_of(transport, rounds):
    """In the form of bench.figures(): each with dnstap against itself without, and against each other."""
    pairs = [("mutua_tap", "mutua"), ("knot_tap", "knot"), ("mutua_tap", "knot_tap")]
    for one, other in pairs:
        if one not in rounds or other not in rounds:
            continue
        for key, figure, unit in (("rate", "rate", "answers/s"), ("cpu", "processor", "us/answer")):
            ratio = statistics.median(a[key] / b[key] for a, b in zip(rounds[one], rounds[other]))
            yield {"figure": f"authority.dnstap.{transport}.{figure}.{one}/{other}", "unit": unit,
                   "value": round(statistics.median(r[key] for r in rounds[one]), 2),
                   "peer": round(statistics.median(r[key] for r in rounds[other]), 2),
                   "ratio": round(ratio, 3), "target": None, "holds": None}
    told = {name: statistics.median(r["told"] for r in of_it) for name, of_it in rounds.items() if "told" in of_it[0]}
    yield {"figure": f"authority.dnstap.{transport}.told", "unit": "share of the messages", "value": round(told["mutua_tap"], 3),
           "peer": round(told["knot_tap"], 3) if "knot_tap" in told else None, "ratio": None, "target": None, "holds": None}


def run(bench, arguments, folder):
    """The figures' lines."""
    zone_file, queries = folder / "zone", folder / "queries"
    bench.write_zone(zone_file, arguments.services)
    bench.write_queries(queries, bench.question_names(arguments.services, 200_000), do_bit=False)
    names = ["mutua", "mutua_tap"]
    if any(pathlib.Path("/usr/lib").glob("*/knot/modules*/dnstap.so")):
        names += ["knot", "knot_tap"]
    else:
        print("NOT RUN: knot-module-dnstap is not installed (./dev setup --test)", file=sys.stderr)
    make = tapped_server(bench, arguments)
    rounds = {transport: {name: [] for name in names} for transport in ("udp", "tcp")}
    servers = []
    try:
        for name in names:
            servers.append(make(name, folder, zone_file, arguments.server_processor))
        for number in range(arguments.rounds):
            for transport, of_each in rounds.items():
                for server in servers if number % 2 == 0 else servers[::-1]:
                    of_each[server.name].append(one_round(bench, server, transport, queries, arguments))
    finally:
        for server in servers:
            server.stop()
    return [line for transport, of_each in rounds.items() for line in lines_of(transport, of_each)]
