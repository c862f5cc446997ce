//! Pictures: recognising them by what is in them, and making the small one that goes with an offer.
//!
//! Only files of this user are decoded, never what a peer sends: its thumbnail is for the browser.

use hallway_model::THUMBNAIL_BYTES_MAX;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes at the front of a file by which a picture is known.
pub const PICTURE_HEAD_BYTES: usize = 16;
/// Largest picture that is decoded: a photograph of 50 megapixels takes some 30 MB.
const PICTURE_BYTES_MAX: u64 = 64 << 20;
/// Most pixels: what the largest sensors of phones make in their usual mode.
const PICTURE_PIXELS_MAX: u64 = 50_000_000;
/// Most memory for one picture: those pixels with four channels, and some for the decoder. Only
/// one picture is decoded at a time.
const PICTURE_MEMORY_MAX: u64 = 256 << 20;
/// How long an offer waits for its small picture: several times what the largest one takes.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest side of a thumbnail in pixels: as large as it is shown, on a screen of double density.
const THUMBNAIL_SIDE: u32 = 480;
/// Sides and qualities, from good to barely good enough: the first that fits is taken. What has
/// noise in each pixel needs the last ones.
const SIZES: [(u32, u8); 5] = [
    (THUMBNAIL_SIDE, 82),
    (THUMBNAIL_SIDE, 65),
    (THUMBNAIL_SIDE, 45),
    (THUMBNAIL_SIDE / 2, 60),
    (THUMBNAIL_SIDE / 2, 30),
];

/// One decoder at work, however many pictures are offered: that bounds the memory of all.
static DECODING: Mutex<()> = Mutex::new(());

/// The media type of a picture that browsers show, by the first bytes of the file.
pub fn picture_type(head: &[u8]) -> Option<&'static str> {
    if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some("image/png");
    }
    if head.starts_with(b"\xff\xd8\xff") {
        return Some("image/jpeg");
    }
    if head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a") {
        return Some("image/gif");
    }
    let is_webp = head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP");
    is_webp.then_some("image/webp")
}

/// The media type of the picture in a file, and a small JPEG of it where one can be made in time.
pub(super) fn look(path: &Path) -> (Option<String>, Option<Vec<u8>>) {
    look_within(path, PATIENCE)
}

fn look_within(path: &Path, patience: Duration) -> (Option<String>, Option<Vec<u8>>) {
    let mut head = Vec::new();
    let opened = File::open(path).and_then(|mut file| {
        let first = u64::try_from(PICTURE_HEAD_BYTES).unwrap_or(u64::MAX);
        (&mut file).take(first).read_to_end(&mut head)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    });
    let Some(media_type) = picture_type(&head) else {
        return (None, None);
    };
    let small = opened.ok().and_then(|file| small_of(file, patience));
    (Some(media_type.to_owned()), small)
}

/// A decoder that takes too long is given up on: it fails at its next read and does nothing after.
fn small_of(file: File, patience: Duration) -> Option<Vec<u8>> {
    if file.metadata().ok()?.len() > PICTURE_BYTES_MAX {
        return None;
    }
    let deadline = Instant::now() + patience;
    let (made_in, made) = mpsc::channel();
    let worker = thread::Builder::new().name("picture".into());
    let started = worker.spawn(move || {
        let _alone = DECODING.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waited may have given up.
        let _ = made_in.send(thumbnail(Until { file, deadline }));
    });
    started.ok()?;
    // A worker that panicked has sent nothing.
    match made.recv_timeout(patience).ok()? {
        Ok(small) => small,
        Err(error) => {
            tracing::debug!(%error, "no small picture is sent");
            None
        }
    }
}

/// A file that cannot be read once the time is over.
struct Until {
    file: File,
    deadline: Instant,
}

impl Read for Until {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.file.read(out)
    }
}

