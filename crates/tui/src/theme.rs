//! What things look like: the terminal's own sixteen colours, or none at all.

use hallway_model::PeerId;
use ratatui::style::{Color, Modifier, Style};
use std::env;

/// Which colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Theme {
    /// For light text on a dark ground.
    #[default]
    Dark,
    /// For dark text on a light ground.
    Light,
    /// None: bold, dim and reversed have to do.
    Plain,
}

/// What a piece of text is, as far as its look goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Text,
    /// Says less than the text around it.
    Faint,
    /// Stands out without colour.
    Strong,
    Good,
    Caution,
    Bad,
    /// A line that frames: the head, the status.
    Bar,
    /// The same when something is wrong.
    Alarm,
    /// What is chosen.
    Chosen,
    Link,
    Code,
    Own,
}

impl Theme {
    /// The one that fits the terminal, as far as that tells: some name their colours of text and
    /// ground, by number.
    pub(crate) fn of_environment() -> Self {
        Self::on(&env::var("COLORFGBG").unwrap_or_default())
    }

    fn on(colours: &str) -> Self {
        match colours.rsplit(';').next() {
            Some("7" | "15") => Self::Light,
            _ => Self::Dark,
        }
    }

    pub(crate) fn of(self, role: Role) -> Style {
        let plain = Style::new();
        let colour = |dark, light| match self {
            Self::Dark => plain.fg(dark),
            Self::Light => plain.fg(light),
            Self::Plain => plain,
        };
        match role {
            Role::Text => plain,
            Role::Faint if self == Self::Plain => plain.add_modifier(Modifier::DIM),
            Role::Faint => colour(Color::DarkGray, Color::DarkGray),
            Role::Strong => plain.add_modifier(Modifier::BOLD),
            Role::Good => colour(Color::Green, Color::Green),
            Role::Caution => colour(Color::Yellow, Color::Magenta).add_modifier(Modifier::BOLD),
            Role::Bad => colour(Color::LightRed, Color::Red).add_modifier(Modifier::BOLD),
            Role::Bar => match self {
                Self::Dark => plain.fg(Color::White).bg(Color::Blue),
                Self::Light => plain.fg(Color::Black).bg(Color::Gray),
                Self::Plain => plain.add_modifier(Modifier::REVERSED),
            },
            Role::Alarm => match self {
                Self::Dark | Self::Light => plain.fg(Color::White).bg(Color::Red),
                Self::Plain => plain.add_modifier(Modifier::REVERSED),
            }
            .add_modifier(Modifier::BOLD),
            Role::Chosen => plain.add_modifier(Modifier::REVERSED),
            Role::Link => colour(Color::Cyan, Color::Blue).add_modifier(Modifier::UNDERLINED),
            Role::Code => colour(Color::LightYellow, Color::Red),
            Role::Own => colour(Color::White, Color::Black).add_modifier(Modifier::BOLD),
        }
    }

    /// The same person has the same colour everywhere.
    pub(crate) fn person(self, id: &PeerId) -> Style {
        const DARK: [Color; 6] = [
            Color::LightCyan,
            Color::LightGreen,
            Color::LightMagenta,
            Color::LightYellow,
            Color::LightBlue,
            Color::LightRed,
        ];
        const LIGHT: [Color; 6] = [
            Color::Cyan,
            Color::Green,
            Color::Magenta,
            Color::Blue,
            Color::Red,
            Color::DarkGray,
        ];
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let at = usize::from(id.0[0]) % DARK.len();
        match self {
            Self::Dark => bold.fg(DARK[at]),
            Self::Light => bold.fg(LIGHT[at]),
            Self::Plain => bold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_light_ground_is_told_by_number() {
        let light = ["0;15", "0;default;15", "8;7"];
        assert!(light.iter().all(|told| Theme::on(told) == Theme::Light));
        let dark = ["15;0", "", "12;8", "0;default"];
        assert!(dark.iter().all(|told| Theme::on(told) == Theme::Dark));
    }
}
