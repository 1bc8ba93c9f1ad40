"""A worker that does what its request says: the whole range from good to useless."""

import json
import os
import sys
import time
from pathlib import Path

for line in sys.stdin.buffer:
    request = json.loads(line)

    def say(message: object) -> None:
        """Say one line."""
        sys.stdout.write(f"{message if isinstance(message, str) else json.dumps(message)}\n")
        sys.stdout.flush()

    number = request["id"]
    match request["do"]:
        case "pid":
            say({"id": number, "answer": {"pid": os.getpid(), "group": os.getsid(0)}})
        case "descriptors":
            names = [Path(f"/proc/self/fd/{other}") for other in range(3, 100)]
            open_ones = [str(name.readlink()) for name in names if name.is_symlink()]
            say({"id": number, "answer": {"open": open_ones}})
        case "sleep":
            time.sleep(request["seconds"])
            say({"id": number, "answer": {"slept": True}})
        case "progress":
            for step in range(request["steps"]):
                say({"id": number, "progress": {"step": step}})
                time.sleep(request["seconds"])
            say({"id": number, "answer": {"steps": request["steps"]}})
        case "stuck":
            say({"id": number, "progress": {"at": 7}})
            time.sleep(1000)
        case "note":
            # A longer one before it shows that the latest counts, up to the end of its line.
            before = json.dumps({"id": number, "progress": {"at": 123456}})
            os.pwrite(2, f"{before}\n".encode(), 0)
            os.pwrite(2, f"{request['line'].replace('NUMBER', str(number))}\n".encode(), 0)
            if request["then"] == "exit":
                sys.exit(1)
            if request["then"] == "answer":
                say({"id": number, "answer": {}})
            else:
                time.sleep(1000)
        case "length":
            say({"id": number, "answer": {"length": len(line)}})
        case "raw":
            say(request["line"].replace("NUMBER", str(number)))
        case "exit":
            sys.exit(1)
