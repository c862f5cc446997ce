//! The menu of the tray, as `com.canonical.dbusmenu` has it.

use crate::text;
use dbus::arg::{PropMap, RefArg, Variant};
use hallway_model::PeerId;
use std::collections::VecDeque;

/// Talks with something unread that are offered; of more, those with the latest words.
pub(super) const TALKS_MAX: usize = 5;
/// People whose number is remembered, so that a click on a menu that is shown still means whom it
/// says after the talks have changed.
const NUMBERS_MAX: usize = 64;

const ROOT: i32 = 0;
const OPEN: i32 = 1;
const DISTURB: i32 = 2;
const QUIT: i32 = 3;
const LINE_AFTER_TALKS: i32 = 4;
const LINE_BEFORE_QUIT: i32 = 5;
const TALKS_FROM: i32 = 100;

/// A talk with something unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Talk {
    pub(super) peer: PeerId,
    /// Their name, harmless in a line of text.
    pub(super) name: String,
    pub(super) unread: u64,
}

/// What is chosen in the menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The page, at a talk or at its beginning.
    Open(Option<PeerId>),
    /// To be busy, or no longer.
    Disturb(bool),
    Quit,
}

/// An item, its properties and the items below it.
pub(super) type Layout = (i32, PropMap, Vec<Variant<Leaf>>);
/// An item without others below it.
pub(super) type Leaf = (i32, PropMap, Vec<Variant<Box<dyn RefArg>>>);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Menu {
    talks: Vec<Talk>,
    busy: bool,
    /// The latest last.
    numbers: VecDeque<(i32, PeerId)>,
    last_number: i32,
}

impl Menu {
    /// Shows this from now on; only the first [`TALKS_MAX`] talks are.
    pub(super) fn set(&mut self, talks: &[Talk], busy: bool) {
        self.busy = busy;
        self.talks = talks.iter().take(TALKS_MAX).cloned().collect();
        for talk in &self.talks {
            let known = self.numbers.iter().position(|(_, peer)| *peer == talk.peer);
            let number = match known.and_then(|at| self.numbers.remove(at)) {
                Some((number, _)) => number,
                None => {
                    self.last_number = self.last_number.checked_add(1).unwrap_or_default();
                    TALKS_FROM.saturating_add(self.last_number)
                }
            };
            self.numbers.push_back((number, talk.peer));
        }
        while self.numbers.len() > NUMBERS_MAX {
            self.numbers.pop_front();
        }
    }

    /// What is chosen by the item of this number, if that does something.
    pub(super) fn choice(&self, number: i32) -> Option<Choice> {
        match number {
            OPEN => Some(Choice::Open(None)),
            DISTURB => Some(Choice::Disturb(!self.busy)),
            QUIT => Some(Choice::Quit),
            _ => {
                let known = self.numbers.iter().find(|(known, _)| *known == number);
                known.map(|(_, peer)| Choice::Open(Some(*peer)))
            }
        }
    }

    /// The item of this number with so many levels of those below it, all when negative.
    pub(super) fn layout(&self, number: i32, depth: i32) -> Option<Layout> {
        if number != ROOT {
            let found = self.items().into_iter().find(|(id, _)| *id == number);
            return found.map(|(id, properties)| (id, properties, Vec::new()));
        }
        let items = match depth {
            0 => Vec::new(),
            _ => self.items(),
        };
        let leaf = |(id, properties)| Variant((id, properties, Vec::new()));
        Some((ROOT, root(), items.into_iter().map(leaf).collect()))
    }

    /// The properties of these items, of all when none are named.
    pub(super) fn properties(&self, numbers: &[i32]) -> Vec<(i32, PropMap)> {
        let mut all = self.items();
        all.insert(0, (ROOT, root()));
        all.retain(|(id, _)| numbers.is_empty() || numbers.contains(id));
        all
    }

