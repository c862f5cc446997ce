//! The test contact.

use crate::run::Home;
use serde_json::json;

#[test]
fn echo_introduces_itself_and_answers_also_what_it_missed() {
    let ann = Home::up("Ann");
    let ready = |echo: &mut crate::run::Following| echo.until(|line| line["event"] == "ready");
    let mut echo = ann.follow(&["echo", "--json", "--no-mdns", "--port", "0"]);
    let id = ready(&mut echo)["id"].clone();
    let mut events = ann.follow(&["tail", "--json", "--since", "0"]);
    let answer = |events: &mut crate::run::Following| {
        let heard = events.until(|event| event["message"]["from"] == id && event["new"] == true);
        heard["message"]["text"].as_str().unwrap().to_owned()
    };
    ann.follow(&["peers", "--watch", "--json"])
        .until(|peer| peer["name"] == "Echo");
    assert_eq!(ann.run(&["send", "Echo", "anybody there?"]).code, 0);
    assert_eq!(answer(&mut events), "anybody there?");
    // It is killed, so nothing is tidied up.
    drop(echo);
    assert_eq!(ann.run(&["send", "Echo", "今天见"]).code, 0);
    assert_eq!(ann.run(&["send", "Echo", "and again"]).code, 0);
    let mut echo = ann.follow(&["echo", "--json", "--no-mdns", "--port", "0"]);
    assert_eq!(ready(&mut echo)["id"], id);
    assert_eq!(answer(&mut events), "今天见");
    assert_eq!(answer(&mut events), "and again");
    let log = ann.run(&["log", "Echo", "--json"]).json();
    let theirs: Vec<_> = log
        .iter()
        .filter(|m| m["from"] == id)
        .map(|m| &m["text"])
        .collect();
    assert_eq!(
        theirs,
        [
            &json!("anybody there?"),
            &json!("今天见"),
            &json!("and again")
        ]
    );
}
