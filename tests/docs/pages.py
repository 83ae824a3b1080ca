"""Runs the command blocks of the pages. See README.md beside it."""

import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import tomllib

import loopback
import markdown

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# What is shown and not typed.
SHOWN = {"text", "json", "yaml", "ini", "nginx", "caddyfile", "http", "dockerfile", "promql", "rust", "xml", "html"}
TYPED = {"sh", "console"}
# Seconds that a page may take.
PATIENCE = 150
PORT = re.compile(r"(?:127\.0\.0\.1|localhost|0\.0\.0\.0|\[::1?\]):(\d{2,5})\b")

# `mark` tells which block is next, and where what it says goes. `terminal` does what a reader does in another terminal: it ends
# what ran there before, starts a block, and waits until that says a word.
PRELUDE = r"""
set -e
mark() { echo "$1" >>"$MARKS"; exec >"$SAID/$1" 2>&1; }
beside=
terminal() {
    local said=$1 word=$2 left=600
    [[ -z $beside ]] || { kill -INT -- "-$beside"; wait "$beside" || true; }
    set -m
    bash -e "$said.sh" >"$said" 2>&1 </dev/null &
    beside=$!
    set +m
    echo "$beside" >>"$TERMINALS"
    until grep -qF -e "$word" "$said"; do
        if ! kill -0 "$beside" 2>/dev/null || ((--left == 0)); then
            echo "it never said: $word"
            cat "$said"
            return 1
        fi
        sleep 0.1
    done
}
"""