    fn items(&self) -> Vec<(i32, PropMap)> {
        let words = text::desktop();
        let mut items = vec![(OPEN, item(words.open_hallway))];
        items.extend(self.talks.iter().filter_map(|talk| {
            let (number, _) = self.numbers.iter().find(|(_, peer)| *peer == talk.peer)?;
            Some((*number, item(&label(words.talk, talk))))
        }));
        let mut disturb = item(words.do_not_disturb);
        put(&mut disturb, "toggle-type", "checkmark".to_owned());
        put(&mut disturb, "toggle-state", i32::from(self.busy));
        items.extend([
            (LINE_AFTER_TALKS, line()),
            (DISTURB, disturb),
            (LINE_BEFORE_QUIT, line()),
            (QUIT, item(words.quit)),
        ]);
        items
    }
}

/// A single underline would mark the letter after it as a key.
fn label(say: fn(&str, u64) -> String, talk: &Talk) -> String {
    say(&talk.name, talk.unread).replace('_', "__")
}

fn root() -> PropMap {
    let mut properties = PropMap::new();
    put(&mut properties, "children-display", "submenu".to_owned());
    properties
}

fn item(label: &str) -> PropMap {
    let mut properties = PropMap::new();
    put(&mut properties, "label", label.to_owned());
    properties
}

fn line() -> PropMap {
    let mut properties = PropMap::new();
    put(&mut properties, "type", "separator".to_owned());
    properties
}

fn put(properties: &mut PropMap, name: &str, value: impl RefArg + 'static) {
    properties.insert(name.to_owned(), Variant(Box::new(value)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use dbus::arg::prop_cast;

    fn talk(n: u8) -> Talk {
        Talk {
            peer: PeerId([n; 32]),
            name: format!("p_{n}"),
            unread: 2,
        }
    }

    fn number_of(menu: &Menu, peer: u8) -> Option<i32> {
        let label = format!("p__{peer} (2)");
        let named = |properties: &PropMap| prop_cast(properties, "label") == Some(&label);
        let items = menu.properties(&[]).into_iter();
        items.filter(|(_, p)| named(p)).map(|(id, _)| id).next()
    }

    #[test]
    fn a_number_means_the_same_person_as_long_as_a_menu_may_be_shown() {
        let mut menu = Menu::default();
        menu.set(&[talk(1), talk(2)], false);
        let (one, two) = (number_of(&menu, 1).unwrap(), number_of(&menu, 2).unwrap());
        menu.set(&[talk(2), talk(3)], false);
        assert_eq!(number_of(&menu, 2), Some(two));
        assert_eq!(number_of(&menu, 1), None, "it is not offered any more");
        assert_eq!(menu.choice(one), Some(Choice::Open(Some(talk(1).peer))));
        // All others that are remembered push it out, but never one that is shown.
        for n in 4..=u8::try_from(NUMBERS_MAX).unwrap() {
            menu.set(&[talk(2), talk(n)], false);
        }
        assert_eq!(menu.choice(one), Some(Choice::Open(Some(talk(1).peer))));
        menu.set(&[talk(2), talk(200)], false);
        assert_eq!(menu.choice(one), None);
        assert_eq!(number_of(&menu, 2), Some(two));
        assert_eq!(menu.numbers.len(), NUMBERS_MAX);
    }

    #[test]
    fn of_many_talks_the_first_are_offered() {
        let mut menu = Menu::default();
        let talks: Vec<_> = (1..).take(TALKS_MAX + 1).map(talk).collect();
        menu.set(&talks[..TALKS_MAX], false);
        let plain = menu.layout(ROOT, -1).unwrap().2.len();
        menu.set(&talks, false);
        assert_eq!(menu.layout(ROOT, -1).unwrap().2.len(), plain);
        assert_eq!(number_of(&menu, 6), None);
        menu.set(&[], false);
        assert_eq!(menu.layout(ROOT, 1).unwrap().2.len(), plain - TALKS_MAX);
        assert!(menu.layout(ROOT, 0).unwrap().2.is_empty());
        assert!(menu.layout(99, -1).is_none());
    }
}
