//! The JSON schemas of what the admin API takes and gives, out of those of the store's own types.

use schemars::{JsonSchema, schema_for};
use serde_json::{Map, Value, json};

use super::{bulk, explanations, status};
use crate::clock::UnixTime;
use crate::limit::window::Period;
use crate::store::{Common, Resource, Status};
use crate::telemetry::Recorded;

/// Points to a component.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The name of a resource among the components: `LicenseKey`.
pub(super) fn word(resource: Resource) -> String {
    let parts = resource.name().split('_').map(|part| {
        let (first, rest) = part.split_at(1);
        first.to_ascii_uppercase() + rest
    });
    parts.collect()
}

/// The name of a schema of a resource: `LicenseKeyNew`.
pub(super) fn component(resource: Resource, suffix: &str) -> String {
    word(resource) + suffix
}

/// Whether it has something that can be rotated.
pub(super) fn rotates(resource: Resource) -> bool {
    resource.secret().is_some_and(|rule| rule.make.is_some()) || resource == Resource::ServiceAccount
}

/// Every component.
pub(super) fn components() -> Map<String, Value> {
    let mut all = Map::new();
    let common = lifted(schema_for!(Common).to_value(), &mut all);
    for named in [schema_of::<UnixTime>("Instant"), schema_of::<Status>("Status"), schema_of::<Recorded>("Refusal")] {
        let (name, schema) = named;
        all.insert(name.to_owned(), schema);
    }
    for (name, schema) in [("Gateway", schema_for!(status::Status)), ("Health", schema_for!(status::Health))] {
        let own = lifted(schema.to_value(), &mut all);
        all.insert(name.to_owned(), untitled(own));
    }
    for resource in Resource::ALL {
        let own = lifted(resource.schema().to_value(), &mut all);
        let fields = Fields::of(*resource, &common, &own);
        all.insert(word(*resource), fields.shown());
        all.insert(component(*resource, "New"), fields.to_make());
        all.insert(component(*resource, "Patch"), fields.to_patch());
        if rotates(*resource) {
            all.insert(component(*resource, "Rotation"), fields.to_rotate());
        }
    }
    all.extend(house());
    all
}

fn schema_of<T: JsonSchema>(name: &str) -> (&str, Value) {
    (name, untitled(schema_for!(T).to_value()))
}

/// A schema as a part of a document that has a title of its own.
fn untitled(mut schema: Value) -> Value {
    if let Value::Object(schema) = &mut schema {
        schema.remove("$schema");
        schema.remove("title");
    }
    schema
}

/// A schema whose definitions have become components.
fn lifted(mut schema: Value, all: &mut Map<String, Value>) -> Value {
    point_to_components(&mut schema);
    if let Some(Value::Object(definitions)) = schema.as_object_mut().and_then(|schema| schema.remove("$defs")) {
        all.extend(definitions);
    }
    schema
}

fn point_to_components(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get_mut("$ref") {
                *target = target.replace("#/$defs/", "#/components/schemas/");
            }
            map.values_mut().for_each(point_to_components);
        }
        Value::Array(list) => list.iter_mut().for_each(point_to_components),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What is said of a secret that is set like any other field.
const SET: &str = "A secret; never shown again";

/// The longest of those, in bytes: it stands in a header field.
const LONGEST_SET: usize = 4096;

/// The fields of a resource.
struct Fields {
    resource: Resource,
    /// What can be written, but for the id and the secret.
    written: Map<String, Value>,
    required: Value,
}

impl Fields {
    fn of(resource: Resource, common: &Value, own: &Value) -> Self {
        let properties = |schema: &Value| schema["properties"].as_object().cloned().unwrap_or_default();
        let mut written = properties(common);
        written.extend(properties(own));
        Self { resource, written, required: own.get("required").cloned().unwrap_or_else(|| json!([])) }
    }

    fn id() -> Value {
        json!({ "type": "string", "pattern": "^[!-~]{1,128}$", "description": "Its id, the same for good" })
    }

    /// Whether its secret is set and taken away like any other field.
    fn is_set(&self) -> bool {
        self.resource.secret().is_some_and(|rule| rule.make.is_none())
    }

