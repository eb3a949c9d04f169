#!/usr/bin/env python3
"""Runs clang-tidy over a build's compile commands: clang_tidy.py BUILD_FOLDER CACHE_FOLDER

In parallel, and not again for a file whose own text, project headers, system headers, compile command, checks and
clang-tidy are what they were when it was found clean, in whichever checkout. Prints what is wrong; exits 1 when
anything is.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time

KEPT_SECONDS = 30 * 24 * 3600  # a result that nobody has asked for


def dependencies(build: pathlib.Path) -> dict[str, list[str]]:
    """Object file to all files that it was compiled from, as Ninja recorded them."""
    listing = subprocess.run(["ninja", "-C", str(build), "-t", "deps"], check=True, capture_output=True, text=True)
    result: dict[str, list[str]] = {}
    current: list[str] = []
    for line in listing.stdout.splitlines():
        if line.startswith("    "):
            current.append(line.strip())
        elif ": #deps" in line:
            current = result.setdefault(line.split(": #deps")[0], [])
    return result


def object_of(entry: dict) -> str:
    """The object file of a compile command; older CMake does not list it beside the command."""
    arguments = shlex.split(entry["command"])
    return entry.get("output") or arguments[arguments.index("-o") + 1]


class Fingerprints:
    """Identifies what a result depends on. Our own files by content, the system's by size and time."""

    def __init__(self, root: pathlib.Path, build: pathlib.Path):
        self.root = root
        self.build = build
        self.known: dict[str, str] = {}
        version = subprocess.run(["clang-tidy", "--version"], check=True, capture_output=True, text=True).stdout
        self.common = version + (root / ".clang-tidy").read_text()

    def of_file(self, name: str) -> str:
        if name not in self.known:
            path = pathlib.Path(os.path.normpath(self.build / name))
            if path.is_relative_to(self.root):
                self.known[name] = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                status = path.stat()
                self.known[name] = f"{status.st_size} {status.st_mtime_ns}"
        return self.known[name]

    def of_unit(self, entry: dict, files: list[str]) -> str:
        parts = [entry["command"], *(f"{name} {self.of_file(name)}" for name in set(files) | {entry["file"]})]
        # Where the checkout lies makes no difference.
        parts = [self.common, *sorted(part.replace(str(self.root), ".") for part in parts)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def check(build: pathlib.Path, entry: dict) -> str:
    """What clang-tidy objects to; empty when nothing."""
    done = subprocess.run(
        ["nice", "-n", "5", "clang-tidy", "--quiet", "-p", str(build), entry["file"]], capture_output=True, text=True
    )
    return "" if done.returncode == 0 else (done.stdout.strip() or done.stderr.strip() or "clang-tidy failed")


def main() -> int:
    build, cache = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    root = pathlib.Path(__file__).resolve().parents[2]
    cache.mkdir(parents=True, exist_ok=True)
    for marker in cache.iterdir():
        if marker.stat().st_mtime < time.time() - KEPT_SECONDS:
            marker.unlink()
    compiled_from = dependencies(build)
    fingerprints = Fingerprints(root, build)
    # What the build itself generates is not ours to judge.
    entries = [
        entry
        for entry in json.loads((build / "compile_commands.json").read_text())
        if not pathlib.Path(entry["file"]).is_relative_to(build)
    ]
    pending = []
    for entry in entries:
        files = compiled_from.get(object_of(entry))
        if files is None:
            print(f"{entry['file']}: not built, so it cannot be checked")
            return 1
        marker = cache / fingerprints.of_unit(entry, files)
        if not marker.exists():
            pending.append((entry, marker))
        else:
            os.utime(marker)
    print(f"{len(entries)} files, {len(pending)} to check")
    faulty = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for (entry, marker), complaint in zip(pending, pool.map(lambda item: check(build, item[0]), pending)):
            if complaint:
                faulty += 1
                print(complaint, flush=True)
            else:
                marker.touch()
    print(f"{len(entries) - faulty} files are clean, {faulty} are not")
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
