"""How long `sprat --help` takes, in a fresh process: median and slowest of several, beside Python's own start.

python benchmarks/startup.py [--rounds 11]
"""

import argparse
import json
import statistics
import subprocess
import sys
import time


def seconds(*command: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds
    helps, bare = [], []
    for _ in range(rounds):
        helps.append(seconds(sys.executable, "-m", "sprat", "--help"))
        bare.append(seconds(sys.executable, "-c", "pass"))
    print(
        json.dumps(
            {
                "help_median_s": round(statistics.median(helps), 3),
                "help_slowest_s": round(max(helps), 3),
                "python_median_s": round(statistics.median(bare), 3),
                "rounds": rounds,
            }
        )
    )


if __name__ == "__main__":
    main()
