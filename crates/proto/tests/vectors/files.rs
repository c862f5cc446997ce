//! The frames and messages of files.

use crate::frames::{AUTHOR, ID, TARGET};
use crate::reference::{Fields, Item, bytes, text, unsigned};
use hallway_model::{Body, ContentId, Offer, TransferFailure};
use hallway_proto::frame::Frame;
use hallway_proto::transfer::{Address, Introduction, Other, Says, Signal};

/// Every type of frame.
pub(crate) fn frames() -> Vec<(&'static str, u8, Fields, Frame)> {
    vec![
        (
            "transfer: accept",
            20,
            word(false, 1),
            says(false, Says::Accept),
        ),
        (
            "transfer: pause",
            20,
            word(true, 3),
            says(true, Says::Pause),
        ),
        (
            "transfer: done",
            20,
            word(false, 6),
            says(false, Says::Done),
        ),
        (
            "transfer: dial",
            20,
            word(false, 8),
            says(false, Says::Dial),
        ),
        (
            "transfer: full",
            20,
            word(false, 9),
            says(false, Says::Full),
        ),
        (
            "transfer: queued",
            20,
            word(false, 10),
            says(false, Says::Queued),
        ),
        (
            "transfer: the destination cannot be written",
            20,
            word(false, 17),
            says(false, Says::Failed(TransferFailure::Destination)),
        ),
        (
            "introduction of nobody",
            21,
            vec![("i", bytes(ID.0)), ("p", Item::Array(Vec::new()))],
            introduction(Vec::new()),
        ),
        (
            "introduction",
            21,
            vec![
                ("i", bytes(ID.0)),
                (
                    "p",
                    Item::Array(vec![Item::Map(vec![
                        ("p", bytes(AUTHOR.0)),
                        (
                            "a",
                            Item::Array(vec![
                                bytes([10, 77, 0, 2, 0xa6, 0x36]),
                                bytes([
                                    0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0xa6,
                                    0x36,
                                ]),
                            ]),
                        ),
                        ("x", Item::Bool(true)),
                    ])]),
                ),
            ],
            introduction(vec![Other {
                peer: AUTHOR,
                addresses: ["10.77.0.2:42550", "[fd77::2]:42550"]
                    .map(|address| Address(address.parse().unwrap()))
                    .to_vec(),
                fast_aes: true,
            }]),
        ),
    ]
}

fn word(offering: bool, code: u64) -> Fields {
    vec![
        ("i", bytes(ID.0)),
        ("o", Item::Bool(offering)),
        ("s", unsigned(code)),
    ]
}

fn says(offering: bool, says: Says) -> Frame {
    Frame::Transfer(Signal {
        message: ID,
        offering,
        says,
    })
}

fn introduction(others: Vec<Other>) -> Frame {
    let message = ID;
    Frame::Introduction(Introduction { message, others })
}

/// Every kind of message.
pub(crate) fn bodies() -> Vec<(&'static str, u16, Fields, Body)> {
    vec![
        (
            "offer of a file",
            5,
            vec![
                ("c", bytes(TARGET.0)),
                ("n", text("报告.pdf")),
                ("s", unsigned(1_048_577)),
                ("f", unsigned(1)),
                ("m", text("application/pdf")),
            ],
            Body::Offer(Box::new(Offer {
                content: ContentId(TARGET.0),
                name: "报告.pdf".into(),
                bytes: 1_048_577,
                files: 1,
                folder: false,
                media_type: Some("application/pdf".into()),
                thumbnail: None,
                left_out: 0,
                left_out_names: Vec::new(),
            })),
        ),
        (
            "offer of a folder of which something is left out",
            5,
            vec![
                ("c", bytes(TARGET.0)),
                ("n", text("trip")),
                ("s", unsigned(0)),
                ("f", unsigned(0)),
                ("d", Item::Bool(true)),
                ("p", bytes([0xff, 0xd8])),
                ("l", unsigned(2)),
                ("e", Item::Array(vec![text("link")])),
            ],
            Body::Offer(Box::new(Offer {
                content: ContentId(TARGET.0),
                name: "trip".into(),
                bytes: 0,
                files: 0,
                folder: true,
                media_type: None,
                thumbnail: Some(vec![0xff, 0xd8]),
                left_out: 2,
                left_out_names: vec!["link".into()],
            })),
        ),
    ]
}
