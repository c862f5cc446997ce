//! Times as people write and read them, in their own time zone.

use crate::text;
use hallway_model::WallTime;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

/// The time that `--since` means, seen from `now`.
pub(crate) fn parse_since(text: &str, now: &Zoned) -> Result<WallTime, String> {
    let given = text.trim();
    if let Ok(milliseconds) = given.parse::<u64>() {
        return Ok(WallTime(milliseconds));
    }
    let parsed = absolute(given, now).or_else(|| ago(given, now));
    let milliseconds = parsed
        .ok_or_else(|| text::bad_since(given))?
        .as_millisecond();
    let milliseconds = u64::try_from(milliseconds).map_err(|_| text::SINCE_TOO_EARLY)?;
    Ok(WallTime(milliseconds))
}

fn absolute(given: &str, now: &Zoned) -> Option<Timestamp> {
    let local = |at: DateTime| Some(at.to_zoned(now.time_zone().clone()).ok()?.timestamp());
    let midnight = |date: Date| local(date.to_datetime(Time::midnight()));
    match given.to_lowercase().as_str() {
        "today" => return midnight(now.date()),
        "yesterday" => return midnight(now.date().yesterday().ok()?),
        _ => {}
    }
    if let Ok(at) = given.parse::<Timestamp>() {
        return Some(at);
    }
    // A date is also a date with a time for the parser, and a time alone is neither.
    if let Ok(at) = given.parse::<DateTime>() {
        return local(at);
    }
    local(now.date().to_datetime(given.parse::<Time>().ok()?))
}

fn ago(given: &str, now: &Zoned) -> Option<Timestamp> {
    let span: Span = given
        .strip_suffix("ago")
        .unwrap_or(given)
        .trim()
        .parse()
        .ok()?;
    Some(now.checked_sub(span.abs()).ok()?.timestamp())
}

/// A message's time, in the zone of the person who reads it; clamped to what a calendar holds.
pub(crate) fn local(at: WallTime, zone: &TimeZone) -> Zoned {
    let milliseconds = i64::try_from(at.0).unwrap_or(i64::MAX);
    let timestamp = Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX);
    timestamp.to_zoned(zone.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Sunday, an hour after the clocks went forward.
    fn now() -> Zoned {
        "2026-03-29T03:30:00[Europe/Berlin]".parse().unwrap()
    }

    fn since(text: &str) -> String {
        match parse_since(text, &now()) {
            Ok(at) => local(at, now().time_zone())
                .strftime("%F %T %z")
                .to_string(),
            Err(why) => why,
        }
    }

    #[test]
    fn all_the_ways_to_say_a_time() {
        assert_eq!(since("2026-03-01"), "2026-03-01 00:00:00 +0100");
        assert_eq!(since("2026-03-01 14:30"), "2026-03-01 14:30:00 +0100");
        assert_eq!(since("2026-03-01T14:30:05"), "2026-03-01 14:30:05 +0100");
        assert_eq!(since("2026-03-01T14:30:00Z"), "2026-03-01 15:30:00 +0100");
        assert_eq!(
            since("2026-03-01T14:30:00+08:00"),
            "2026-03-01 07:30:00 +0100"
        );
        assert_eq!(since("01:15"), "2026-03-29 01:15:00 +0100");
        assert_eq!(since("1767225600000"), "2026-01-01 01:00:00 +0100");
    }

    #[test]
    fn times_that_count_back_follow_the_calendar() {
        // The hour from two to three did not exist.
        assert_eq!(since("2h"), "2026-03-29 00:30:00 +0100");
        assert_eq!(since("1h30m"), "2026-03-29 01:00:00 +0100");
        assert_eq!(since("2 days ago"), "2026-03-27 03:30:00 +0100");
        assert_eq!(since("1w"), "2026-03-22 03:30:00 +0100");
        assert_eq!(since("Yesterday"), "2026-03-28 00:00:00 +0100");
        assert_eq!(since("today"), "2026-03-29 00:00:00 +0100");
    }

    #[test]
    fn what_is_no_time_is_said_to_be_none() {
        for bad in ["", "soon", "2026-13-01", "25:00", "-"] {
            assert_eq!(since(bad), text::bad_since(bad));
        }
        assert_eq!(since("1960-01-01"), text::SINCE_TOO_EARLY);
        assert_eq!(local(WallTime(u64::MAX), &TimeZone::UTC).year(), 9999);
    }
}