    fn secret(&self, about: &str) -> Option<(String, Value)> {
        let rule = self.resource.secret()?;
        let mut schema = json!({ "type": "string", "description": about });
        if self.is_set() {
            (schema["minLength"], schema["maxLength"]) = (json!(1), json!(LONGEST_SET));
        }
        Some((rule.field.to_owned(), schema))
    }

    /// A secret that is given: null is like leaving it out.
    fn given(&self, about: &str) -> Option<(String, Value)> {
        let (name, mut schema) = self.secret(about)?;
        schema["type"] = json!(["string", "null"]);
        Some((name, schema))
    }

    fn shown(&self) -> Value {
        let instant = |about: &str| json!({ "$ref": "#/components/schemas/Instant", "description": about });
        let mut properties = Map::from_iter([("id".to_owned(), Self::id())]);
        properties.extend(self.written.clone());
        if !self.is_set() {
            properties.extend(self.secret("Itself: in the answer to its creation or rotation only"));
        }
        properties.insert("status".into(), reference("Status"));
        properties.insert("revision".into(), json!({ "type": "integer", "description": "One more with every change" }));
        properties.insert("created".into(), instant("When it was made"));
        properties.insert("changed".into(), instant("When it was last changed"));
        properties.insert("last_used".into(), instant("When it was last believed, to the minute"));
        if self.resource.secret().is_some() {
            properties.insert("versions".into(), json!({ "type": "array", "items": reference("Version") }));
        }
        let required = json!(["id", "status", "revision", "created", "changed"]);
        let about = self.resource.about();
        json!({ "type": "object", "description": about, "properties": properties, "required": required })
    }

    fn to_make(&self) -> Value {
        let mut properties = Map::from_iter([("id".to_owned(), Self::id())]);
        properties.extend(self.written.clone());
        let none = if self.is_set() { SET } else { "Itself, where it is not to be made here" };
        properties.extend(self.given(none));
        json!({ "type": "object", "properties": properties, "required": self.required, "additionalProperties": false })
    }

    fn to_patch(&self) -> Value {
        let nullable =
            |(name, schema): (&String, &Value)| (name.clone(), json!({ "anyOf": [schema, { "type": "null" }] }));
        let secret = self.secret(SET).filter(|_| self.is_set());
        let own = self.written.iter().chain(secret.as_ref().map(|(name, schema)| (name, schema)));
        let properties: Map<String, Value> = own.map(nullable).collect();
        json!({ "type": "object", "properties": properties, "additionalProperties": false })
    }

    fn to_rotate(&self) -> Value {
        let overlap = json!({
            "type": "string",
            "default": "24h",
            "examples": ["24h"],
            "description": "How long the old one stays good; \"0s\" ends it at once. Of an entry that is disabled, \"0s\" is the default",
        });
        let mut properties = Map::from_iter([("overlap".to_owned(), overlap)]);
        properties.extend(self.given("The new one, where it is not to be made here"));
        let mut required = json!([]);
        if self.resource == Resource::ServiceAccount {
            properties.insert("id".into(), Self::id());
            properties.insert("public_key".into(), self.written["public_key"].clone());
            required = json!(["public_key"]);
        }
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    }
}

