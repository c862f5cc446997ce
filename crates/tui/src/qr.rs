//! Digits as a QR code (ISO/IEC 18004) of half blocks, which a camera reads off the terminal.

use qrcode::types::Color;
use qrcode::{EcLevel, QrCode};

/// Modules of quiet around it, as the standard wants.
const QUIET: usize = 4;

/// Its rows, two modules in each: what is drawn is dark, and all else light.
pub(crate) fn rows(digits: &str) -> Option<Vec<String>> {
    let code = QrCode::with_error_correction_level(digits, EcLevel::M).ok()?;
    let side = code.width();
    let is_dark = |x: usize, y: usize| {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|at| *at < side);
        matches!((inside(x), inside(y)), (Some(x), Some(y)) if code[(x, y)] == Color::Dark)
    };
    let whole = side + 2 * QUIET;
    let row = |y| {
        let cells = (0..whole).map(|x| match (is_dark(x, y), is_dark(x, y + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        });
        cells.collect()
    };
    Some((0..whole).step_by(2).map(row).collect())
}
