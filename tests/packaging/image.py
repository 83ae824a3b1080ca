"""The image, as far as it can be told without an engine that builds it."""

import json
import os
import pathlib
import re
import shutil
import stat
import sys

from made import ROOT, VIDGATE, run

DOCKERFILE = (ROOT / "Dockerfile").read_text()
# What gcr.io/distroless/cc-debian12 has of libraries that are asked for here: packages libc6 and libgcc-s1.
LIBRARIES = {"libc.so.6", "libm.so.6", "libgcc_s.so.1"}

CONFIGURATION = """
[listener.public]
address = "[::]:8443"
[monitoring]
address = "127.0.0.1:9180"
[[route]]
name = "all"
path = "/{*rest}"
authenticate = "open"
not_implemented = true
"""
# What the health check says before, while and after it serves; asked again until it says the other thing.
HEALTH = """
ip link set lo up
other() {{ for _ in $(seq 150); do {ask} >/dev/null 2>&1; said=$?; [ $said = "$1" ] && break; sleep 0.1; done; echo $said; }}
other 1
{start} 2>/dev/null &
other 0
kill -TERM $!
wait $!
other 1
"""


def hadolint_has_nothing_to_say(_):
    hadolint = pathlib.Path(sys.executable).with_name("hadolint")
    assert run(hadolint, ROOT / "Dockerfile") == ""


def it_is_built_from_what_its_context_has(folder):
    """Every source of a COPY comes through .dockerignore, nothing else does, and cargo takes what is there for a package."""
    ignore = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert ignore[0] == "*" and all(line.startswith("!") for line in ignore[1:]), ignore
    allowed = {line.removeprefix("!") for line in ignore[1:]}
    copied = set()
    for line in re.findall(r"^COPY (?!--)(.*)$", DOCKERFILE, re.MULTILINE):
        *sources, _ = line.split()
        copied.update(sources)
    assert copied == allowed, (copied, allowed)
    for source in copied:
        target = folder / source
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / source).is_dir() else shutil.copy)(ROOT / source, target)
    run("cargo", "fetch", "--offline", "--locked", cwd=folder)
    # What the program includes, its tests aside, lies there too.
    files = {file: file.read_text() for file in (folder / "src").rglob("*.rs")}
    tests = {name for text in files.values() for name in re.findall(r"#\[cfg\(test\)\]\s+(?:pub\S* )?mod (\w+);", text)}
    for file, text in files.items():
        program, *_ = text.split("#[cfg(test)]\nmod tests {")
        for included in re.findall(r'include_(?:str|bytes)!\("([^"]+)"\)', program):
            here = file.relative_to(folder).with_suffix("").parts
            assert tests & set(here) or (file.parent / included).exists(), f"{file}: {included}"


def the_program_runs_with_what_the_image_has_and_its_health_is_seen(folder):
    needed = set(re.findall(r"^\s+(lib\S+) =>", run("ldd", VIDGATE), re.MULTILINE))
    assert needed <= LIBRARIES, needed
    if os.geteuid() != 0:
        return "only root can change into another root"
    for path in re.findall(r"(/\S+) \(0x", run("ldd", VIDGATE)):
        target = folder / path.removeprefix("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    program, health, command = (json.loads(re.search(rf"^{word}.* ?(\[.*\])$", DOCKERFILE, re.MULTILINE)[1]) for word in ("ENTRYPOINT", "HEALTHCHECK", "CMD"))
    place = folder / program[0].removeprefix("/")
    place.parent.mkdir(parents=True)
    shutil.copy(VIDGATE, place)
    configuration = folder / command[-1].removeprefix("/")
    configuration.parent.mkdir(parents=True)
    configuration.write_text(CONFIGURATION)
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0))
    (user,) = set(re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE))
    enter = f"chroot --userspec={user} {folder}"
    start, ask = (" ".join([enter, *words]) for words in ([*program, *command], health))
    assert run("unshare", "--net", "sh", "-c", HEALTH.format(start=start, ask=ask)).split() == ["1", "0", "1"]
    return None


def everything_is_locked_and_nobody_is_root(_):
    assert re.search(r"^    packaging/release \\$", DOCKERFILE, re.MULTILINE) and "cargo build" not in DOCKERFILE
    builds = re.findall(r"cargo build.*", (ROOT / "packaging/release").read_text())
    assert builds and all("--locked" in build for build in builds), builds
    assert "STOPSIGNAL SIGTERM" in DOCKERFILE
    assert not re.search(r"^(ARG|ENV).*(SECRET|TOKEN|PASSWORD|KEY)", DOCKERFILE, re.MULTILINE)
    final = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", final, re.MULTILINE), "a number, so that it can be seen not to be root"


TESTS = [
    hadolint_has_nothing_to_say,
    it_is_built_from_what_its_context_has,
    the_program_runs_with_what_the_image_has_and_its_health_is_seen,
    everything_is_locked_and_nobody_is_root,
]
