//! The terminal app of Hallway: people and conversations on the left, what is said on the right, a
//! line to write in.
//!
//! Its core is pure: [`App::update`] takes what happened ([`Input`]) and says what is to be done
//! ([`Effect`]), and [`view`] draws what is. [`run`] joins it to a terminal and a node.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests fail by panicking"))]

mod app;
mod choices;
mod commands;
mod editor;
pub mod format;
mod io;
mod keys;
mod layout;
mod node;
mod overlay_view;
mod overlays;
mod picture;
mod qr;
mod rows;
mod run;
pub mod safe;
mod screen;
mod settings;
mod talk;
mod theme;
mod told;
mod view;
mod words;
mod wrap;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

pub use app::{App, Settings};
pub use choices::Choices;
pub use io::{CallAct, Effect, Entry, FileAct, Input, PersonAct, Reply, Request, Snapshot};
pub use picture::Picture;
pub use run::{Options, TuiError, run};
pub use talk::{Part, Spot};
pub use theme::Theme;
pub use view::view;
pub use words::{Language, call_record};
