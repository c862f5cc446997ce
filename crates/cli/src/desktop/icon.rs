//! The icon as the tray takes it: pixels, so that it needs no theme that knows it.

use image::{ImageFormat, RgbaImage};

/// Width, height, and four bytes for each pixel: alpha, red, green, blue.
pub(super) type Pixmap = (i32, i32, Vec<u8>);

const PNG: &[u8] = include_bytes!("../../desktop/hallway-48.png");
/// Where the spot is that says that something is unread, in parts of the width.
const SPOT_CENTRE: (f32, f32) = (0.76, 0.24);
const SPOT_RADIUS: f32 = 0.22;
/// Between the spot and the icon nothing is drawn, so that it stands out from any colour.
const GAP: f32 = 0.06;
const SPOT_COLOUR: [u8; 3] = [0xe5, 0x39, 0x35];

/// The icon, with or without the spot.
pub(super) fn pixmap(spot: bool) -> Pixmap {
    let icon = image::load_from_memory_with_format(PNG, ImageFormat::Png);
    let icon = icon.expect("the icon is built in").into_rgba8();
    let mut argb = Vec::with_capacity(icon.as_raw().len());
    for (x, y, pixel) in icon.enumerate_pixels() {
        let [mut red, mut green, mut blue, mut alpha] = pixel.0;
        if spot {
            let distance = distance(&icon, x, y);
            if distance < SPOT_RADIUS {
                [red, green, blue] = SPOT_COLOUR;
                alpha = u8::MAX;
            } else if distance < SPOT_RADIUS + GAP {
                alpha = 0;
            }
        }
        argb.extend([alpha, red, green, blue]);
    }
    let side = |pixels: u32| i32::try_from(pixels).expect("the icon is small");
    (side(icon.width()), side(icon.height()), argb)
}

/// From the middle of a pixel to that of the spot.
fn distance(icon: &RgbaImage, x: u32, y: u32) -> f32 {
    let part = |at: u32, of: u32| (f64::from(at) + 0.5) / f64::from(of);
    let (x, y) = (part(x, icon.width()), part(y, icon.height()));
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a part of the width needs no more digits"
    )]
    let (x, y) = (x as f32, y as f32);
    (x - SPOT_CENTRE.0).hypot(y - SPOT_CENTRE.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spot_is_where_the_tray_shows_it() {
        let ((width, height, plain), (.., spotted)) = (pixmap(false), pixmap(true));
        assert_eq!((width, height), (48, 48));
        assert_eq!(plain.len(), 48 * 48 * 4);
        let at = |pixels: &[u8], x: usize, y: usize| pixels[(y * 48 + x) * 4..][..4].to_vec();
        let [red, green, blue] = SPOT_COLOUR;
        assert_eq!(at(&spotted, 36, 11), [255, red, green, blue]);
        assert_ne!(at(&plain, 36, 11), at(&spotted, 36, 11));
        assert_eq!(at(&spotted, 12, 36), at(&plain, 12, 36));
        // The blue of the icon, by which the order of the bytes shows.
        assert_eq!(at(&plain, 3, 24), [255, 0x1a, 0x73, 0xe8]);
    }
}
