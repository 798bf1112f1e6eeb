"""Requests at a steady rate to eight peers in network namespaces that are killed, blackholed, slowed and
brought back at random: through the relay, and turned in the kernel."""
import errno

import failover
import lab as laboratory

EACH_SECOND = 150
RETRIES = {"relay": 0, "kernel": 0}
DELAY = 0.1
WIDTH, HEIGHT, LONGEST = 1200, 320, 2.0


def plot(report, title):
    """The time series as SVG: a dot for each request, a line for each event, failures in red."""
    last = max(begun for begun, *_ in report["series"]) or 1

    def place(begun, seconds):
        return f"{40 + begun / last * (WIDTH - 60):.1f}", f"{HEIGHT - 30 - min(seconds / LONGEST, 1) * (HEIGHT - 60):.1f}"

    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
             f'font-size="10"><rect width="100%" height="100%" fill="white"/><text x="40" y="14">{title}: '
             f'{report["requests"]} requests, {report["failures"]} failed; up: seconds, 0 to {LONGEST:g}</text>']
    for when, what, peer in report["events"]:
        x, _ = place(min(when, last), 0)
        colour = "#3a3" if what == "heal" else "#bbb"
        lines.append(f'<path d="M{x} 24V{HEIGHT - 30}" stroke="{colour}"/>'
                     f'<text transform="translate({x} {HEIGHT - 4})" fill="{colour}">{what[0]}{peer.split(".")[2]}</text>')
    for begun, seconds, problem, _ in report["series"]:
        x, y = place(begun, seconds)
        lines.append(f'<circle cx="{x}" cy="{y}" r="{3 if problem else 1}" fill="{"red" if problem else "#246"}"/>')
    return "\n".join([*lines, "</svg>", ""])


def near(report, what, before, after):
    """For each event of that kind, the requests that began around it: [begun, seconds, problem, connected]."""
    return [[one for one in report["series"] if when - before < one[0] < when + after]
            for when, kind, _ in report["events"] if kind == what]


def of_black_holes(report):
    """What a black hole does to those who ask while it appears; a slow peer's delays are another matter. Whose
    connection stood already is silenced: no choice of a peer can help there, and it is told apart."""
    found = near(report, "blackhole", 0.05, 0.15)
    waits = [[one for one in requests if one[3] > DELAY] for requests in found]
    silenced = [[one for one in requests if one[1] > DELAY >= one[3]] for requests in found]
    return {"most": max(map(len, waits), default=0), "longest": max((one[3] for one in sum(waits, [])), default=0),
            "silenced": sum(map(len, silenced)), "silenced_most": max(map(len, silenced), default=0),
            "silenced_longest": max((one[1] for one in sum(silenced, [])), default=0)}


def broken_off(report):
    """Failures of connections that a peer had taken when it was killed."""
    return sum(1 for requests in near(report, "kill", 0.05, 0.05) for one in requests if one[2] == errno.ECONNRESET)


def measure_with(requests, plots):
    def measure(folder, rounds, progress, compare, state):
        lines = []
        for mode in ("relay", "kernel"):
            (folder / mode).mkdir()
            lab = laboratory.Lab(folder / mode)
            try:
                if mode == "kernel" and not lab.make_cgroup():
                    progress("failover: without the kernel: no second version of cgroups")
                    continue
                lab.start_authority()
                lab.start_resolver(redirect=mode, **({"cgroup": lab.cgroup} if lab.cgroup else {}))
                report = failover.run(lab, requests, EACH_SECOND, RETRIES[mode], seed=7)
            finally:
                lab.end()
            if plots:
                plots.mkdir(parents=True, exist_ok=True)
                (plots / f"failover-{mode}.svg").write_text(plot(report, mode))
            of = f"of {requests}, {len(report['events'])} events"
            progress(f"failover: {mode}: {report['failures']} failures {of} {report['causes'][:5]}")
            lines.append({**state(f"failover.{mode}.failures", of, report["failures"]), "target": 0,
                          "holds": report["failures"] == 0})
            found = of_black_holes(report)
            lines.append({**state(f"failover.{mode}.failures.broken_off", "by a kill under way", broken_off(report))})
            for key, unit, target in (("most", f"requests over {DELAY} s in connect() by one black hole", 1),
                                      ("longest", "s, connect() to a black hole", 0.7)):
                target = target if mode == "kernel" else None
                lines.append({**state(f"failover.{mode}.black_hole.{key}", unit, round(found[key], 3)),
                              "target": target, "holds": target is None or found[key] <= target})
            lines.append(state(f"failover.{mode}.silenced", "requests under way when their peer fell silent",
                               found["silenced"]))
            lines.append(state(f"failover.{mode}.silenced.most", "by one black hole", found["silenced_most"]))
            lines.append(state(f"failover.{mode}.silenced.longest", "s", round(found["silenced_longest"], 3)))
            for key, unit in (("failed_connects", f"{of}, {RETRIES[mode]} retries"), ("delayed", "by over 0.25 s"),
                              ("p50", "us"), ("p99", "us"), ("longest", "s")):
                lines.append(state(f"failover.{mode}.{key}", unit, report[key]))
        return lines
    return measure