/// What belongs to no resource.
fn house() -> Map<String, Value> {
    let text = json!({ "type": "string" });
    let number = json!({ "type": "integer" });
    let instant = reference("Instant");
    let fault = object(&json!({ "field": text, "detail": text }), &["field", "detail"]);
    let errors = json!({ "type": "array", "items": fault, "description": "Every field that is wrong" });
    let problem = json!({ "type": text, "title": text, "status": number, "detail": text, "errors": errors });
    let version = json!({ "number": number, "created": instant, "expires": instant });
    let list = json!({ "type": "array", "items": text });
    let change = object(
        &json!({ "action": text, "resource": text, "id": text, "fields": list }),
        &["action", "resource", "id", "fields"],
    );
    let changes = json!({ "type": "array", "items": change });
    let deed = json!({ "sequence": number, "at": instant, "actor": text, "changes": changes, "link": text });
    let broken =
        json!({ "type": ["integer", "null"], "description": "The first deed at which the chain does not hold" });
    let trail = json!({ "deeds": number, "head": text, "broken_at": broken });
    let name = json!({ "type": "string", "enum": Resource::ALL.iter().map(|own| own.name()).collect::<Vec<_>>() });
    let done = json!({ "resource": name, "id": text, "revision": number, "document": { "type": "object" } });
    let results = json!({ "type": "array", "items": object(&done, &["resource", "id", "revision"]) });
    [
        ("Problem", object(&problem, &["type", "title", "status", "detail"])),
        ("Version", object(&version, &["number", "created"])),
        ("Deed", object(&deed, &["sequence", "at", "actor", "changes", "link"])),
        ("Trail", object(&trail, &["deeds", "head"])),
        ("Pepper", object(&json!({ "pepper": number }), &["pepper"])),
        ("Usage", usage()),
        ("Failures", failures()),
        ("Cleared", object(&json!({ "cleared": number }), &["cleared"])),
        ("Reloaded", object(&json!({ "warnings": { "type": "array", "items": { "type": "string" } } }), &["warnings"])),
        ("Asked", explanations::asked()),
        ("Explanation", explanations::explanation()),
        ("ExplanationStep", explanations::step()),
        ("State", json!({ "type": "object" })),
        ("Results", object(&json!({ "results": results }), &["results"])),
        ("Bulk", bulk_of(&name)),
    ]
    .map(|(name, schema)| (name.to_owned(), schema))
    .into_iter()
    .collect()
}

fn usage() -> Value {
    let (text, number) = (json!({ "type": "string" }), json!({ "type": "integer", "minimum": 0 }));
    let instant = |about: &str| json!({ "$ref": "#/components/schemas/Instant", "description": about });
    let quota = json!({
        "limit": text,
        "period": { "type": "string", "enum": Period::ALL.map(Period::name) },
        "start": instant("When the window began"),
        "end": instant("When the next one begins"),
        "quota": number,
        "spent": number,
        "remaining": number,
    });
    let quota = object(&quota, &["limit", "period", "start", "end", "quota", "spent", "remaining"]);
    let quotas = json!({ "type": "array", "items": quota });
    object(&json!({ "account": text, "quotas": quotas }), &["account", "quotas"])
}

fn failures() -> Value {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let instant = |about: &str| json!({ "$ref": "#/components/schemas/Instant", "description": about });
    let held = json!({
        "limit": text("The guard that counts"),
        "network": text("The address or network that wrong credentials came from"),
        "identifier": text("Which identifier, where it is counted for one; a hash that says nothing of its text"),
        "failures": { "type": "integer", "minimum": 1 },
        "last": instant("When the last one came"),
        "until": instant("Until when all of it is refused"),
        "log_only": { "type": "boolean", "description": "Nothing is refused in fact" },
    });
    let items =
        json!({ "type": "array", "items": object(&held, &["limit", "network", "failures", "last", "log_only"]) });
    object(&json!({ "items": items }), &["items"])
}

fn object(properties: &Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required })
}

fn bulk_of(resource: &Value) -> Value {
    let operation = |(word, takes): &(&str, &[&str])| {
        let mut properties = Map::from_iter([
            ("op".to_owned(), json!({ "type": "string", "const": word })),
            ("resource".to_owned(), resource.clone()),
        ]);
        for field in *takes {
            let kind = match *field {
                "id" => json!({ "type": "string" }),
                "revision" => json!({ "type": ["integer", "null"], "minimum": 0 }),
                "versions" => json!({
                    "type": "array",
                    "items": { "type": "object" },
                    "description": "The versions of its secret, the newest first, as an export has them",
                }),
                _ => json!({ "type": "object" }),
            };
            properties.insert((*field).to_owned(), kind);
        }
        let needed = takes.iter().filter(|field| bulk::needs(word, field));
        let required: Vec<_> = ["op", "resource"].iter().chain(needed).collect();
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    };
    let operations = json!({
        "type": "array",
        "minItems": 1,
        "maxItems": bulk::MOST,
        "items": { "oneOf": bulk::WORDS.iter().map(operation).collect::<Vec<_>>() },
    });
    let properties = json!({ "operations": operations });
    json!({ "type": "object", "properties": properties, "required": ["operations"], "additionalProperties": false })
}
