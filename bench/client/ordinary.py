"""Ordinary names, which are none of the federation's business: with us in the hosts line and without."""
import json
import subprocess

import lab as laboratory
from daemons import wait_until
from lookups import tool

NAMES = 10_000
NAMESERVER = "127.0.0.61"


def serve_names(lab):
    """unbound, with an address for each of the names."""
    data = "".join(f'  local-data: "www{number}.site.example. 300 A 192.0.2.{number % 250}"\n'
                   for number in range(NAMES))
    config = lab.folder / "unbound.conf"
    config.write_text(f"""server:
  interface: {NAMESERVER}
  do-daemonize: no
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  directory: "{lab.folder}"
  local-zone: "site.example." static
{data}remote-control:
  control-enable: no
""")
    return subprocess.Popen(lab.inside(tool("unbound"), "-d", "-c", config), stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measure(folder, rounds, progress, compare, state):
    lab = laboratory.Lab(folder)
    server = None
    try:
        lab.start_authority()
        lab.start_resolver()
        server = serve_names(lab)
        (folder / "resolv.conf").write_text(f"nameserver {NAMESERVER}\n")
        wait_until(lambda: lab.run("getent", "ahostsv4", "www1.site.example").returncode == 0, what="unbound serves")
        taken = {"dns": [], "mutua dns": []}
        for number in range(2 * rounds):
            for hosts in list(taken) if number % 2 == 0 else list(taken)[::-1]:
                (folder / "nsswitch.conf").write_text(f"hosts: {hosts}\npasswd: files\ngroup: files\n")
                result = lab.run(laboratory.programs() / "bench_client", "lookups", "www#.site.example", 0, NAMES, 1, 1)
                taken[hosts].append(json.loads(result.stdout))
            progress(f"ordinary: round {number + 1} of {2 * rounds}: " + ", ".join(
                f"{hosts} {each[-1]['p50']:.2f} {each[-1]['p99']:.2f}" for hosts, each in taken.items()))
        ours, direct = taken["mutua dns"], taken["dns"]
        lines = [compare(f"ordinary.{key}/dns", "us", [one[key] for one in ours], [one[key] for one in direct], 1.02)
                 for key in ("p50", "p99")]
        told = [question for question in lab.questions() if "site.example" in question]
        for figure, of, value in (("failures", f"of {2 * rounds * NAMES}", sum(one["failures"] for one in ours)),
                                  ("told_to_the_authority", "ordinary names", len(told))):
            lines.append({**state(f"ordinary.{figure}", of, value), "target": 0, "holds": value == 0})
        return lines
    finally:
        if server:
            server.kill()
            server.wait()
        lab.end()
