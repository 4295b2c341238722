//! What the sections of the panel draw from, and what they leave behind.

use nannou::prelude::egui::Id;

use super::{
    data::{Move, PanelData},
    filter::Group,
    images::Images,
    widgets::Typing,
};

/// A page of the panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Page {
    #[default]
    Play,
    Signal,
    Controls,
    Machine,
}

impl Page {
    pub const ALL: [Self; 4] = [Self::Play, Self::Signal, Self::Controls, Self::Machine];

    pub fn word(self) -> &'static str {
        match self {
            Self::Play => "Play",
            Self::Signal => "Signal",
            Self::Controls => "Controls",
            Self::Machine => "Machine",
        }
    }

    /// The function key that shows it.
    pub fn function_key(self) -> u8 {
        match self {
            Self::Play => 5,
            Self::Signal => 6,
            Self::Controls => 7,
            Self::Machine => 8,
        }
    }
}

/// What the panel itself remembers from look to look.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub page: Page,
    /// The parameter that the page of controls tells about.
    pub selected: Option<String>,
    pub group: Group,
    /// The search field.
    pub search: String,
    pub typing: Option<Typing>,
    /// The channel of the spectrogram; None for all.
    pub channel: Option<usize>,
    /// What takes the focus when an arrow is pressed and nothing has it.
    pub first: Option<Id>,
}

/// One look at the panel.
pub(super) struct Scene<'a> {
    pub data: &'a PanelData,
    pub unit: f32,
    pub memory: &'a mut Memory,
    pub images: &'a mut Images,
    pub moves: &'a mut Vec<Move>,
}
