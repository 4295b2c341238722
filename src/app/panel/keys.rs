//! The keyboard in the panel. What is not the panel's own goes on to the stage: its keys are the same in both windows.

use nannou::prelude::egui::{self, Event};

use super::{Panel, controls_page, data::Move, scene::Page};
use crate::{
    app::window::{Key, KeyPress},
    control::Kind,
};

/// The keys of the panel, for the page of keys.
pub const PANEL_KEYS: [(&str, &str); 5] = [
    ("F5 … F8", "panel: play, signal, controls, machine"),
    ("Tab  ↑ ↓", "panel: to the next control"),
    ("← →", "panel: move it; with Shift far, with Ctrl finely"),
    ("Enter", "panel: press it, type its value"),
    ("/  Del", "panel: search; back to the default"),
];

impl Panel {
    /// True if the key is for the panel. `text` is what it types.
    pub fn key(&mut self, press: KeyPress, text: Option<&str>) -> bool {
        self.modifiers = modifiers(press);
        let is_typing = self.is_typing();
        let is_down = press.pressed;
        match press.key {
            Key::Function(number) => {
                let page = Page::ALL.into_iter().find(|page| page.function_key() == number);
                if let (Some(page), true) = (page, is_down) {
                    self.show(page);
                }
                page.is_some()
            }
            Key::Escape => {
                if is_down && !press.repeat {
                    self.back(press, is_typing);
                }
                true
            }
            // The window's own: quit, and Alt-Enter.
            Key::Character('q') if press.modifiers.ctrl || press.modifiers.logo => false,
            Key::Enter if press.modifiers.alt => false,
            Key::Tab if press.modifiers.alt || press.modifiers.ctrl || press.modifiers.logo => false,
            // From the search to what it found.
            Key::Down | Key::Enter if self.is_searching() => {
                if let (Some(first), true) = (self.memory.first, is_down) {
                    self.context.memory_mut(|memory| memory.request_focus(first));
                }
                true
            }
            _ if is_typing => {
                self.send(press);
                let types = is_down && !press.modifiers.ctrl && !press.modifiers.logo;
                if let Some(text) = text.filter(|text| types && !text.chars().any(char::is_control)) {
                    self.events.push(Event::Text(text.to_owned()));
                }
                true
            }
            // With nothing to press it is the show's.
            Key::Enter => {
                let presses = self.has_focus();
                if presses {
                    self.send(press);
                }
                presses
            }
            Key::Tab => {
                self.send(press);
                true
            }
            Key::Left | Key::Right | Key::Up | Key::Down => {
                if !(is_down && self.focus_first()) {
                    self.send(press);
                }
                true
            }
            Key::Delete => {
                if is_down && !press.repeat {
                    self.reset_selected();
                }
                true
            }
            Key::Character('/') => {
                if is_down {
                    self.search();
                }
                true
            }
            _ => false,
        }
    }

    pub fn show(&mut self, page: Page) {
        if self.memory.page != page {
            self.memory.page = page;
            self.memory.typing = None;
        }
    }

    /// Whether letters are text now, and not keys of the show.
    fn is_typing(&self) -> bool {
        self.memory.typing.is_some() || self.context.text_edit_focused()
    }

    fn is_searching(&self) -> bool {
        self.context.memory(|memory| memory.focused()) == Some(controls_page::search_id())
    }

    /// Escape: out of a field, out of a search, out of the focus, and at last out of the panel over the stage.
    fn back(&mut self, press: KeyPress, is_typing: bool) {
        if is_typing || self.has_focus() {
            self.send(press);
        } else if !self.memory.search.is_empty() {
            self.memory.search.clear();
        } else if self.over_stage {
            self.closes = true;
        }
    }

    fn has_focus(&self) -> bool {
        self.context.memory(|memory| memory.focused().is_some())
    }

    /// Gives the focus to the page's first control if nothing has it; true if it did.
    fn focus_first(&self) -> bool {
        let Some(first) = self.memory.first else { return false };
        let is_free = !self.has_focus();
        if is_free {
            self.context.memory_mut(|memory| memory.request_focus(first));
        }
        is_free
    }

    fn search(&mut self) {
        self.show(Page::Controls);
        self.context.memory_mut(|memory| memory.request_focus(controls_page::search_id()));
    }

    fn reset_selected(&mut self) {
        let selected = self.memory.selected.as_deref().filter(|_| self.memory.page == Page::Controls);
        let Some(row) = selected.and_then(|path| self.data.param(path)) else { return };
        if row.param.kind != Kind::Trigger {
            self.moves.push(Move::new(row.path(), row.param.default.clone()));
        }
    }

    fn send(&mut self, press: KeyPress) {
        if let Some(key) = key(press.key) {
            self.events.push(Event::Key {
                key,
                physical_key: None,
                pressed: press.pressed,
                repeat: press.repeat,
                modifiers: self.modifiers,
            });
        }
    }
}

fn modifiers(press: KeyPress) -> egui::Modifiers {
    let crate::app::window::Modifiers { shift, ctrl, alt, logo } = press.modifiers;
    let is_mac = cfg!(target_os = "macos");
    egui::Modifiers { alt, ctrl, shift, mac_cmd: is_mac && logo, command: if is_mac { logo } else { ctrl } }
}

fn key(key: Key) -> Option<egui::Key> {
    Some(match key {
        Key::Character(typed) => egui::Key::from_name(&typed.to_uppercase().to_string())?,
        Key::Digit(digit) => egui::Key::from_name(&digit.to_string())?,
        Key::Escape => egui::Key::Escape,
        Key::Enter => egui::Key::Enter,
        Key::Space => egui::Key::Space,
        Key::Tab => egui::Key::Tab,
        Key::Backspace => egui::Key::Backspace,
        Key::Delete => egui::Key::Delete,
        Key::Left => egui::Key::ArrowLeft,
        Key::Right => egui::Key::ArrowRight,
        Key::Up => egui::Key::ArrowUp,
        Key::Down => egui::Key::ArrowDown,
        Key::PageUp => egui::Key::PageUp,
        Key::PageDown => egui::Key::PageDown,
        Key::Home => egui::Key::Home,
        Key::End => egui::Key::End,
        Key::Function(_) => return None,
    })
}
