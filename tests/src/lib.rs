//! What the tests of Hallway stand on: whole nodes on a network of their own.

pub mod audio;
pub mod crowd;
pub mod files;
pub mod fuzzing;
pub mod host;
pub mod hostile;
pub mod lab;
pub mod page;
pub mod past;
pub mod sim;
mod tail;
pub mod terminal;
pub mod workspace;
