"""resolver/choice against an oracle, in simulated worlds (choice_world.cc)."""
import json
import subprocess

import lab as laboratory

WORLDS = 200


def measure(folder, rounds, progress, compare, state):
    lines = []
    for peers in (4, 8, 16):
        for sizes in ("told", "untold", "clairvoyant"):
            result = subprocess.run([laboratory.programs() / "bench_client", "choice", str(peers), str(WORLDS), sizes],
                                    capture_output=True, text=True, check=True, timeout=100)
            median = json.loads(result.stdout)["median"]
            line = state(f"choice.{peers}_peers.sizes_{sizes}/oracle", f"time, median of {WORLDS} worlds", median)
            if sizes != "clairvoyant":  # which is a floor for those who are not told
                line |= {"ratio": median, "target": 1.25, "holds": median <= 1.25}
            lines.append(line)
    return lines
