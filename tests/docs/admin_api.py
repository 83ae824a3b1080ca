"""docs/admin-api.md, out of the OpenAPI document."""

from configuration import one_line, quoted, sentence, slug

HEAD = """# Admin API

<!-- Written by scripts/reference from the table of operations of the program: change that, not this page. -->

REST and JSON over what the store keeps, on the listener [`[admin]`](configuration.md#admin). `GET /openapi.json` and `vidgate openapi`
give the same as an OpenAPI document (3.1), from which clients can be made; the commands of the [command line](operations.md) ask the same
operations. It is no way to the upstreams, and no listener for callers is a way to it.

## Who may

* **A client certificate** of the authorities in `[admin.tls] client_ca`, from anywhere: whoever has one may do everything.
* **A token** of `[admin] tokens`, in `Authorization: Bearer <token>`, from this machine alone.

Pages in browsers are refused, whoever looks at them. The audit trail keeps the name of the certificate (`operator:ops`) or of the token (`token:alice`).

## What holds for every operation

* **Bodies** are JSON objects in UTF-8, at most 1 MiB (`/v1/bulk`: 8 MiB). A key that is not known or stands twice is refused, and so is a
  parameter of the query that is not known.
* **Pages**: a list gives `items` and, unless it is the last page, `next`, which is passed as `after`.
* **`ETag`** is the revision of an entry. With `If-Match: "7"`, a change is made to that revision alone, and is 412 otherwise. A condition
  that an operation does not list is refused (400).
* **`Idempotency-Key`**: a request with a key that was used is not carried out again; its answer is repeated, with
  `Idempotency-Replayed: true`. The same key with another request is 422.
* **Secrets** that are made here stand in the answer to their creation or rotation, and nowhere else. No answer is to be kept
  (`Cache-Control: no-store`).
* **A change** is on disk before it is answered, and holds for the next request of every caller.

Refusals are problem details (RFC 9457, `application/problem+json`): `type` (`urn:vidgate:problem:<word>`, or `about:blank` where the
status says it all), `title`, `status`, `detail`, and `errors`, a list of `field` and `detail` for every field that is wrong. The words:

| word | |
|---|---|
| `missing` | there is no such entry |
| `invalid` | fields that cannot be so |
| `conflict` | another one has it |
| `allotment-reached` | the account has all that it may have |
| `in-use` | others still need it |
| `stale` | it was changed since |
| `reused` | the idempotency key is that of another request |
| `configuration` | the configuration did not come into force |
| `unavailable` | the store cannot be written now; `Retry-After` says when to try again |

The examples below are good as they stand, one after the other, once this was done in an empty folder:

```sh
cat > vidgate.toml <<'EOF'
[listener.main]
address = "127.0.0.1:8080"

[admin]
address = "127.0.0.1:9443"
tokens = { operator = { file = "admin.token" } }

[store]
path = "vidgate.redb"
master_key = { file = "master.key" }

[upstream.api]
endpoints = ["http://127.0.0.1:8000"]

[scheme.license.lkey]

[[route]]
name = "api"
path = "/{*rest}"
authenticate = "license"
forward = "api"
EOF
(umask 077; openssl rand -hex 32 > admin.token)
vidgate store init
vidgate serve > vidgate.log 2>&1 &
timeout 10 sh -c 'until vidgate health --ready >/dev/null 2>&1; do sleep 0.1; done'

admin=http://127.0.0.1:9443
admin() {
    curl -sS --fail-with-body -H "Authorization: Bearer $(cat admin.token)" -H 'Content-Type: application/json' "$@"
}
admin -d '{"id":"studio"}' "$admin/v1/accounts"
admin -d '{"id":"7","account":"studio"}' "$admin/v1/cameras"
admin -d '{"id":"ann","account":"studio","login":"ann@example.com"}' "$admin/v1/users"
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out service.pem
openssl pkey -in service.pem -pubout -out service.pub.pem
```
"""

# In this order, so that what is shown below each other can be done one after the other.
METHODS = ("get", "post", "patch", "delete")

PUBLIC_KEY = """'"$(awk '{printf "%s\\\\n", $0}' service.pub.pem)"'"""

