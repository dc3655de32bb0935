"""A part that is only a process: speaks the keeper's protocol, so that supervision can be tested without a platform.

The first argument is what it does: ``good``, ``crash``, ``refuse``, ``stubborn`` (ignores the wish to stop).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from af.server import offspring
from af.server.channel import Channel
from af.server.parts import PartSpec

# Three kinds of offspring: plain, deaf to SIGTERM, and detached into a session of its own (its parent gone).
_SLEEPER = "import time; time.sleep(600)"
_DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
_DETACHED = f"import os, time; os.setsid(); os.fork() and os._exit(0); {_SLEEPER}"


def main() -> None:
    behaviour = sys.argv[1]
    spec = PartSpec.from_environment(os.environ)
    offspring.die_with_parent(spec.keeper)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    channel = Channel.from_descriptor(spec.control_descriptor)
    for program in (_SLEEPER, _DEAF, _DETACHED):
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.DEVNULL)
    if behaviour == "crash":
        os._exit(3)
    if behaviour == "refuse":
        failure = {"reference": "AF7003", "code": "data_folder_unusable", "message": "no", "hint": "fix", "cause": ""}
        channel.send({"event": "failed", "failure": {**failure, "exit_code": 8}})
        os._exit(8)
    while not channel.closed:
        for message in channel.receive():
            if message["do"] == "go":
                if message["prepare"]:
                    channel.send({"event": "prepared", "facts": {"login": "link"}})
                channel.send({"event": "ready"})
            elif behaviour != "stubborn":
                os._exit(0)
        time.sleep(0.005)
    time.sleep(600)  # the channel's end is not what must end this process


if __name__ == "__main__":
    main()
