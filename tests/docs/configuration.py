"""docs/configuration.md, out of the JSON schema of the configuration and the examples of config/vidgate.toml."""

import re
import tomllib

HEAD = """# Configuration

<!-- Written by scripts/reference from the doc comments of the program: change those, not this page. -->

Every table and every key of `vidgate.toml`. [`config/vidgate.toml`](../config/vidgate.toml) has all of them in one commented file,
[`config/minimal.toml`](../config/minimal.toml) is the smallest that runs, and [`config/recipes`](../config/recipes) holds one for each
system. `vidgate check` says everything that is wrong with a file, and `vidgate schema` prints what editors complete from.

How values are written:

| type | written | |
|---|---|---|
| duration | `"10s"`, `"1m 30s"`, `"250ms"`, `"12h"`, `"365d"` | a text; units add up |
| size | `"32 KiB"`, `"1 MB"`, `4096` | a text, or a number of bytes |
| instant | `"2027-01-01T00:00:00Z"` | RFC 3339 |
| network | `"10.0.0.0/8"`, `"192.0.2.7"`, `"2001:db8::/32"` | an address alone is a network of one |
| secret | `{ file = "path" }`, `{ env = "NAME" }` | of a file, one final line break is not part of it; a text in clear is warned about |
| path | `"tls/cert.pem"` | starts at the folder of the configuration file, unless it is absolute |

A key that is not known is an error, and **required** keys must be there. Where the default is none, nothing of the kind is done.
"""

SCALARS = {
    "Duration": "duration",
    "Size": "size",
    "Moment": "instant",
    "Network": "network",
    "NetworkOrName": "network, or its name",
    "Percent": "percentage",
    "Secret": "secret",
    "SecretElsewhere": "secret, not in clear",
}