# What the examples make, change and rotate: an id, and bodies.
SAMPLES = {
    "accounts": ("acme", '{"id":"acme","name":"Acme Ltd"}', '{"quota":{"hour":5000}}', ""),
    "license-keys": ("main", '{"id":"main","account":"studio"}', '{"expires":"2037-01-01T00:00:00Z"}', '{"overlap":"24h"}'),
    "api-clients": ("8ded5a89", '{"id":"8ded5a89","account":"studio"}', '{"name":"backend"}', '{"overlap":"24h"}'),
    "cameras": ("248527", '{"id":"248527","account":"studio"}', '{"name":"door"}', ""),
    "camera-groups": ("18", '{"id":"18","account":"studio","cameras":["7"]}', '{"cameras":["7"]}', ""),
    "tokens": ("7-watch", '{"id":"7-watch","camera":"7","scopes":["watch"]}', '{"scopes":["watch","live"]}', '{"overlap":"1h"}'),
    "users": ("john", '{"id":"john","account":"studio","login":"john@example.com"}', '{"roles":["viewer"]}', '{"overlap":"24h"}'),
    "bearer-tokens": ("t1", '{"id":"t1","user":"ann"}', '{"expires":"2037-01-01T00:00:00Z"}', '{"overlap":"1h"}'),
    "service-accounts": (
        "dev",
        '{"id":"dev","account":"studio","public_key":"' + PUBLIC_KEY + '"}',
        '{"roles":["Developer"]}',
        '{"overlap":"24h","public_key":"' + PUBLIC_KEY + '"}',
    ),
    "apps": ("player", '{"id":"player","account":"studio","public_key":"123-456-789"}', '{"wall":"white_list"}', '{"overlap":"24h"}'),
    "admin-certificates": ("ops", '{"id":"ops","account":"studio","subject":"CN=ops"}', '{"name":"operators"}', ""),
}

# Operations that need more than their address.
EXAMPLES = {
    "bulk": """admin "$admin/v1/bulk" -d '{"operations":[
    {"op":"create","resource":"camera","document":{"id":"8","account":"studio"}},
    {"op":"create","resource":"token","document":{"id":"8-all","camera":"8"}}]}'""",
    "usage": 'admin "$admin/v1/usage?account=studio"',
    "failures": 'admin "$admin/v1/failures?address=192.0.2.7"',
    "clear_failures": 'admin -X DELETE "$admin/v1/failures?address=192.0.2.7"',
    "refusal": r"""id=$(curl -sS -o /dev/null -D - http://127.0.0.1:8080/ | tr -d '\r' | awk 'tolower($1) == "x-request-id:" { print $2 }')
sleep 1; admin "$admin/v1/refusals/$id" """.rstrip(),
    "explain": """admin "$admin/v1/explanations" -d '{"url":"http://127.0.0.1:8080/cameras"}'""",
    "backup": 'admin "$admin/v1/store/backup" -o vidgate.backup',
    "retire_pepper": """# Refused while keys lie under it.
admin -X DELETE "$admin/v1/store/peppers/1" || true""",
    "export": """admin "$admin/v1/export" -d '{"passphrase":"correct horse battery staple"}' -o entries.jsonl""",
}


