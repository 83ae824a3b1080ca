#!/usr/bin/env python3
"""Programs that install, or that speak to what is not there: each knows what it may be asked, and looks whether the files that
it is given are there and can be what they are meant to be. Whatever else it is asked is an error, as it would be to the real one.
The name that it is called by says which it is. `$SYSTEM` is the root of the file system of the page."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

SYSTEM = pathlib.Path(os.environ["SYSTEM"])
# Options whose value stands in the next word.
VALUED = {
    "docker": {"-t", "--name", "-p", "--cap-drop", "--stop-timeout", "-v", "--build-arg", "-f", "--time", "-e", "--add-host", "--security-opt"},
    "kubectl": {"-n", "-f", "-k"},
}
UNITS = {"vidgate": "vidgate.service", "vidgate.service": "vidgate.service"}


class Wrong(Exception):
    """What a program would not do."""


def must(holds, message):
    if not holds:
        raise Wrong(message)


def options(words, valued):
    """Options with their values, and the other words, up to the first that is for another program."""
    found, plain = [], []
    words = list(words)
    while words:
        word = words.pop(0)
        if word == "--":
            break
        if word.startswith("-"):
            name, _, value = word.partition("=")
            found.append((name, value if value else words.pop(0) if name in valued and words else None))
        else:
            plain.append(word)
    return found, plain


def apt_get(words):
    must(words[:1] in (["update"], ["install"]), f"no such command: {words[:1]}")
    for word in words[1:]:
        if "/" not in word:
            continue
        must(pathlib.Path(word).is_file(), f"there is no package {word}")
        # What the package brings, and its scripts make.
        packaging = pathlib.Path("packaging")
        etc = SYSTEM / "etc/vidgate"
        etc.mkdir(parents=True, exist_ok=True)
        (SYSTEM / "var/lib/vidgate").mkdir(parents=True, exist_ok=True)
        installed = (packaging / "debian/vidgate.toml").read_text()
        (etc / "vidgate.toml").write_text(re.sub(r"(?<![\w./])/(etc|var/lib)/vidgate", rf"{SYSTEM}/\1/vidgate", installed))
        units = SYSTEM / "usr/lib/systemd/system"
        units.mkdir(parents=True, exist_ok=True)
        for unit in (packaging / "systemd").iterdir():
            shutil.copy(unit, units)


def deb(words):
    must(not words or pathlib.Path(words[0]).exists(), "there is no such program")
    for needed in ("debian/vidgate.toml", "debian/postinst", "systemd/vidgate.service"):
        must((pathlib.Path("packaging") / needed).is_file(), f"packaging/{needed} is missing")
    made = pathlib.Path("target/packaging")
    made.mkdir(parents=True, exist_ok=True)
    (made / "vidgate_0.1.0_amd64.deb").touch()


def systemctl(words):
    known = {"status", "reload", "restart", "start", "stop", "enable", "disable", "daemon-reload", "edit"}
    _, plain = options(words, set())
    must(plain[:1] and plain[0] in known, f"no such command: {words}")
    for unit in plain[1:]:
        name = UNITS.get(unit, re.sub(r"@[^.]+\.", "@.", unit))
        must((SYSTEM / "usr/lib/systemd/system" / name).is_file(), f"there is no unit {unit}")
        if plain[0] in ("reload", "restart", "start"):
            # What the unit does first; the real one is tried by tests/packaging/run.
            subprocess.run(["vidgate", "check", "--config", SYSTEM / "etc/vidgate/vidgate.toml"], check=True)


def install(words):
    """The real one, whoever is to own the file."""
    kept, skip = [], False
    for word in words:
        if skip or word in ("-o", "-g"):
            skip = not skip
            continue
        kept.append(word)
    subprocess.run(["/usr/bin/install", *kept], check=True)


def runuser(words):
    must(words[:1] == ["-u"] and words[2:3] == ["--"] and len(words) > 3, "usage: runuser -u USER -- COMMAND")
    subprocess.run(words[3:], check=True)


def docker(words):
    must(words[:1] and words[0] in ("build", "run", "stop", "logs", "exec"), f"no such command: {words[:1]}")
    if words[0] in ("stop", "logs", "exec"):
        return
    given, plain = options(words[1:], VALUED["docker"])
    if words[0] == "build":
        must(len(plain) == 1 and (pathlib.Path(plain[0]) / "Dockerfile").is_file(), "a context with a Dockerfile")
        return
    must(plain, "which image?")
    for name, value in given:
        if name == "-v" and value.partition(":")[0].startswith("/"):
            must(pathlib.Path(value.partition(":")[0]).exists(), f"there is no {value.partition(':')[0]} to mount")


def kubectl(words):
    given, plain = options(words, VALUED["kubectl"])
    must(plain[:1] and plain[0] in ("apply", "create", "wait", "exec", "get", "delete"), f"no such command: {words}")
    for name, value in given:
        if name == "-f":
            manifest(pathlib.Path(value))
        elif name == "-k":
            folder = pathlib.Path(value)
            listed = re.findall(r"^ *- +(\S+\.yaml)", (folder / "kustomization.yaml").read_text(), re.MULTILINE)
            must(listed, "a kustomization without resources")
            for own in listed:
                manifest(folder / own)
        elif name in ("--from-file", "--cert", "--key"):
            file = value.rpartition("=")[2]
            must(pathlib.Path(file).is_file(), f"there is no file {file}")


def manifest(path):
    must(path.is_file(), f"there is no file {path}")
    text = path.read_text()
    for document in re.split(r"^---$", text, flags=re.MULTILINE):
        if re.sub(r"^\s*#.*$", "", document, flags=re.MULTILINE).strip():
            must(re.search(r"^kind: \w", document, re.MULTILINE), f"{path}: a document without a kind")
            must(re.search(r"^apiVersion: \w", document, re.MULTILINE), f"{path}: a document without apiVersion")


PROGRAMS = {"apt-get": apt_get, "deb": deb, "systemctl": systemctl, "install": install, "runuser": runuser, "docker": docker, "kubectl": kubectl}


def main():
    name = pathlib.Path(sys.argv[0]).name
    try:
        PROGRAMS[name](sys.argv[1:])
    except (Wrong, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
