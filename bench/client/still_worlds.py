"""Worlds of the simulator (choice_world.cc) made of network namespaces: the same flows through the real
resolver, each beside the same transfer directly from the peer that an oracle would take."""
import concurrent.futures
import json
import statistics
import subprocess

import lab as laboratory

WORLDS = ((4, 1), (6, 4), (8, 1))  # peers, seed
FLOWS = 60
NAME = "blog.fed.example"
WITHIN = 0.15
PATIENCE_SECONDS = 150


def describe(peers, seed):
    result = subprocess.run([laboratory.programs() / "bench_client", "still-world", str(peers), str(seed), str(FLOWS)],
                            capture_output=True, text=True, check=True, timeout=60)
    return json.loads(result.stdout)


class PathPeer:
    """A peer behind a link with a round trip and a rate."""

    def __init__(self, lab, number, rtt, octets_per_second):
        self.address = f"10.20.{number}.2"
        holder = lab.start("unshare", "--net", "sh", "-c", "ip link set lo up; echo ready; exec sleep infinity")
        here, there, name = lab.machine.process.pid, holder.process.pid, f"path{number}"
        bench = laboratory.programs() / "bench_client"
        lab.start(bench, "link", here, there, name, rtt, octets_per_second)
        for pid, end in ((here, 1), (there, 2)):
            for words in (("address", "add", f"10.20.{number}.{end}/24", "dev", name), ("link", "set", name, "up")):
                result = lab.run("nsenter", "-t", pid, "-n", "ip", *words)
                assert result.returncode == 0, result.stderr
        lab.start("nsenter", "-t", there, "-n", bench, "serve", f"{self.address}:8080")


def carry(folder, mode, world):
    """[[seconds through the resolver, seconds directly]…] of the world's flows; nothing without cgroups."""
    folder.mkdir()
    lab = laboratory.Lab(folder)
    try:
        if mode == "kernel" and not lab.make_cgroup():
            return None
        lab.start_authority()
        lab.start_resolver(redirect=mode, **({"cgroup": lab.cgroup} if lab.cgroup else {}))
        peers = [PathPeer(lab, number, *path) for number, path in enumerate(world["paths"], 1)]
        lab.publish(NAME, [(peer.address, 8080) for peer in peers])
        flows = [word for octets, best in world["flows"] for word in (octets, f"{peers[best].address}:8080")]
        result = lab.run(laboratory.programs() / "bench_client", "flows", lab.address_of(NAME) + ":80", *flows,
                         timeout=PATIENCE_SECONDS)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)
    finally:
        lab.end()


def measure(folder, rounds, progress, compare, state):
    worlds = {key: describe(*key) for key in WORLDS}
    with concurrent.futures.ThreadPoolExecutor(2 * len(WORLDS)) as pool:
        found = {(mode, key): pool.submit(carry, folder / f"{mode}-{key[0]}-{key[1]}", mode, world)
                 for mode in ("relay", "kernel") for key, world in worlds.items()}
    lines = []
    for mode in ("relay", "kernel"):
        means = []
        for key, world in worlds.items():
            flows = found[mode, key].result()
            if flows is None:
                progress("choice-net: without the kernel: no second version of cgroups")
                break
            failures = sum(1 for times in flows if min(times) < 0)
            if failures:
                raise RuntimeError(f"choice-net: {mode}: {failures} transfers of {FLOWS} failed")
            # The first visits are the same for every policy, and their cost is the lot's.
            means.append(statistics.mean(through / direct for through, direct in flows[key[0]:]))
            lines.append({**state(f"choice-net.{mode}.{key[0]}_peers/oracle", "time; beside it the simulator's",
                                  round(means[-1], 3)), "peer": world["simulated"],
                          "ratio": round(means[-1] / world["simulated"], 3)})
        if len(means) == len(worlds):
            simulated = statistics.mean(world["simulated"] for world in worlds.values())
            ratio = statistics.mean(means) / simulated
            lines.append({**state(f"choice-net.{mode}/oracle", f"time, mean of {len(worlds)} worlds, {1 - WITHIN} to "
                                  f"{1 + WITHIN} of the simulator's", round(statistics.mean(means), 3)),
                          "peer": round(simulated, 3), "ratio": round(ratio, 3), "target": 1 + WITHIN,
                          "holds": abs(ratio - 1) <= WITHIN})
    return lines