class Api:
    """The document while the page is written."""

    def __init__(self, document):
        self.document = document
        self.schemas = document["components"]["schemas"]

    def target(self, schema):
        """What a reference leads to, past `null`, with its name."""
        name = None
        while True:
            if "$ref" in schema:
                name = schema["$ref"].rpartition("/")[2]
                schema = self.schemas[name]
            elif len(choices := [own for own in schema.get("anyOf", []) if own.get("type") != "null"]) == 1:
                schema = choices[0]
            else:
                return name, schema

    def kind(self, schema):
        """The type of a value, in a few words."""
        name, meant = self.target(schema)
        if name == "Instant":
            return "instant"
        if choices := meant.get("oneOf"):
            return " or ".join(self.kind(own) for own in choices)
        if "const" in meant:
            return f"`{quoted(meant['const'])}`"
        if "enum" in meant:
            return " or ".join(f"`{quoted(own)}`" for own in meant["enum"])
        kinds = meant.get("type")
        kinds = [own for own in (kinds if isinstance(kinds, list) else [kinds]) if own not in ("null", None)]
        words = {"string": "text", "integer": "number", "boolean": "boolean"}
        return " or ".join(words.get(own) or self._deep(own, meant) for own in kinds) or "anything"

    def _deep(self, kind, meant):
        if kind == "array":
            return f"list: {self.kind(meant.get('items', {}))}"
        inside = meant.get("properties")
        if inside:
            return "object of " + ", ".join(f"`{key}`" for key in inside)
        if isinstance(meant.get("additionalProperties"), dict):
            return f"by name: {self.kind(meant['additionalProperties'])}"
        return "object"

    def fields(self, schema):
        """A table of the fields of an object."""
        _, meant = self.target(schema)
        required = meant.get("required", [])
        lines = ["| field | type | |", "|---|---|---|"]
        for name, own in sorted(meant.get("properties", {}).items(), key=lambda item: (item[0] not in required, item[0])):
            about = sentence(own.get("description") or self.target(own)[1].get("description", ""))
            if name in required:
                about = f"**Required.** {about}".strip()
            lines.append(f"| `{name}` | {self.kind(own)} | {about} |".replace("||", "\\|\\|"))
        return lines

    def operations(self, tag):
        """The operations of a tag: path, method and what is said of them."""
        found = []
        for path, item in self.document["paths"].items():
            found += [(path, own, item[own]) for own in METHODS if own in item and item[own]["tags"] == [tag]]
        # What takes an entry away comes last.
        for path, method, operation in sorted(found, key=lambda own: own[1] == "delete"):
            yield path, method.upper(), operation

    def operation(self, path, method, operation):
        """One operation: parameters, body, answers, and a line for curl."""
        lines = [f"\n#### `{method} {path}`\n", sentence(operation["summary"])]
        if parameters := operation["parameters"]:
            lines += ["", "| parameter | in | type | |", "|---|---|---|---|"]
            for own in parameters:
                about = ("**Required.** " if own["required"] and own["in"] != "path" else "") + sentence(own["description"])
                if "default" in own["schema"]:
                    about += f" Default: {own['schema']['default']}, at most {own['schema']['maximum']}."
                lines.append(f"| `{own['name']}` | {own['in']} | {self.kind(own['schema'])} | {about} |")
        if body := operation.get("requestBody"):
            (types, content), *_ = body["content"].items()
            name = content["schema"].get("$ref", "").rpartition("/")[2]
            inside = list(content["schema"].get("properties", {}))
            about = f"[`{name}`](#{slug(name)})" if name else "`" + "`, `".join(inside) + "`" if inside else "an empty object"
            optional = "" if body["required"] else "; may be left out"
            lines += ["", f"Body: {about} (`{types}`){optional}."]
        lines += ["", "| status | |", "|---|---|"]
        for status, answer in operation["responses"].items():
            if status == "default":
                continue
            about = sentence(answer["description"])
            if status.startswith("2"):
                if headers := answer.get("headers"):
                    about += " With " + " and ".join(f"`{own}`" for own in headers) + "."
                for types, content in answer.get("content", {}).items():
                    about += f" {self._given(types, content['schema'])}"
            lines.append(f"| {status} | {about} |")
        return lines + ["", "```sh", *self._curl(path, method, operation), "```"]

    def _given(self, types, schema):
        name = schema.get("$ref", "").rpartition("/")[2]
        if name:
            return f"[`{name}`](#{slug(name)})."
        items = schema.get("properties", {}).get("items", {}).get("items", {}).get("$ref", "").rpartition("/")[2]
        if items:
            return f"`items`, each a [`{items}`](#{slug(items)}), and `next`."
        return f"`{types}`."

    @staticmethod
    def _curl(path, method, operation):
        """A line that works in the house that the page begins with."""
        if written := EXAMPLES.get(operation["operationId"]):
            return [written]
        resource = path.split("/")[2] if path.count("/") > 1 else ""
        own, new, patch, rotation = SAMPLES.get(resource, ("", "", "", ""))
        place = "$admin" + path.replace("{id}", own)
        bodies = {"create": new, "change": patch, "rotate": rotation}
        if body := bodies.get(operation["operationId"].split("_")[0]) if own else None:
            chosen = "" if method == "POST" else f"-X {method} "
            return [f"admin {chosen}\"{place}\" -d '{body}'"]
        return [f'admin "{place}"' if method == "GET" else f'admin -X {method} "{place}"']


def page(document):
    """The whole page."""
    api = Api(document)
    lines = [HEAD, "## Operations\n"]
    for tag in document["tags"]:
        lines.append(f"* [{tag['name']}](#{slug(tag['name'])}): {one_line(tag['description'])}")
    for tag in document["tags"]:
        lines += [f"\n### {tag['name']}\n", sentence(tag["description"])]
        for own in api.operations(tag["name"]):
            lines += api.operation(*own)
    lines.append("\n## Objects")
    for name, schema in api.schemas.items():
        _, meant = api.target(schema)
        lines += [f"\n### {name}\n", sentence(meant.get("description", ""))]
        if meant.get("properties"):
            lines += ["", *api.fields(schema)]
        else:
            lines += ["", f"Type: {api.kind(meant)}."]
    return "\n".join(lines) + "\n"
