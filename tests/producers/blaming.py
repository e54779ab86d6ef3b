"""An agent in a process of its own that changes files by tools, and says which call did what.

`python -m tests.producers.blaming STATE ROOT NUMBER SEED`; it prints a JSON
object: by `op path` the trace of the last call that did it.
"""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

from eventbus import EventBus, tool

APART_S = 0.06
"""Between calls: closer ones are taken for each other, and may be."""
SEEN_S = 0.25
"""Until what is made is seen; what goes again before has never been."""


class Agent:
    def __init__(self, bus: EventBus, root: Path, name: str) -> None:
        self.bus, self.root, self.name = bus, root, name
        self.own = root / name
        self.own.mkdir()
        self.truth: dict[str, str | None] = {}

    def call(self, tool_name: str, words: str, *did: str, where: Path | None = None) -> None:
        """Run a command line as a tool call; `did` is what it does to which path."""
        cwd = where or self.root
        with tool(tool_name, {"command": words}, bus=self.bus, cwd=cwd) as call:
            subprocess.run(words, shell=True, cwd=cwd, check=True)
        self.truth.update(dict.fromkeys(did, call.trace))
        time.sleep(APART_S)

    def write(self, path: str) -> None:
        self.call("write_file", f"echo {path} > {path}", f"write {path}")

    def delete(self, path: str) -> None:
        self.write(path)
        time.sleep(SEEN_S)
        self.call("shell", f"rm {path}", f"delete {path}")

    def move(self, path: str) -> None:
        self.write(path)
        time.sleep(SEEN_S)
        self.call("shell", f"mv {path} {path}.to", f"delete {path}", f"write {path}.to")

    def make(self, path: str) -> None:
        name = path.replace("/", "-")
        paths = (f"write {self.name}/{name}-{each}" for each in (1, 2))
        words = f"for i in 1 2; do echo $i > {name}-$i; done"
        self.call("shell", words, *paths, where=self.own)

    def clear(self, path: str) -> None:
        self.call("shell", f"mkdir -p {path}/in", f"mkdir {path}", f"mkdir {path}/in")
        time.sleep(SEEN_S)
        self.call("shell", f"rm -rf {path}", f"delete {path}", f"delete {path}/in")


def main(state: str, root: str, number: str, seed: str) -> None:
    choose = random.Random(f"{seed} {number}")
    with EventBus(state, serve="never") as bus:
        agent = Agent(bus, Path(root), f"own{number}")
        print("ready", flush=True)
        sys.stdin.readline()
        for turn in range(8):
            act = choose.choice((agent.write, agent.delete, agent.move, agent.make, agent.clear))
            act(f"shared/{number}-{turn}")
    print(json.dumps(agent.truth))


if __name__ == "__main__":
    main(*sys.argv[1:])
