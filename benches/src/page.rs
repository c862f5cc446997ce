//! The page in real browsers: how soon it is there, and how soon a key and a message are.

use crate::table::{Quantity, Row, Table, Target};
use anyhow::Context;
use hallway_tests::host::Plan;
use hallway_tests::lab::Lan;
use hallway_tests::{page, past};

/// What the talk holds while somebody types in it.
const MESSAGES: u64 = 100_000;

pub(crate) fn measure() -> anyhow::Result<Table> {
    page::installed()?;
    let lan = Lan::of(2);
    let ann = Plan::new("Ann").prepare(&lan, 0);
    let bo = Plan::new("Bo").prepare(&lan, 1);
    past::invent((&ann, "Ann"), (&bo, "Bo"), MESSAGES);
    ann.up();
    bo.up();
    let measured = page::run("measure", &[&ann, &bo]);
    let values = measured.first().context("nothing was measured")?;
    let number = |name: &str| values[name].as_f64().with_context(|| format!("no {name}"));
    let seconds = |name: &str| anyhow::Ok(Quantity::Seconds(number(name)? / 1000.0));
    let mut table = Table::default();
    for (what, name, limit) in [
        (
            "first paint, nothing in the browser",
            "first_paint_ms",
            0.300,
        ),
        ("a key to its glyph", "key_to_glyph_ms", 0.030),
        (
            "Enter to the message at the other host",
            "enter_to_other_ms",
            0.100,
        ),
    ] {
        let limit = Target::AtMost(Quantity::Seconds(limit));
        table.add(Row::new(what, seconds(name)?).target(limit));
    }
    let frames = Quantity::PerSecond(number("frames_per_second")?);
    let smooth = Target::AtLeast(Quantity::PerSecond(60.0));
    table.add(Row::new("frames while scrolling", frames).target(smooth));
    let weight = Quantity::Bytes(number("weight_bytes")?);
    let light = Target::AtMost(Quantity::Bytes(60_000.0));
    table.add(Row::new("all files of the page, compressed", weight).target(light));
    table.note(format!(
        "Medians, in Chromium without a screen, in a talk of {MESSAGES} messages."
    ));
    Ok(table)
}
