//! Search through the real index.

use crate::common::*;
use hallway_model::ConversationId;
use proptest::prelude::*;

fn store_with(texts: &[&str]) -> Store {
    let mut store = Store::new();
    store.add_all((1..).zip(texts).map(|(seq, text)| theirs(ANN, seq, text)));
    store
}

#[test]
fn one_character_two_or_a_beginning_find_a_message() {
    let store = store_with(&[
        "今天晚上一起吃饭吗",
        "Lunch at Café Müller?",
        "晚安 Ann",
        "ＡＢＣ公司",
        "ガギグ",
    ]);
    let found = |query: &str| store.search(query).len();
    for query in [
        "晚",
        "晚上",
        "吃饭吗",
        "今天晚上一起吃饭吗",
        "lun",
        "CAFE",
        "mull",
        "abc公",
        "ｶﾞｷﾞ",
    ] {
        assert_eq!(found(query), if query == "晚" { 2 } else { 1 }, "{query}");
    }
    assert_eq!(store.search("晚 ann"), ["晚安 Ann"]);
    for query in [
        "unch",
        "晚饭",
        "上晚",
        "晚 lunch",
        "",
        "  ",
        "\"",
        "👍",
        "ガク",
    ] {
        assert_eq!(found(query), 0, "{query}");
    }
}

#[test]
fn nothing_in_a_query_has_a_special_meaning() {
    let store = store_with(&["or near not and", "50% \"off\" *now*", "terms: a^b (c)"]);
    for (query, found) in [
        ("OR", 1),
        ("NEAR(or, not)", 1),
        ("or AND lunch", 0),
        ("\"off", 1),
        ("*", 0),
        ("now*", 1),
        ("terms:a", 1),
        ("-near", 1),
        ("a^b", 1),
        ("(", 0),
        ("'; DROP TABLE messages; --", 0),
        ("off\0", 1),
    ] {
        assert_eq!(store.search(query).len(), found, "{query}");
    }
}

#[test]
fn the_newest_matches_come_oldest_first_and_of_one_talk_if_wanted() {
    let mut store = Store::new();
    for seq in 1..=20 {
        store.add_new(&theirs(ANN, seq, &format!("apple {seq}")));
        store.add_new(&theirs(BOB, seq, &format!("apricot {seq}")));
    }
    let search = |query: &str, talk: Option<ConversationId>, limit| {
        texts(&store.reader.search(query, talk.as_ref(), limit).unwrap())
    };
    assert_eq!(
        search("ap", None, 3),
        ["apricot 19", "apple 20", "apricot 20"]
    );
    assert_eq!(search("app", None, 2), ["apple 19", "apple 20"]);
    assert_eq!(
        search("ap", Some(ConversationId::Peer(ANN)), 2),
        ["apple 19", "apple 20"]
    );
    assert_eq!(
        search("apr", Some(ConversationId::Peer(ANN)), 2),
        Vec::<String>::new()
    );
    assert_eq!(
        search("ap", Some(ConversationId::Peer(ME)), 2),
        Vec::<String>::new()
    );
    assert_eq!(search("ap", None, 0), Vec::<String>::new());
    assert_eq!(search("ap", None, usize::MAX).len(), 40);
}

#[test]
fn a_rare_word_is_found_behind_any_number_of_common_ones() {
    let mut store = Store::new();
    store.add_new(&theirs(ANN, 1, "interplanetary"));
    store.add_all((2..=1000).map(|seq| theirs(ANN, seq, "internal interview")));
    assert_eq!(store.search("interp"), ["interplanetary"]);
    assert_eq!(store.search("interpol"), Vec::<String>::new());
    assert_eq!(store.search("inter").len(), 100);
    assert_eq!(
        store.reader.search("inter", None, 2000).unwrap().len(),
        1000
    );
}

#[test]
fn the_longest_text_is_searched_to_its_end() {
    let mut text = "长".repeat(10_000);
    text.push_str(" fin 终");
    let store = store_with(&[&text, &"x".repeat(32 * 1024), "end"]);
    assert_eq!(store.search("长终").len(), 0);
    assert_eq!(store.search("终"), [text.clone()]);
    assert_eq!(store.search("长长长 fi"), [text]);
    assert_eq!(store.search(&"x".repeat(1000)).len(), 1);
    assert_eq!(store.search(&"xy".repeat(500)).len(), 0);
}

proptest! {
    // Each case has a database of its own.
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is part of a message by plain comparison is found, and nothing else is.
    #[test]
    fn search_agrees_with_comparing_every_message(
        texts in proptest::collection::vec("[一二三四五ab ]{1,8}", 1..12),
        queries in proptest::collection::vec("[一二三四五]{1,4}|[ab]{1,3}", 1..12),
    ) {
        let store = store_with(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let part_of = |query: &str, text: &str| match query.is_ascii() {
            true => text
                .split(|c: char| !c.is_ascii_alphabetic())
                .any(|word| word.starts_with(query)),
            false => text.contains(query),
        };
        for query in &queries {
            let expected: Vec<&String> = texts.iter().filter(|text| part_of(query, text)).collect();
            let found = store.search(query);
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{}", query);
        }
    }

    /// An index that is told of every edit and deletion ends as one that never saw the old text.
    #[test]
    fn edits_and_deletions_leave_no_old_text_behind(
        steps in proptest::collection::vec((0..4u64, "[一二三ab]{0,6}"), 1..20),
    ) {
        let mut store = store_with(&["一", "二", "三a", "b"]);
        let mut seq = 100;
        for (which, text) in &steps {
            let target = theirs(ANN, which + 1, "");
            seq += 1;
            match text.is_empty() {
                true => store.add_new(&delete(&target, seq)),
                false => store.add_new(&edit(&target, seq, text)),
            };
        }
        let now: Vec<String> = store
            .page(ANN)
            .iter()
            .filter(|stored| !stored.deleted)
            .map(|stored| text_of(stored).to_owned())
            .collect();
        for query in ["一", "二", "三", "一二", "二三", "a", "b", "ab", "ba"] {
            let expected: Vec<&String> =
                now.iter().filter(|text| {
                    match query.is_ascii() {
                        true => text.split(|c: char| !c.is_ascii()).any(|word| word.starts_with(query)),
                        false => text.contains(query),
                    }
                }).collect();
            let found = store.search(query);
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{}", query);
        }
    }
}
