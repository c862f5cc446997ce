//! The OpenAPI document: made of the table of routes that the server itself is made of, and of
//! the types that it reads and writes.

use crate::problem::{self, ProblemView};
use crate::server::{About, Content, Needs};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

/// What every path parameter stands for.
const PARAMETERS: [(&str, &str); 4] = [
    ("peer", "A name, a tag, an id or `name~tag`."),
    (
        "id",
        "The id of a transfer; for what changes it, its first digits.",
    ),
    (
        "call",
        "The id of a call, the peer it is with, or `current`: the one that rings, or is talked \
         in, or the only one.",
    ),
    ("name", "The name of a token."),
];

const DESCRIPTION: &str = "\
The local API of a Hallway node: HTTP/1.1 on the Unix socket `api.sock` in the node's folder, for its \
owner, and on a loopback port, behind a token. A token given on the socket counts there, too: a \
request may then do what the token may and no more.

`GET /api/v1/events` streams lines of JSON, or server-sent events to who accepts `text/event-stream`. \
Each event carries a durable number; `since` or the header `Last-Event-ID` with the last one that was \
seen tells first what has happened to messages meanwhile.

What is refused is an RFC 9457 problem with a stable `code`:
";

/// The document of these routes, OpenAPI 3.1.
pub(crate) fn document(routes: &[About]) -> Value {
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    for route in routes {
        let path = paths.entry(route.whole_path()).or_insert(json!({}));
        path[route.method.as_str().to_lowercase()] = operation(route, &mut schemas);
    }
    let problem = schemas.of(Content::json::<ProblemView>(), false);
    let mut description = DESCRIPTION.to_owned();
    for code in problem::codes() {
        description.push_str(&format!(
            "\n- `{}` ({}): {}",
            code.name,
            code.status.as_u16(),
            code.title
        ));
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hallway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": description,
        },
        "paths": paths,
        "components": {
            "schemas": schemas.finish(),
            "responses": { "Problem": {
                "description": "Refused, and why.",
                "content": { problem::MEDIA_TYPE: problem },
            }},
            "securitySchemes": { "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "Of a page that `hallway open` opened, or of `hallway tokens add`.",
            }},
        },
        "security": [{}, { "token": [] }],
    });
    plain(&mut document);
    document
}

fn operation(route: &About, schemas: &mut Schemas) -> Value {
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.does,
        "description": format!("For {}.", route.needs.who()),
        "responses": {
            "200": { "description": "Done.", "content": schemas.content(route.gives, false) },
            "default": { "$ref": "#/components/responses/Problem" },
        },
    });
    let mut parameters: Vec<Value> = PARAMETERS
        .iter()
        .filter(|(name, _)| route.path.contains(&format!("{{{name}}}")))
        .map(|(name, about)| {
            json!({ "name": name, "in": "path", "required": true, "description": about,
                    "schema": { "type": "string" } })
        })
        .collect();
    if let Some(asks) = route.asks {
        parameters.extend(schemas.parameters(asks));
    }
    parameters.extend(route.heeds.iter().map(|(name, about)| {
        json!({ "name": name, "in": "header", "required": false, "description": about,
                "schema": { "type": "string" } })
    }));
    for (status, about) in route.also {
        let mut answer = json!({ "description": about });
        // Without a body there is nothing to describe.
        if *status != 304 {
            answer["content"] = schemas.content(route.gives, false);
        }
        operation["responses"][status.to_string()] = answer;
    }
    if route.needs == Needs::Nothing {
        operation["security"] = json!([{}]);
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if !matches!(route.takes, Content::Nothing) {
        operation["requestBody"] =
            json!({ "required": true, "content": schemas.content(route.takes, true) });
    }
    operation
}

fn operation_id(route: &About) -> String {
    let path = route.path.trim_matches('/');
    let path = path.replace(['{', '}'], "").replace(['/', '-', '.'], "_");
    format!("{}_{path}", route.method.as_str().to_lowercase())
}

/// Gathers the types that the routes mention. What is read and what is written differ in which
/// fields may be absent.
struct Schemas {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Default for Schemas {
    fn default() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            read: settings().for_deserialize().into_generator(),
            written: settings().for_serialize().into_generator(),
        }
    }
}

impl Schemas {
    fn content(&mut self, content: Content, read: bool) -> Value {
        let value = self.of(content, read);
        match content {
            Content::Nothing => json!({}),
            Content::Json(_) => json!({ "application/json": value }),
            Content::Lines(_) => json!({ "application/x-ndjson": value }),
            Content::Events(_) => {
                json!({ "application/x-ndjson": value, "text/event-stream": value })
            }
            Content::Text => json!({ "text/plain": value }),
            Content::Bytes(kinds) => kinds
                .iter()
                .map(|kind| ((*kind).to_owned(), json!({})))
                .collect::<Map<_, _>>()
                .into(),
        }
    }

    fn of(&mut self, content: Content, read: bool) -> Value {
        let generator = if read {
            &mut self.read
        } else {
            &mut self.written
        };
        match content {
            Content::Json(schema) | Content::Lines(schema) | Content::Events(schema) => {
                json!({ "schema": schema(generator) })
            }
            Content::Text => json!({ "schema": { "type": "string" } }),
            Content::Nothing | Content::Bytes(_) => json!({}),
        }
    }

    /// The fields of a type as parameters in the query.
    fn parameters(&mut self, asks: fn(&mut SchemaGenerator) -> schemars::Schema) -> Vec<Value> {
        let schema = asks(&mut self.read).to_value();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let fields = schema["properties"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let parameter = |(name, mut field): (String, Value)| {
            let about = field
                .as_object_mut()
                .and_then(|field| field.remove("description"));
            json!({ "name": name, "in": "query", "required": required.contains(&json!(name)),
                    "description": about, "schema": field })
        };
        fields.into_iter().map(parameter).collect()
    }

    fn finish(mut self) -> Map<String, Value> {
        let mut all = self.written.take_definitions(true);
        for (name, schema) in self.read.take_definitions(true) {
            let other = all.insert(name.clone(), schema.clone());
            assert!(
                other.is_none_or(|other| other == schema),
                "{name} means two things"
            );
        }
        all
    }
}

/// Takes from descriptions what only Rust's own documentation makes links of.
fn plain(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if let Value::String(text) = field
                    && name == "description"
                {
                    *text = text
                        .replace("[`", "`")
                        .replace("`]", "`")
                        .replace("crate::", "");
                }
                plain(field);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(plain),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