def slug(heading):
    """The anchor that a heading gets."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


class Table:
    """A table of the file: where it stands, and its schema."""

    def __init__(self, path, listed, schema):
        self.path, self.listed, self.schema = path, listed, schema

    @property
    def heading(self):
        if not self.path:
            return "Before any table"
        name = ".".join(self.path)
        return f"[[{name}]]" if self.listed else f"[{name}]"


class Page:
    """What is known while the page is written."""

    def __init__(self, schema, example):
        self.schema = schema
        self.tables = []
        self.homes = {}
        self.examples = Examples(example)
        self._visit(Table((), False, schema), None)

    def target(self, schema):
        """The definition that a schema leads to, with its name, past `null`."""
        name = None
        while True:
            if "$ref" in schema:
                name = schema["$ref"].rpartition("/")[2]
                schema = self.schema["$defs"][name]
                continue
            choices = [choice for choice in schema.get("anyOf", []) if choice.get("type") != "null"]
            if len(choices) == 1:
                schema = choices[0]
                continue
            return name, schema

    def _visit(self, table, name):
        if name:
            self.homes[name] = table
        self.tables.append(table)
        for key, schema in sorted(table.schema.get("properties", {}).items()):
            for path, listed, child in self._within(table.path + (key,), schema):
                own, meant = self.target(child)
                if own not in self.homes and "properties" in meant:
                    self._visit(Table(path, listed, meant), own)

    def _within(self, path, schema):
        """The tables that a key may hold."""
        _, meant = self.target(schema)
        for choice in meant.get("anyOf", [meant]):
            own, choice = self.target(choice)
            if "properties" in choice:
                yield path, False, schema if choice is meant else {"$ref": f"#/$defs/{own}"}
            elif isinstance(choice.get("additionalProperties"), dict):
                yield from self._within(path + ("<name>",), choice["additionalProperties"])
            elif isinstance(choice.get("items"), dict):
                for inner, _, child in self._within(path, choice["items"]):
                    yield inner, True, child

    def kind(self, schema):
        """The type of a value, in a few words."""
        name, meant = self.target(schema)
        if name in SCALARS:
            return SCALARS[name]
        if name in self.homes:
            home = self.homes[name]
            return f"[`{home.heading}`](#{slug(home.heading)})"
        choices = meant.get("oneOf") or meant.get("anyOf")
        if choices:
            return " or ".join(dict.fromkeys(self.kind(choice) for choice in choices))
        if "const" in meant:
            return f"`{quoted(meant['const'])}`"
        if "enum" in meant:
            return " or ".join(f"`{quoted(value)}`" for value in meant["enum"])
        kinds = meant.get("type")
        kinds = [kind for kind in kinds if kind != "null"] if isinstance(kinds, list) else [kinds]
        return " or ".join(self._plain(kind, meant) for kind in kinds)

    def _plain(self, kind, meant):
        if kind == "array":
            return f"list: {self.kind(meant['items'])}" if isinstance(meant.get("items"), dict) else "list"
        if kind == "object":
            if isinstance(meant.get("additionalProperties"), dict):
                return f"by name: {self.kind(meant['additionalProperties'])}"
            keys = ", ".join(f"`{key}`" for key in meant.get("properties", {}))
            return f"table of {keys}" if keys else "table without keys"
        return {"string": "text", "integer": "number", "number": "number", "boolean": "boolean"}[kind]

    def words(self, schema):
        """The words that a value may be, with what each means; none where it is no such choice."""
        _, meant = self.target(schema)
        if isinstance(meant.get("items"), dict):
            _, meant = self.target(meant["items"])
        choices = [self.target(choice)[1] for choice in meant.get("oneOf") or meant.get("anyOf") or []]
        choices = [deep for choice in choices for deep in choice.get("oneOf", [choice])]
        return [(choice["const"], choice.get("description")) for choice in choices if "const" in choice]

    def section(self, table):
        level = "##" if len(table.path) < 2 or table.path[1:] == ("<name>",) else "###"
        title = f"`{table.heading}`" if table.path else table.heading
        lines = [f"\n{level} {title}\n", sentence(table.schema.get("description", "")), ""]
        properties = table.schema.get("properties", {})
        if not properties:
            return lines + ["It has no keys: the table alone says that it is wanted."]
        rows, meanings = [], []
        required = table.schema.get("required", [])
        for key, schema in sorted(properties.items(), key=lambda item: (item[0] not in required, item[0])):
            rows.append(self._row(table, key, schema, key in required))
            words = [f"`{quoted(word)}`: {about}" for word, about in self.words(schema) if about]
            if words:
                meanings.append(f"`{key}`:\n\n" + "\n".join(f"* {one_line(word)}" for word in words))
        lines += ["| key | type | default | |", "|---|---|---|---|", *rows]
        for meaning in meanings:
            lines += ["", meaning]
        return lines

    def _row(self, table, key, schema, required):
        about = schema.get("description") or self.target(schema)[1].get("description", "")
        about, default = parted(one_line(about))
        if required:
            default = "**required**"
        elif default is None:
            default = f"`{quoted(schema['default'])}`" if schema.get("default") not in (None, [], {}) else "none"
        example = self._example(table, key, schema)
        if example is not None:
            about += f"<br>Example: `{key} = {example}`"
        cells = [f"`{key}`", self.kind(schema), default, about]
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    def _example(self, table, key, schema):
        found = self.examples.of(table.path, key)
        if found is None:
            _, meant = self.target(schema)
            if isinstance(meant.get("additionalProperties"), dict) and "](#" not in self.kind(schema):
                return self.examples.within(table.path + (key,)) or self.examples.anywhere(table.path, key)
            # Tables of a list have a section of their own, and a key of this name elsewhere says nothing of them.
            if isinstance(meant.get("items"), dict) and self.target(meant["items"])[0] in self.homes:
                return None
            examples = schema.get("examples") or meant.get("examples")
            words = self.words(schema)
            if examples:
                found = quoted(examples[0])
            elif words:
                found = quoted(words[0][0])
            elif self._plainly(meant) == "boolean":
                found = "true"
            elif self._plainly(meant) == "object" and "properties" not in meant:
                found = "{}" if "](#" not in self.kind(schema) else None
            elif "properties" not in meant:
                found = self.examples.anywhere(table.path, key)
        return found

    @staticmethod
    def _plainly(meant):
        kinds = meant.get("type")
        kinds = [kind for kind in kinds if kind != "null"] if isinstance(kinds, list) else [kinds]
        return kinds[0] if len(kinds) == 1 else None


class Examples:
    """What config/vidgate.toml writes for each key, comments that are assignments included."""

    HEADER = re.compile(r"^(?:# )?\[{1,2}([\w.\"-]+)\]{1,2}\s*(?:#.*)?$")
    ASSIGNED = re.compile(r"^(?:# )?([a-z_0-9]+) = (.+)$")
    LONGEST = 110

    def __init__(self, text):
        self._found = {}
        path = ()
        for line in text.splitlines():
            if header := self.HEADER.match(line):
                path = tuple(header[1].split("."))
            elif assigned := self.ASSIGNED.match(line):
                try:
                    value = tomllib.loads(f"value = {assigned[2]}")["value"]
                except tomllib.TOMLDecodeError:
                    continue
                self._take(path, assigned[1], value)

    def _take(self, path, key, value):
        if len(written := quoted(value)) <= self.LONGEST:
            self._found.setdefault((path, key), written)
        for inner in [value] if isinstance(value, dict) else value if isinstance(value, list) else []:
            if isinstance(inner, dict):
                for name, deeper in inner.items():
                    self._take(path + (key,), name, deeper)

    def of(self, path, key):
        """The example of a key in a table, where there is one."""
        for (own, name), written in self._found.items():
            if name == key and self._same(own, path):
                return written
        return None

    def within(self, path):
        """A table of which the file writes the first key that it has."""
        for (own, name), written in self._found.items():
            if self._same(own, path):
                return f"{{ {bare(name)} = {written} }}"
        return None

    def anywhere(self, path, key):
        """The example of a key of the same name, of a table of the same name or else of any."""
        alike = [(own, written) for (own, name), written in self._found.items() if name == key]
        alike.sort(key=lambda found: found[0][-1:] != path[-1:])
        return alike[0][1] if alike else None

    @staticmethod
    def _same(own, path):
        return len(own) == len(path) and all(a == b or b == "<name>" for a, b in zip(own, path))


def bare(key):
    """A key as TOML has it: in quotation marks where it must be."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else quoted(key)