impl Seek for Until {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// Decodes within the limits, turns as the camera was turned, and encodes anew: nothing of what
/// else is in the file, such as a place or a name, comes along.
fn thumbnail(from: Until) -> image::ImageResult<Option<Vec<u8>>> {
    let mut reader = ImageReader::new(BufReader::new(from)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(PICTURE_MEMORY_MAX);
    reader.limits(limits);
    let known = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Gif,
        ImageFormat::WebP,
    ];
    if !reader
        .format()
        .is_some_and(|format| known.contains(&format))
    {
        return Ok(None);
    }
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > PICTURE_PIXELS_MAX || decoder.total_bytes() > PICTURE_MEMORY_MAX {
        return Ok(None);
    }
    let orientation = decoder.orientation()?;
    let mut picture = shrunk(DynamicImage::from_decoder(decoder)?, THUMBNAIL_SIDE);
    picture.apply_orientation(orientation);
    for (side, quality) in SIZES {
        picture = shrunk(picture, side);
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(&on_white(&picture))?;
        if bytes.len() <= THUMBNAIL_BYTES_MAX {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

fn shrunk(picture: DynamicImage, side: u32) -> DynamicImage {
    if picture.width().max(picture.height()) > side {
        picture.thumbnail(side, side)
    } else {
        picture
    }
}

/// JPEG knows no transparency.
fn on_white(picture: &DynamicImage) -> RgbImage {
    let picture = picture.to_rgba8();
    let mut flat = RgbImage::new(picture.width(), picture.height());
    for (to, from) in flat.pixels_mut().zip(picture.pixels()) {
        let [red, green, blue, alpha] = from.0.map(u32::from);
        let mix = |colour: u32| (colour * alpha + 255 * (255 - alpha)) / 255;
        *to = Rgb([red, green, blue].map(|colour| u8::try_from(mix(colour)).unwrap_or(u8::MAX)));
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgba;
    use std::fs;

    const LONG: Duration = Duration::from_mins(10);

    fn saved(
        name: &str,
        picture: &DynamicImage,
        format: ImageFormat,
    ) -> (tempfile::TempDir, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        fs::write(dir.path().join(name), bytes.get_ref()).unwrap();
        (dir, bytes.into_inner())
    }

    fn small(bytes: &[u8]) -> (Option<String>, Option<DynamicImage>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        let (media_type, small) = look_within(file.path(), LONG);
        let small = small.map(|small| {
            assert!(small.len() <= THUMBNAIL_BYTES_MAX);
            assert_eq!(picture_type(&small), Some("image/jpeg"));
            image::load_from_memory(&small).unwrap()
        });
        (media_type, small)
    }

    fn colours(width: u32, height: u32) -> DynamicImage {
        let at = |n: u32, of: u32| u8::try_from(n * 255 / of).unwrap();
        let colour = |x, y| Rgb([at(x, width), at(y, height), 99]);
        RgbImage::from_fn(width, height, colour).into()
    }

    /// Random pixels: nothing compresses worse.
    fn noise(width: u32, height: u32) -> DynamicImage {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        RgbImage::from_fn(width, height, |_, _| Rgb([next(), next(), next()])).into()
    }

    #[test]
    fn a_picture_of_each_kind_is_known_and_made_small() {
        let picture = colours(1000, 500);
        let kinds = [
            (ImageFormat::Png, "image/png"),
            (ImageFormat::Jpeg, "image/jpeg"),
            (ImageFormat::Gif, "image/gif"),
            (ImageFormat::WebP, "image/webp"),
        ];
        for (format, expected) in kinds {
            let (_dir, bytes) = saved("x.exe", &picture, format);
            let (media_type, small) = small(&bytes);
            assert_eq!(media_type.as_deref(), Some(expected));
            let small = small.unwrap_or_else(|| panic!("{expected} is not decoded"));
            assert_eq!((small.width(), small.height()), (THUMBNAIL_SIDE, 240));
        }
    }

    #[test]
    fn noise_becomes_smaller_until_it_fits() {
        let (_dir, bytes) = saved("x.png", &noise(900, 900), ImageFormat::Png);
        let small = small(&bytes).1.unwrap();
        assert_eq!(small.width(), THUMBNAIL_SIDE / 2);
    }

    #[test]
    fn a_small_picture_stays_as_large_as_it_is_and_lies_on_white() {
        let mut picture = image::RgbaImage::from_pixel(40, 30, Rgba([0, 0, 0, 0]));
        for (x, _, pixel) in picture.enumerate_pixels_mut() {
            if x < 20 {
                *pixel = Rgba([0, 0, 200, 255]);
            }
        }
        let (_dir, bytes) = saved("x.png", &picture.into(), ImageFormat::Png);
        let small = small(&bytes).1.unwrap().to_rgb8();
        assert_eq!(small.dimensions(), (40, 30));
        assert!(small.get_pixel(35, 15).0.iter().all(|colour| *colour > 245));
        assert!(small.get_pixel(4, 15).0[2] > 180 && small.get_pixel(4, 15).0[0] < 20);
    }

    /// A JPEG with an Exif segment that says "turned by a quarter" and where it was taken.
    fn turned(picture: &DynamicImage) -> Vec<u8> {
        let (_dir, plain) = saved("x.jpg", picture, ImageFormat::Jpeg);
        let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02".to_vec();
        exif.extend(b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0");
        exif.extend(b"\x01\x0e\0\x02\0\0\0\x0a\0\0\0\x26\0\0\0\0");
        exif.extend(b"Secret 52\0");
        let mut bytes = plain[..2].to_vec();
        bytes.extend(b"\xff\xe1");
        bytes.extend(u16::try_from(exif.len() + 2).unwrap().to_be_bytes());
        bytes.extend(&exif);
        bytes.extend(&plain[2..]);
        bytes
    }

    #[test]
    fn a_photograph_stands_upright_and_tells_nothing_else() {
        let bytes = turned(&colours(600, 400));
        assert!(bytes.windows(6).any(|part| part == b"Secret"));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.jpg");
        fs::write(&path, &bytes).unwrap();
        let small = look_within(&path, LONG).1.unwrap();
        assert!(!small.windows(4).any(|part| part == b"Exif"));
        assert!(!small.windows(6).any(|part| part == b"Secret"));
        let small = image::load_from_memory(&small).unwrap();
        assert_eq!((small.width(), small.height()), (320, THUMBNAIL_SIDE));
    }

    #[test]
    fn what_is_no_picture_or_a_broken_one_goes_without() {
        assert_eq!(small(b"").0, None);
        assert_eq!(small(b"%PDF-1.7").0, None);
        assert_eq!(small(b"RIFF\0\0\0\0WAVE").0, None);
        // A picture by its first bytes, and nothing behind them.
        let (media_type, none) = small(b"\x89PNG\r\n\x1a\nrubbish");
        assert_eq!((media_type.as_deref(), none), (Some("image/png"), None));
        let (_dir, whole) = saved("x.png", &colours(300, 300), ImageFormat::Png);
        assert_eq!(small(&whole[..whole.len() / 2]).1, None);
    }

    /// A PNG of the wanted size by its header, and one byte of data.
    fn png_of(width: u32, height: u32) -> Vec<u8> {
        let mut header = b"IHDR".to_vec();
        header.extend(width.to_be_bytes());
        header.extend(height.to_be_bytes());
        header.extend(b"\x08\x00\0\0\0");
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
        bytes.extend(&header);
        bytes.extend(crc(&header).to_be_bytes());
        let data = b"IDAT\x78";
        bytes.extend(b"\0\0\0\x01");
        bytes.extend(data);
        bytes.extend(crc(data).to_be_bytes());
        bytes
    }

    /// As the specification of PNG has it, annex D.
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1))
            })
        })
    }

    #[test]
    fn a_picture_with_too_many_pixels_is_not_decoded() {
        let of = |width, height| {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), png_of(width, height)).unwrap();
            let deadline = Instant::now() + LONG;
            thumbnail(Until {
                file: file.reopen().unwrap(),
                deadline,
            })
        };
        // One more than the limit is left alone; at the limit the missing data is missed.
        assert!(matches!(of(50_000, 1001), Ok(None)));
        assert!(of(50_000, 1000).is_err());
        assert!(!matches!(of(u32::MAX >> 1, u32::MAX >> 1), Ok(Some(_))));
    }

    #[test]
    fn a_file_over_the_limit_is_not_decoded() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (_dir, bytes) = saved("x.png", &colours(8, 8), ImageFormat::Png);
        fs::write(file.path(), bytes).unwrap();
        file.as_file().set_len(PICTURE_BYTES_MAX).unwrap();
        assert!(look_within(file.path(), LONG).1.is_some());
        file.as_file().set_len(PICTURE_BYTES_MAX + 1).unwrap();
        assert_eq!(
            look_within(file.path(), LONG),
            (Some("image/png".into()), None)
        );
    }

    #[test]
    fn nobody_waits_longer_than_the_patience_lasts() {
        let (dir, _) = saved("x.png", &colours(8, 8), ImageFormat::Png);
        let path = dir.path().join("x.png");
        assert_eq!(
            look_within(&path, Duration::ZERO),
            (Some("image/png".into()), None)
        );
        // Whoever was given up on stands in nobody's way.
        assert!(look_within(&path, LONG).1.is_some());
    }
}
