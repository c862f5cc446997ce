//! Sound devices: list, choose, and try them out.

use super::Context;
use crate::args::DevicesArgs;
use crate::failure::{Failure, Result};
use crate::out::{Out, Paint};
use crate::{safe, text};
use hallway_api::{ClientError, DevicesRequest};
use hallway_model::{DeviceView, DevicesView, SoundDirection};
use hallway_node::Trial;
use hallway_node::audio::{Devices, Preferences, Source};
use hallway_node::config::Config;
use hallway_node::home::Home;
use serde_json::json;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// How long a try records: a sentence.
const TRY: Duration = Duration::from_secs(4);
/// A microphone in a quiet room is louder than this, in dB of full scale.
const SILENT_DBFS: f32 = -70.0;
/// The width of a meter, and the quietest that it shows.
const METER_CELLS: usize = 40;
const METER_DBFS_MIN: f32 = -60.0;

pub(super) async fn devices(cx: &Context<'_>, args: DevicesArgs) -> Result {
    let request = DevicesRequest {
        input: args.input,
        output: args.output,
    };
    let chosen = request != DevicesRequest::default();
    let client = cx.client()?;
    let asked = match chosen {
        true => client.choose_devices(&request).await,
        false => client.devices().await,
    };
    let view = match asked {
        // The devices are there without a node, too.
        Err(ClientError::NotRunning { .. }) => {
            let devices = without_node(cx)?;
            if chosen {
                // The first command of all may be this one.
                Home::create(cx.home.as_deref()).map_err(anyhow::Error::from)?;
            }
            let work = move || {
                if chosen {
                    devices.choose(request.input.as_deref(), request.output.as_deref())?;
                }
                Ok(devices.list())
            };
            let done: std::result::Result<_, hallway_node::audio::AudioError> =
                off_the_reactor(work).await?;
            done.map_err(anyhow::Error::from)?
        }
        asked => asked?,
    };
    if args.test {
        return try_out(cx).await;
    }
    cx.out.either(&view, || show(cx.out, &view))?;
    match view.problem {
        Some(problem) if view.devices.is_empty() => {
            Err(Failure::Other(anyhow::anyhow!(safe::one_line(&problem))))
        }
        _ => Ok(()),
    }
}

/// The devices as a node of this home would use them.
fn without_node(cx: &Context<'_>) -> Result<Devices> {
    let home = cx.home()?;
    let config = Config::load(&home).map_err(anyhow::Error::from)?;
    let source = Source::Devices(Preferences::new(&config, None, None));
    Ok(Devices::new(source, home.devices()))
}

async fn off_the_reactor<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::Other(error.into()))
}

/// Records, shows how loud it is, and plays it back; in this process, whether a node runs or not.
async fn try_out(cx: &Context<'_>) -> Result {
    let devices = without_node(cx)?;
    let terminal = io::stderr().is_terminal();
    cx.out.note(&text::try_speak(TRY));
    let tried = off_the_reactor(move || {
        let mut playing = false;
        let show = |trial| {
            let level = match trial {
                Trial::Hearing(level) => level,
                Trial::Playing(level) => {
                    if !playing {
                        playing = true;
                        end_meter(terminal);
                        let _ = writeln!(io::stderr(), "{}", text::TRY_LISTEN);
                    }
                    level
                }
            };
            if terminal {
                // A meter that cannot be shown is no reason to stop.
                let _ = write!(io::stderr(), "\r{}", meter(level));
            }
        };
        let tried = devices.try_out(TRY, || true, show);
        end_meter(terminal);
        tried
    })
    .await?;
    let loudest = tried.map_err(anyhow::Error::from)?;
    let silent = loudest < SILENT_DBFS;
    let shown = || match silent {
        true => text::TRY_SILENT.to_owned(),
        false => text::try_heard(loudest),
    };
    let value = json!({ "loudest_dbfs": loudest, "silent": silent });
    cx.out.either(&value, shown)?;
    Ok(())
}

fn end_meter(terminal: bool) {
    if terminal {
        // As above.
        let _ = writeln!(io::stderr());
    }
}

/// A bar that is full at full scale.
fn meter(level: f32) -> String {
    let share = (level.max(METER_DBFS_MIN) / METER_DBFS_MIN).clamp(0.0, 1.0);
    let cells = (1..=METER_CELLS).map(|cell| {
        let (cell, cells) = (u8::try_from(cell), u8::try_from(METER_CELLS));
        let at = cell.map_or(1.0, f32::from) / cells.map_or(1.0, f32::from);
        if at <= 1.0 - share { '█' } else { '·' }
    });
    format!("{}  {level:>4.0} dB ", cells.collect::<String>())
}

fn show(out: &Out, view: &DevicesView) -> String {
    let mut shown = String::new();
    for (direction, title, choice) in [
        (SoundDirection::Input, text::MICROPHONES, &view.input),
        (SoundDirection::Output, text::SPEAKERS, &view.output),
    ] {
        shown.push_str(&out.paint(Paint::Bold, title));
        shown.push('\n');
        let there = |device: &&DeviceView| device.direction == direction;
        for device in view.devices.iter().filter(there) {
            shown.push_str(&line(out, device, choice));
        }
    }
    if let Some(problem) = &view.problem {
        let problem = safe::one_line(problem);
        shown.push_str(&out.paint(Paint::Caution, &text::devices_problem(&problem)));
        shown.push('\n');
    }
    shown
}

fn line(out: &Out, device: &DeviceView, choice: &str) -> String {
    let mark = if device.chosen { '*' } else { ' ' };
    let name = safe::one_line(&device.name);
    let id = out.paint(Paint::Dim, &safe::one_line(&device.id));
    let mut notes = Vec::new();
    if device.default {
        notes.push(text::DEVICE_DEFAULT);
    }
    if device.headphones {
        notes.push(text::DEVICE_HEADPHONES);
    }
    if device.chosen && choice != "default" {
        notes.push(text::DEVICE_CHOSEN);
    }
    let notes = match notes.is_empty() {
        true => String::new(),
        false => format!("  ({})", notes.join(", ")),
    };
    format!("{mark} {name}{notes}  {id}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_is_empty_in_silence_and_full_at_full_scale() {
        let full = |level| meter(level).chars().filter(|c| *c == '█').count();
        assert_eq!(full(-100.0), 0);
        assert_eq!(full(METER_DBFS_MIN), 0);
        assert_eq!(full(METER_DBFS_MIN / 2.0), METER_CELLS / 2);
        assert_eq!(full(0.0), METER_CELLS);
        assert_eq!(full(3.0), METER_CELLS);
    }
}