def quoted(value):
    """A value as TOML has it on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if isinstance(value, list):
        return "[" + ", ".join(quoted(item) for item in value) + "]"
    if isinstance(value, dict):
        inside = ", ".join(f"{bare(key)} = {quoted(item)}" for key, item in value.items())
        return "{ " + inside + " }" if inside else "{}"
    return str(value)


def one_line(text):
    """Text as it stands in a cell; `<name>` is no tag."""
    text = " ".join(text.split())
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)


def sentence(text):
    text = one_line(text)
    return text if not text or text.endswith((".", ":")) else text + "."


def parted(about):
    """What is said of a key, and its default apart from that: what follows `Default:` up to the end of the sentence."""
    found = re.search(r"(?:^|(?<=\s))Default: (.+?)(?:\.(?=\s|$)|$)", about)
    if not found:
        return about, None
    rest = (about[: found.start()] + about[found.end() :]).strip()
    return " ".join(rest.split()), found[1]


def page(schema, example):
    """The whole page."""
    written = Page(schema, example)
    lines = [HEAD, "Tables:\n"]
    for table in written.tables:
        depth = max(0, len([part for part in table.path if part != "<name>"]) - 1)
        name = f"`{table.heading}`" if table.path else table.heading
        lines.append(f"{'  ' * depth}* [{name}](#{slug(table.heading)})")
    for table in written.tables:
        lines += written.section(table)
    return "\n".join(lines) + "\n"
