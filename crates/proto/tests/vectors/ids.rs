//! Ids and their text forms.

use crate::hold;
use hallway_model::{MessageId, ParseIdError, PeerId};
use serde_json::{Value, json};

fn swap(text: &str, at: usize) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    chars.swap(at - 1, at);
    chars.into_iter().collect()
}

/// The text with other characters at these positions, which count from 1.
fn typo(text: &str, typos: &[(usize, char)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, to) in typos {
        chars[at - 1] = *to;
    }
    chars.into_iter().collect()
}

fn explained(error: &ParseIdError) -> Value {
    match error {
        ParseIdError::Character { at, found } => {
            json!({"error": "character", "at": at, "found": found})
        }
        ParseIdError::Digit { at, found } => json!({"error": "digit", "at": at, "found": found}),
        ParseIdError::Length(found) => json!({"error": "length", "found": found}),
        ParseIdError::Digits(found) => json!({"error": "digits", "found": found}),
        ParseIdError::Mistyped {
            at,
            found,
            expected,
        } => json!({"error": "mistyped", "at": at, "found": found, "expected": expected}),
        ParseIdError::Swapped { at } => json!({"error": "swapped", "at": at}),
        ParseIdError::Check => json!({"error": "check"}),
    }
}

/// The text form of an id by its definition, with these four bits after the last byte.
fn text_of(bytes: [u8; 32], padding: u32) -> String {
    let bit = |at: usize| match at {
        0..256 => u32::from(bytes[at / 8]) >> (7 - at % 8) & 1,
        _ => padding >> (259 - at) & 1,
    };
    let mut values: Vec<u32> = (0..52)
        .map(|group| (0..5).fold(0, |value, at| value << 1 | bit(group * 5 + at)))
        .collect();
    let sum: u32 = values.iter().sum();
    let weighted: u32 = (1..).zip(&values).map(|(at, value)| at * value).sum();
    let check = sum % 181 * 181 + weighted % 181;
    values.extend([check >> 10, check >> 5 & 31, check & 31]);
    let of = |value: u32| char::from_digit(value + 10, 36).filter(|_| value < 26);
    let digit = |value: u32| char::from_digit(value - 24, 10);
    let chars = values
        .into_iter()
        .map(|value| of(value).or_else(|| digit(value)));
    chars.map(Option::unwrap).collect()
}

/// The vector of a text that is refused: the error beside the text.
fn refused(why: &str, text: &str, error: &ParseIdError) -> Value {
    let mut vector = explained(error);
    vector["why"] = why.into();
    vector["text"] = text.into();
    vector
}

#[test]
fn ids() {
    let counting: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
    let descending = counting.map(|byte| 0xff - 7 * byte);
    let valid = [[0; 32], [0xff; 32], [0x80; 32], counting, descending].map(|bytes| {
        let id = PeerId(bytes);
        let text = id.to_string();
        assert_eq!(text, text_of(bytes, 0));
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_uppercase().parse(), Ok(id));
        json!({"bytes": hex::encode(bytes), "text": text, "tag": id.tag()})
    });

    let good = PeerId(counting).to_string();
    let cases = [
        ("nothing", String::new()),
        ("one too few", good[1..].into()),
        ("one too many", format!("{good}a")),
        (
            "a digit that is not in the alphabet",
            typo(&good, &[(10, '1')]),
        ),
        ("that counts before the length", "a0".into()),
        ("a space", typo(&good, &[(1, ' ')])),
        ("not ASCII", typo(&good, &[(55, '王')])),
        ("the first character", typo(&good, &[(1, 'b')])),
        ("one in the middle", typo(&good, &[(30, 'z')])),
        ("the last of the check", typo(&good, &[(55, 'a')])),
        ("the first of the check", typo(&good, &[(53, '7')])),
        ("the last of the data", typo(&good, &[(52, 'b')])),
        (
            "four bits after the last byte that are not zero",
            text_of(counting, 5),
        ),
        ("two neighbours", swap(&good, 10)),
        (
            "the last of the data and the first of the check",
            swap(&good, 52),
        ),
        ("two mistakes", typo(&good, &[(3, 'z'), (40, 'q')])),
        (
            "two mistakes that look like one",
            typo(&good, &[(3, 'x'), (40, 'x')]),
        ),
        (
            "another id's check",
            format!("{}{}", &good[..52], &PeerId([1; 32]).to_string()[52..]),
        ),
    ];
    let wrong = cases.map(|(why, text)| {
        let error = text.parse::<PeerId>().unwrap_err();
        refused(why, &text, &error)
    });

    let message = MessageId([
        0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
    ]);
    let text = message.to_string();
    assert_eq!(text.parse(), Ok(message));
    assert_eq!(text.to_uppercase().parse(), Ok(message));
    let wrong_messages = [
        ("one too few", text[1..].to_string()),
        ("one too many", format!("{text}0")),
        ("not a digit", typo(&text, &[(3, 'g')])),
        ("the length counts first", "xyz".into()),
    ]
    .map(|(why, text)| {
        let error = text.parse::<MessageId>().unwrap_err();
        refused(why, &text, &error)
    });
    hold(
        "ids.json",
        &json!({
            "peer_ids": valid,
            "refused_peer_ids": wrong,
            "message_ids": [{"bytes": hex::encode(message.0), "text": text}],
            "refused_message_ids": wrong_messages,
        }),
    );
}
