"""What a page consists of, as far as it matters here: its fenced blocks, its headings and its links."""

import dataclasses
import re

FENCE = re.compile(r"^( *)```(\S*)\s*$")
DIRECTIVE = re.compile(r"^<!-- (file|append|terminal): (\S.*?) -->$")
HEADING = re.compile(r"^#{1,6} (.+?)\s*#*$")
LINK = re.compile(r"\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)")


@dataclasses.dataclass
class Block:
    """A fenced block: where it begins, what it is said to be, what a comment above says is to be done with it, its lines."""

    line: int
    kind: str
    directive: tuple | None
    lines: list

    @property
    def text(self):
        return "".join(f"{line}\n" for line in self.lines)


def slug(heading):
    """The anchor that a heading gets."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


class Page:
    """A page that was read."""

    def __init__(self, text):
        self.blocks, self.anchors, self.links = [], set(), []
        block, indent, directive = None, "", None
        for number, line in enumerate(text.splitlines(), 1):
            fence = FENCE.match(line)
            if block is not None:
                if fence and not fence[2] and fence[1] == indent:
                    self.blocks.append(block)
                    block = None
                else:
                    block.lines.append(line.removeprefix(indent))
                continue
            if fence:
                block, indent = Block(number, fence[2], directive, []), fence[1]
                directive = None
                continue
            if found := DIRECTIVE.match(line):
                directive = (found[1], found[2])
                continue
            if line.strip():
                directive = None
            self._prose(number, line)
        if block is not None:
            raise ValueError(f"line {block.line}: this block has no end")

    def _prose(self, number, line):
        if heading := HEADING.match(line):
            anchor, count = slug(heading[1]), 0
            while (name := anchor if not count else f"{anchor}-{count}") in self.anchors:
                count += 1
            self.anchors.add(name)
        self.anchors.update(re.findall(r'<a (?:id|name)="([^"]+)"', line))
        plain = re.sub(r"(?<!\[)`[^`]*`(?!\])", "", line)
        self.links += [(number, target) for target in LINK.findall(plain)]


def commands(block):
    """The commands of a `console` block, each with the lines that the page shows after it."""
    found = []
    for line in block.lines:
        if line.startswith("$ "):
            found.append(([line[2:]], []))
        elif line.startswith("> ") and found and not found[-1][1]:
            found[-1][0].append(line[2:])
        elif found:
            found[-1][1].append(line)
        elif line.strip():
            raise ValueError(f"line {block.line}: this begins with no command")
    return [("\n".join(command), shown) for command, shown in found]


def agrees(shown, said):
    """Whether a program said what the page shows; `…` stands for anything in a line, alone for any number of lines."""
    parts = []
    for line in shown:
        if line.strip() == "…":
            parts.append(r"(?:[^\n]*\n)*")
        else:
            parts.append("[^\n]*".join(re.escape(part.rstrip() if last else part) for part, last in pieces(line)) + r"[ \r]*\n")
    said = said if not said or said.endswith("\n") else said + "\n"
    return re.fullmatch("".join(parts), said.replace("\r\n", "\n")) is not None


def pieces(line):
    split = line.split("…")
    return [(part, number == len(split) - 1) for number, part in enumerate(split)]
