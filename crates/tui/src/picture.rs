//! Small pictures made of half blocks: each cell shows two pixels, one above the other.

use image::{ImageFormat, ImageReader, Limits, Rgb};
use ratatui::style::{Color, Style};
use ratatui::text::Span;
use std::io::Cursor;

/// Largest size in cells: what it shows can be told, and a conversation stays one at 80 by 24.
const CELLS: (u32, u32) = (36, 10);
/// Longest side that is decoded. The small picture of an offer is made with 480 pixels, and a peer
/// may send what it likes.
const SIDE_MAX: u32 = 1024;
/// Memory for the decoder: that side squared with four channels, and some for itself.
const DECODER_BYTES_MAX: u64 = 8 << 20;
/// Pictures that are kept, 2 kB each; beyond, all go, and those on screen are asked for again.
pub(crate) const PICTURES_MAX: usize = 200;

/// Red, green and blue.
type Pixel = [u8; 3];

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Rows of cells: the pixel above and the one below.
    rows: Vec<Vec<(Pixel, Pixel)>>,
}

impl Picture {
    /// Decodes a JPEG or PNG and makes it small. What a peer sent may be neither.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .ok()?;
        let known = [ImageFormat::Jpeg, ImageFormat::Png];
        reader.format().filter(|format| known.contains(format))?;
        let mut limits = Limits::default();
        limits.max_image_width = Some(SIDE_MAX);
        limits.max_image_height = Some(SIDE_MAX);
        limits.max_alloc = Some(DECODER_BYTES_MAX);
        reader.limits(limits);
        let decoded = reader.decode().ok()?;
        let small = decoded.thumbnail(CELLS.0, CELLS.1 * 2).into_rgb8();
        let pixel = |x, y| match small.get_pixel_checked(x, y) {
            Some(Rgb(pixel)) => *pixel,
            // An odd row at the end has nothing below it.
            None => [0; 3],
        };
        let row = |y: u32| {
            let cells = (0..small.width()).map(|x| (pixel(x, 2 * y), pixel(x, 2 * y + 1)));
            cells.collect()
        };
        let rows = (0..small.height().div_ceil(2)).map(row).collect();
        Some(Self { rows })
    }

    /// The cells it is wide.
    pub(crate) fn width(&self) -> usize {
        self.rows.first().map_or(0, Vec::len)
    }

    /// Its rows, in as many colours as the terminal has.
    pub(crate) fn spans(&self, true_colour: bool) -> impl Iterator<Item = Vec<Span<'static>>> {
        self.rows.iter().map(move |row| {
            let cells = row.iter().map(|(above, below)| {
                let style = Style::new()
                    .fg(colour(*above, true_colour))
                    .bg(colour(*below, true_colour));
                Span::styled("▀", style)
            });
            cells.collect()
        })
    }
}

fn colour([red, green, blue]: Pixel, true_colour: bool) -> Color {
    if true_colour {
        return Color::Rgb(red, green, blue);
    }
    let [red, green, blue] = [red, green, blue].map(level);
    Color::Indexed(16 + 36 * red + 6 * green + blue)
}

/// The nearest of the six levels that xterm's cube of 256 colours has: 0, 95, 135, 175, 215, 255.
fn level(part: u8) -> u8 {
    match part {
        0..48 => 0,
        48..115 => 1,
        _ => (part - 35) / 40,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{DynamicImage, RgbImage};

    fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        // Red above, blue below.
        let image = RgbImage::from_fn(width, height, |_, y| {
            Rgb(if y < height / 2 {
                [255, 0, 0]
            } else {
                [0, 0, 255]
            })
        });
        let mut bytes = Cursor::new(Vec::new());
        let image = DynamicImage::from(image);
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_picture_keeps_its_shape_and_its_colours() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let picture = Picture::decode(&encoded(320, 160, format)).unwrap();
            assert_eq!((picture.width(), picture.rows.len()), (36, 9));
            let rows: Vec<_> = picture.spans(false).collect();
            let style = |row: usize| rows[row][0].style;
            assert_eq!(style(0).fg, Some(Color::Indexed(196)), "{format:?}");
            assert_eq!(style(8).bg, Some(Color::Indexed(21)), "{format:?}");
        }
        let tall = Picture::decode(&encoded(10, 400, ImageFormat::Png)).unwrap();
        assert_eq!((tall.width(), tall.rows.len()), (1, 10));
        let exact = tall.spans(true).next().unwrap();
        assert_eq!(exact[0].style.fg, Some(Color::Rgb(255, 0, 0)));
    }

    #[test]
    fn the_levels_are_the_nearest() {
        let levels = [0u8, 95, 135, 175, 215, 255];
        for part in 0..=u8::MAX {
            let far = |at: usize| levels[at].abs_diff(part);
            let nearest = (0..levels.len()).map(far).min().unwrap();
            assert_eq!(far(usize::from(level(part))), nearest, "{part}");
        }
    }

    #[test]
    fn what_is_no_small_picture_is_none() {
        assert!(Picture::decode(&encoded(SIDE_MAX, 2, ImageFormat::Png)).is_some());
        assert_eq!(
            Picture::decode(&encoded(SIDE_MAX + 1, 2, ImageFormat::Png)),
            None
        );
        assert_eq!(
            Picture::decode(&encoded(8, 8, ImageFormat::Gif)),
            None,
            "never sent as a small one"
        );
        let whole = encoded(64, 64, ImageFormat::Jpeg);
        for end in [0, 3, 20] {
            assert_eq!(Picture::decode(&whole[..end]), None);
        }
    }
}
