//! The table of one topic: what was measured, beside what, and against which target.

use std::fmt;

/// One topic's results.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    notes: Vec<String>,
}

/// A number with its unit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Quantity {
    Seconds(f64),
    PerSecond(f64),
    BytesPerSecond(f64),
    Bytes(f64),
    /// Without a unit, such as a mark.
    Number(f64),
}

/// What a row is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtMost(Quantity),
    AtLeast(Quantity),
    RatioAtMost(f64),
    RatioAtLeast(f64),
}

/// One thing measured.
#[derive(Debug)]
pub(crate) struct Row {
    what: String,
    value: Quantity,
    beside: Option<(String, Quantity)>,
    ratio: Option<f64>,
    target: Option<Target>,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, value: Quantity) -> Self {
        let what = what.into();
        Self {
            what,
            value,
            beside: None,
            ratio: None,
            target: None,
        }
    }

    /// What it is compared with.
    pub(crate) fn beside(mut self, what: impl Into<String>, value: Quantity) -> Self {
        self.ratio = Some(self.value.number() / value.number());
        self.beside = Some((what.into(), value));
        self
    }

    /// The ratio as measured pair by pair, which is steadier than that of the two numbers.
    pub(crate) fn ratio(mut self, ratio: f64) -> Self {
        self.ratio = Some(ratio);
        self
    }

    pub(crate) fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    fn met(&self) -> Option<bool> {
        let (value, ratio) = (self.value.number(), self.ratio);
        match self.target? {
            Target::AtMost(most) => Some(value <= most.number()),
            Target::AtLeast(least) => Some(value >= least.number()),
            Target::RatioAtMost(most) => ratio.map(|ratio| ratio <= most),
            Target::RatioAtLeast(least) => ratio.map(|ratio| ratio >= least),
        }
    }

    fn cells(&self) -> [String; 7] {
        let (beside, other) = match &self.beside {
            Some((what, value)) => (what.clone(), value.to_string()),
            None => Default::default(),
        };
        let met = match self.met() {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        [
            self.what.clone(),
            self.value.to_string(),
            beside,
            other,
            self.ratio
                .map(|ratio| format!("{ratio:.2}×"))
                .unwrap_or_default(),
            self.target
                .map(|target| target.to_string())
                .unwrap_or_default(),
            met.into(),
        ]
    }
}

impl Table {
    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// A sentence below the table.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

impl Quantity {
    fn number(self) -> f64 {
        match self {
            Self::Seconds(number)
            | Self::PerSecond(number)
            | Self::BytesPerSecond(number)
            | Self::Bytes(number)
            | Self::Number(number) => number,
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scaled = |number: f64, steps: &[(f64, &'static str)]| {
            let fits = steps.iter().find(|(factor, _)| number.abs() >= *factor);
            let (factor, unit) = fits.or(steps.last()).copied().unwrap_or((1.0, ""));
            let number = number / factor;
            let digits = if number.abs() >= 100.0 { 0 } else { 1 };
            format!("{number:.digits$} {unit}")
        };
        let text = match self {
            Self::Seconds(n) => scaled(*n, &[(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")]),
            Self::PerSecond(n) => scaled(*n, &[(1e6, "M/s"), (1e3, "k/s"), (1.0, "/s")]),
            Self::BytesPerSecond(n) => scaled(*n, &[(1e6, "MB/s"), (1e3, "kB/s"), (1.0, "B/s")]),
            Self::Bytes(n) => scaled(*n, &[(1024.0 * 1024.0, "MiB"), (1024.0, "KiB"), (1.0, "B")]),
            Self::Number(n) => format!("{n:.2}"),
        };
        f.write_str(&text)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::RatioAtMost(most) => write!(f, "≤ {most}×"),
            Self::RatioAtLeast(least) => write!(f, "≥ {least}×"),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["what", "value", "beside", "value", "ratio", "target", "met"];
        let mut lines = vec![head.map(String::from)];
        lines.extend(self.rows.iter().map(Row::cells));
        let widest = |column: usize| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..head.len()).map(widest).collect();
        for line in &lines {
            let mut text = String::new();
            for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
                let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
                // Numbers stand at the right of their column.
                text += &match column {
                    1 | 3 | 4 => format!("  {padding}{cell}"),
                    _ => format!("  {cell}{padding}"),
                };
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        self.notes
            .iter()
            .try_for_each(|note| writeln!(f, "  {note}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Quantity::{Bytes, PerSecond, Seconds};

    fn met(row: Row) -> Option<bool> {
        row.met()
    }

    #[test]
    fn a_target_is_met_up_to_the_limit_and_missed_past_it() {
        let row = |value| Row::new("", Seconds(value)).target(Target::AtMost(Seconds(2.0)));
        assert_eq!(met(row(2.0)), Some(true));
        assert_eq!(met(row(2.1)), Some(false));
        let row = |value| Row::new("", PerSecond(value)).target(Target::AtLeast(PerSecond(2.0)));
        assert_eq!(met(row(2.0)), Some(true));
        assert_eq!(met(row(1.9)), Some(false));
        let row = |value| Row::new("", Bytes(value)).beside("", Bytes(2.0));
        assert_eq!(met(row(3.0).target(Target::RatioAtMost(1.5))), Some(true));
        assert_eq!(met(row(3.2).target(Target::RatioAtMost(1.5))), Some(false));
        assert_eq!(met(row(1.0).target(Target::RatioAtLeast(0.5))), Some(true));
        assert_eq!(met(row(0.9).target(Target::RatioAtLeast(0.5))), Some(false));
        assert_eq!(
            met(row(9.0).ratio(0.1).target(Target::RatioAtMost(1.5))),
            Some(true)
        );
        assert_eq!(met(row(9.0)), None);
    }

    #[test]
    fn quantities_choose_their_unit() {
        assert_eq!(Seconds(0.000_038_14).to_string(), "38.1 µs");
        assert_eq!(Seconds(0.15).to_string(), "150 ms");
        assert_eq!(PerSecond(20_000.0).to_string(), "20.0 k/s");
        assert_eq!(Quantity::BytesPerSecond(1.19e9).to_string(), "1190 MB/s");
        assert_eq!(Bytes(15.0 * 1024.0 * 1024.0).to_string(), "15.0 MiB");
        assert_eq!(Seconds(0.0).to_string(), "0.0 ns");
        assert_eq!(Quantity::Number(4.386).to_string(), "4.39");
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::default();
        table.add(Row::new("a", Seconds(1.0)).beside("µ", Seconds(0.5)));
        table.add(Row::new("long", Seconds(0.1)).target(Target::AtMost(Seconds(0.01))));
        let text = table.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "  what   value  beside   value  ratio  target     met",
                "  a      1.0 s  µ       500 ms  2.00×",
                "  long  100 ms                         ≤ 10.0 ms  NO",
            ]
        );
    }
}
