//! The OpenAPI document: it describes the routes there are, and the answers they give.

use crate::node::{TestNode, text};
use crate::talk::friends;
use hallway_api::OfferRequest;
use hallway_model::Delivery;
use hallway_node::audio::Source;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

pub(crate) async fn document(node: &TestNode) -> Value {
    let (status, body) = node.http("GET /api/v1/openapi.json", "").await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// Every method and path in the document, with what it says of them.
pub(crate) fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().iter();
            methods.map(|(method, about)| (method.to_uppercase(), path.clone(), about))
        })
        .collect()
}

#[tokio::test]
async fn every_route_is_described_and_nothing_else() {
    let node = TestNode::start("Ann").await;
    let document = document(&node).await;
    assert_eq!(document["openapi"], "3.1.0");
    let described: BTreeSet<_> = operations(&document)
        .into_iter()
        .map(|(method, path, _)| (method, path))
        .collect();
    let paths: BTreeSet<_> = described.iter().map(|(_, path)| path.clone()).collect();
    assert!(paths.len() > 40, "{paths:?}");
    for path in &paths {
        // Nobody and nothing is called that, so that trying does no harm.
        let tried = path.replace(['{', '}'], "");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let harmful = ["/api/v1/stop", "/api/v1/events", "/api/v1/devices/test"];
            let known = described.contains(&(method.to_owned(), path.clone()));
            if known && harmful.contains(&path.as_str()) {
                continue;
            }
            let (status, body) = node.http(&format!("{method} {tried}"), "").await;
            assert_eq!(status == 405, !known, "{method} {tried}: {status} {body}");
            assert!(
                !body.contains("there is nothing at"),
                "{method} {tried}: {body}"
            );
        }
    }
}

#[tokio::test]
async fn the_document_holds_together() {
    let node = TestNode::start("Ann").await;
    let document = document(&node).await;
    let mut ids = BTreeSet::new();
    for (method, path, about) in operations(&document) {
        assert!(
            ids.insert(about["operationId"].as_str().unwrap().to_owned()),
            "{method} {path}"
        );
        assert!(
            about["summary"].as_str().unwrap().len() > 5,
            "{method} {path}"
        );
        let parameters = about["parameters"].as_array().into_iter().flatten();
        for parameter in parameters.clone() {
            assert!(
                parameter["description"].is_string(),
                "{method} {path}: {parameter}"
            );
        }
        let in_path = parameters
            .filter(|parameter| parameter["in"] == "path")
            .count();
        assert_eq!(in_path, path.matches('{').count(), "{method} {path}");
    }
    let mut refs = Vec::new();
    gather(&document, &mut refs);
    assert!(refs.len() > 100);
    for name in refs {
        let pointer = name.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{name} leads nowhere");
    }
}

fn gather(value: &Value, refs: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            refs.extend(
                fields
                    .get("$ref")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            fields.values().for_each(|field| gather(field, refs));
        }
        Value::Array(values) => values.iter().for_each(|value| gather(value, refs)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether a value is what the schema says. It knows as much of JSON Schema as the document uses,
/// and holds a value to the fields that are described: one more is a fault.
fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let fault = |what: &str| Err(format!("{what}: {value} is not {schema}"));
    if let Some(target) = schema["$ref"].as_str() {
        return check(document, document.pointer(&target[1..]).unwrap(), value);
    }
    let choices = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
    if let Some(choices) = choices {
        let rest = schema["properties"].as_object();
        let fits = |choice: &&Value| {
            let mut choice = (*choice).clone();
            if let (Some(rest), Some(own)) = (rest, choice["properties"].as_object_mut()) {
                own.extend(rest.clone());
            }
            check(document, &choice, value).is_ok()
        };
        return match choices.iter().find(fits) {
            Some(_) => Ok(()),
            None => fault("none of the choices"),
        };
    }
    if let Some(wanted) = schema.get("const") {
        return if wanted == value {
            Ok(())
        } else {
            fault("another value")
        };
    }
    if let Some(wanted) = schema["enum"].as_array()
        && !wanted.contains(value)
    {
        return fault("another value");
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(some) => some.iter().map(|one| one.as_str().unwrap()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return Ok(()),
    };
    let (kind, sub) = match value {
        Value::Null => ("null", None),
        Value::Bool(_) => ("boolean", None),
        Value::Number(number) if number.is_f64() => ("number", None),
        Value::Number(_) if types.contains(&"number") => ("number", None),
        Value::Number(_) => ("integer", None),
        Value::String(_) => ("string", None),
        Value::Array(values) => ("array", Some(values)),
        Value::Object(_) => ("object", None),
    };
    if !types.contains(&kind) {
        return fault("another type");
    }
    for item in sub.into_iter().flatten() {
        check(document, &schema["items"], item)?;
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(known) => check(document, known, field)?,
            None => return fault(&format!("{name} is not described")),
        }
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if kind == "object" && value.get(name.as_str().unwrap()).is_none() {
            return fault(&format!("{name} is missing"));
        }
    }
    Ok(())
}

#[test]
fn the_check_finds_what_is_wrong() {
    let schema = json!({ "type": "object", "required": ["a"], "properties": {
        "a": { "type": ["integer", "null"] }, "b": { "enum": ["x"] } } });
    let of = |value: Value| check(&Value::Null, &schema, &value).is_ok();
    assert!(of(json!({ "a": 1 })) && of(json!({ "a": null, "b": "x" })));
    for wrong in [
        json!({}),
        json!({ "a": "1" }),
        json!({ "a": 1, "b": "y" }),
        json!({ "a": 1, "c": 1 }),
    ] {
        assert!(!of(wrong.clone()), "{wrong}");
    }
}

fn schema_of<'a>(document: &'a Value, method: &str, path: &str) -> &'a Value {
    let content = &document["paths"][path][method]["responses"]["200"]["content"];
    let json = content
        .get("application/json")
        .or(content.get("application/x-ndjson"));
    json.map(|content| &content["schema"])
        .unwrap_or_else(|| panic!("{method} {path} is not described"))
}

