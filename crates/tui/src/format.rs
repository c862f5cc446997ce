//! Numbers as people read them, alike in every language.

/// An amount of bytes.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    let mut unit = 0;
    // In tenths, so that no float decides what is shown.
    let mut tenths = bytes / 100;
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    while tenths >= 10_000 {
        tenths /= 1000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// How long somebody talked, or something takes.
pub fn talked(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

/// Whole percent, 100 only when all is there.
pub fn percent(moved: u64, of: u64) -> u64 {
    match of {
        0 => 100,
        _ => u64::try_from(u128::from(moved.min(of)) * 100 / u128::from(of)).unwrap_or(100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_one_digit_after_the_point() {
        let of = [0, 999, 1000, 1_249_999, 999_949_999, u64::MAX].map(bytes);
        assert_eq!(
            of,
            ["0 B", "999 B", "1.0 kB", "1.2 MB", "999.9 MB", "18.4 EB"]
        );
    }

    #[test]
    fn a_time_has_hours_only_when_it_is_long() {
        let of = [0, 59_999, 60_000, 3_600_000 + 61_000].map(talked);
        assert_eq!(of, ["0:00", "0:59", "1:00", "1:01:01"]);
    }

    #[test]
    fn all_is_there_only_when_all_is_there() {
        assert_eq!(
            [(0, 0), (999, 1000), (7, 7), (9, 7), (u64::MAX, u64::MAX)]
                .map(|(m, of)| percent(m, of)),
            [100, 99, 100, 100, 100]
        );
    }
}