class Run:
    """One page in a folder of its own."""

    def __init__(self, page, binary, apart):
        self.path, self.binary, self.apart = page, binary, apart
        self.name = str(page.relative_to(ROOT))
        self.failures, self.passed = [], 0

    def all(self):
        """Runs it; says how many passed and what did not."""
        try:
            self.page = markdown.Page(self.path.read_text())
            self._links()
            with tempfile.TemporaryDirectory(prefix="vidgate-docs-") as folder:
                self._run(pathlib.Path(folder))
        except (ValueError, OSError) as error:
            self.failures.append(str(error))
        return self

    def _links(self):
        for line, target in self.page.links:
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            path = (self.path.parent / file).resolve() if file else self.path
            if not path.exists():
                self.failures.append(f"line {line}: {target} leads nowhere")
            elif anchor and anchor not in markdown.Page(path.read_text()).anchors:
                self.failures.append(f"line {line}: {target}: there is no such heading")
            else:
                self.passed += 1

    def _run(self, folder):
        blocks = [(block, self._typed(block)) for block in self.page.blocks]
        if not any(typed for _, typed in blocks):
            return
        self.said, self.marks = folder / "said", folder / "marks"
        self.said.mkdir()
        self.marks.touch()
        work = checkout(folder / "vidgate")
        script, expected = [PRELUDE], []
        for block, typed in blocks:
            if typed:
                self._type(block, script, expected)
        text = of_the_system("\n".join(script) + "\n", folder / "system")
        if not self.apart:
            text = elsewhere(text, work)
            for beside in [*self.said.glob("*.sh"), *self.said.glob("*.file")]:
                beside.write_text(elsewhere(beside.read_text(), work))
        (folder / "page.sh").write_text(text)
        status = self._shell(folder, work)
        self._judge(status, expected)

    @staticmethod
    def _typed(block):
        """Whether a block is for the shell, or makes a file; refuses one that is neither shown nor typed."""
        verb = block.directive[0] if block.directive else None
        if block.kind in TYPED:
            if verb in ("file", "append"):
                raise ValueError(f"line {block.line}: a block of commands is no file")
            return True
        if block.kind == "toml":
            tomllib.loads(block.text)
        elif block.kind not in SHOWN:
            raise ValueError(f"line {block.line}: ```{block.kind}: nobody runs such a block; it is ```sh, ```console or shown")
        return verb in ("file", "append")

    def _type(self, block, script, expected):
        """Puts a block into the script."""
        own = f"{block.line:05}"
        verb, word = block.directive or (None, None)
        if block.kind not in TYPED:
            (self.said / f"{own}.file").write_text(block.text)
            sign = ">" if verb == "file" else ">>"
            script.append(f"mark {own}\ncat \"$SAID/{own}.file\" {sign}{quoted(word)}")
            expected.append((block, own, None))
        elif verb == "terminal":
            (self.said / f"{own}.t.sh").write_text(block.text)
            script.append(f"mark {own}\nterminal \"$SAID/{own}.t\" {quoted(word)}")
            expected.append((block, own, None))
        elif block.kind == "sh":
            script.append(f"mark {own}\n{block.text}")
            expected.append((block, own, None))
        else:
            for number, (command, shown) in enumerate(markdown.commands(block)):
                script.append(f"mark {own}.{number:02}\n{command}")
                expected.append((block, f"{own}.{number:02}", shown))

    def _shell(self, folder, work):
        path = f"{HERE / 'stand-ins'}:{folder / 'bin'}:{os.environ['PATH']}"
        (folder / "bin").mkdir()
        (folder / "bin/vidgate").symlink_to(self.binary)
        home = folder / "home"
        home.mkdir()
        known = {"PATH": path, "HOME": str(home), "MARKS": str(self.marks), "SAID": str(self.said)}
        known |= {"TERMINALS": str(folder / "terminals"), "SYSTEM": str(folder / "system"), "LC_ALL": "C.UTF-8"}
        command = ["bash", str(folder / "page.sh")]
        if self.apart:
            command = loopback.apart(command)
        shell = subprocess.Popen(
            command, cwd=work, env=known, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, text=True,
        )
        try:
            rest, _ = shell.communicate(timeout=PATIENCE)
            if rest.strip():
                self.failures.append(rest.strip())
            return shell.returncode
        except subprocess.TimeoutExpired:
            return "it took too long"
        finally:
            # Whatever it left running.
            terminals = folder / "terminals"
            for group in [shell.pid, *map(int, terminals.read_text().split() if terminals.exists() else [])]:
                try:
                    os.killpg(group, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            shell.wait()

    def _judge(self, status, expected):
        reached = self.marks.read_text().split()
        for number, (block, own, shown) in enumerate(expected):
            if own not in reached:
                self.failures.append(f"line {block.line}: it never came to this block")
                continue
            said = (self.said / own).read_text(errors="replace")
            last = number + 1 == len(expected) or expected[number + 1][1] not in reached
            if last and status:
                self.failures.append(f"line {block.line}: it ended with {status}:\n{tail(said)}")
            elif shown is not None and not markdown.agrees(shown, said):
                self.failures.append(f"line {block.line}: the page shows\n{indented(shown)}\n  and it says\n{tail(said)}")
            else:
                self.passed += 1


def checkout(work):
    """What a reader has who has cloned it, without what is compiled."""
    work.mkdir()
    for entry in sorted(ROOT.iterdir()):
        if entry.name in ("target", ".git"):
            continue
        if entry.name in ("src", "benches", "tests"):
            (work / entry.name).symlink_to(entry)
        elif entry.is_dir():
            shutil.copytree(entry, work / entry.name, symlinks=True)
        else:
            shutil.copy2(entry, work / entry.name)
    # The tests run this, and not the other way round.
    shutil.copy2(HERE / "stand-ins/scripts-test", work / "scripts/test")
    if (work / "packaging/deb").exists():
        shutil.copy2(HERE / "stand-ins/stand_in.py", work / "packaging/deb")
    return work


def of_the_system(text, root):
    """The same with the places of an installed vidgate under another root."""
    return re.sub(r"(?<![\w./}])/((?:etc|var/lib|var/log)/(?:vidgate|systemd|credstore)\b)", lambda found: f"{root}/{found[1]}", text)


def elsewhere(text, work):
    """The same with free ports in the place of those on the page, also in the files of `config`."""
    files = [file for file in (work / "config").rglob("*.toml")]
    ports = set(PORT.findall(text + "".join(file.read_text() for file in files))) - {"0"}
    moved = elsewhere.moved
    for port in ports - moved.keys():
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            moved[port] = str(taken.getsockname()[1])

    def move(text):
        return re.sub(r"(?<![\w.])(\d{2,5})\b(?!\.)", lambda found: moved.get(found[1], found[1]), text)

    for file in files:
        file.write_text(move(file.read_text()))
    return move(text)


def quoted(word):
    return "'" + word.replace("'", "'\\''") + "'"


def indented(lines):
    return "\n".join(f"    {line}" for line in lines)


def tail(said):
    return indented(said.splitlines()[-40:])


def main(words):
    binary, names = pathlib.Path(words[0]).resolve(), words[1:]
    pages = [ROOT / name for name in names] or [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    apart = loopback.possible()
    if not apart:
        print("no network of its own for each page: ports are moved, one page after the other")
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(3 if apart else 1) as pool:
        for run in pool.map(lambda page: Run(page, binary, apart).all(), pages):
            passed, failed = passed + run.passed, failed + len(run.failures)
            for failure in run.failures:
                print(f"FAILED: {run.name}, {failure}")
    if not names:
        present = subprocess.run([ROOT / "scripts/reference", "--check", str(binary)], stdout=subprocess.PIPE, text=True)
        passed, failed = passed + (not present.returncode), failed + bool(present.returncode)
        print(present.stdout, end="")
    print(f"docs: {passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


elsewhere.moved = {}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