#[tokio::test]
async fn answers_are_what_the_document_says() {
    let (ann, bo, bob, _) = friends().await;
    let document = document(&ann).await;
    let path = ann.home().join("a file");
    std::fs::write(&path, "x").unwrap();
    let offer = OfferRequest {
        to: "Bo".into(),
        path,
        client_id: None,
    };
    let transfer = ann.client.offer(&offer).await.unwrap();
    ann.client
        .send(&text("Bo", "hello", Delivery::Delivered))
        .await
        .unwrap();
    ann.client.call_peer("Bo".into()).await.unwrap();
    let file = format!("/api/v1/files/{}", transfer.id);
    let peer = format!("/api/v1/peers/{}", bo.id);
    for (route, asked) in [
        ("/api/v1/status", "/api/v1/status"),
        ("/api/v1/doctor", "/api/v1/doctor"),
        ("/api/v1/devices", "/api/v1/devices"),
        ("/api/v1/peers", "/api/v1/peers"),
        ("/api/v1/peers/{peer}", &peer),
        ("/api/v1/peers/{peer}/verify", &format!("{peer}/verify")),
        ("/api/v1/requests", "/api/v1/requests"),
        ("/api/v1/files", "/api/v1/files"),
        ("/api/v1/files/{id}", &file),
        ("/api/v1/calls", "/api/v1/calls"),
        ("/api/v1/calls/history", "/api/v1/calls/history"),
        ("/api/v1/log", "/api/v1/log?peer=Bo"),
        ("/api/v1/tokens", "/api/v1/tokens"),
    ] {
        let (status, body) = ann.http(&format!("GET {asked}"), "").await;
        assert_eq!(status, 200, "{asked}: {body}");
        let answer = serde_json::from_str(&body).unwrap();
        let checked = check(&document, schema_of(&document, "get", route), &answer);
        checked.unwrap_or_else(|why| panic!("{asked}: {why}"));
    }
    let json = "\nContent-Type: application/json";
    for (route, asked, body) in [
        (
            "/api/v1/messages",
            "/api/v1/messages",
            r#"{"to":"Bo","text":"x"}"#,
        ),
        (
            "/api/v1/calls/{call}/mute",
            "/api/v1/calls/current/mute",
            "{}",
        ),
        (
            "/api/v1/calls/{call}/hang-up",
            "/api/v1/calls/current/hang-up",
            "{}",
        ),
        ("/api/v1/files/{id}/cancel", &format!("{file}/cancel"), "{}"),
        (
            "/api/v1/peers/{peer}/read",
            "/api/v1/peers/Bo/read",
            r#"{"seq":1}"#,
        ),
        ("/api/v1/peers/{peer}/block", "/api/v1/peers/Bo/block", "{}"),
        (
            "/api/v1/tokens",
            "/api/v1/tokens",
            r#"{"name":"x","read":true,"conversations":["Bo"]}"#,
        ),
    ] {
        let (status, answer) = ann.http(&format!("POST {asked}{json}"), body).await;
        assert_eq!(status, 200, "{asked}: {answer}");
        let answer = serde_json::from_str(&answer).unwrap();
        let checked = check(&document, schema_of(&document, "post", route), &answer);
        checked.unwrap_or_else(|why| panic!("{asked}: {why}"));
    }
    // What Bo was told: two texts, what was offered, and whatever else happens.
    let schema = schema_of(&document, "get", "/api/v1/events");
    let mut events = bob.client.events(Some(0)).await.unwrap();
    ann.client.unblock("Bo").await.unwrap();
    for _ in 0..4 {
        let event = serde_json::to_value(events.next().await.unwrap().unwrap()).unwrap();
        check(&document, schema, &event).unwrap_or_else(|why| panic!("{why}"));
    }
}

#[tokio::test]
async fn a_try_of_the_devices_tells_how_loud_it_is() {
    let node = TestNode::start_with("Ann", Source::Parrot).await;
    let document = document(&node).await;
    let mut stream = UnixStream::connect(&node.socket).await.unwrap();
    let request = "POST /api/v1/devices/test HTTP/1.0\r\nHost: h\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let first = loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if line.starts_with('{') {
            break serde_json::from_str::<Value>(&line).unwrap();
        }
    };
    // Nobody has said anything to it.
    assert_eq!(first["kind"], "hearing");
    assert!(first["dbfs"].as_f64().unwrap() < -90.0, "{first}");
    let schema = schema_of(&document, "post", "/api/v1/devices/test");
    check(&document, schema, &first).unwrap_or_else(|why| panic!("{why}"));
}
