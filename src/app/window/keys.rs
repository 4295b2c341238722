//! Keys, as the stage app sees them: a small set that does not change with bevy, digits by their place on the keyboard.

use bevy::input::{
    ButtonState,
    keyboard::{Key as LogicalKey, KeyCode, KeyboardInput},
};

/// A key of the keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// What the layout types, in lower case.
    Character(char),
    /// By place, in the top row or the keypad: French rows need no shift for presets.
    Digit(u8),
    Function(u8),
    Escape,
    Enter,
    Space,
    Tab,
    Backspace,
    Delete,
    Left,
    Right,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modifiers {
    pub shift: bool,
    pub ctrl: bool,
    pub alt: bool,
    /// Command or the Windows key.
    pub logo: bool,
}

/// A key went down or up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPress {
    pub key: Key,
    pub modifiers: Modifiers,
    pub pressed: bool,
    /// Sent by the system because the key is held.
    pub repeat: bool,
}

/// A line of the help page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHelp {
    pub key: String,
    pub what: String,
}

impl KeyHelp {
    pub fn new(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self { key: key.into(), what: what.into() }
    }
}

/// What the window itself does with keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Fullscreen,
    Back,
    Overlay,
    Help,
    /// The panel in a window of its own.
    Panel,
    PanelOverStage,
    NextDisplay,
    Quit,
}

/// The keys that the window keeps for itself.
pub const WINDOW_KEYS: [(&str, &str); 8] = [
    ("F  F11", "fullscreen"),
    ("F9", "stage to the next display"),
    ("Esc", "close this page, leave fullscreen"),
    ("Tab  O", "overlay: signal, rates, messages"),
    ("F2", "panel in a window of its own"),
    ("F3", "panel over the stage"),
    ("H  ?  F1", "this page"),
    ("Ctrl Q", "quit"),
];

/// The window's own answer to a key. Its releases and repeats belong to the window too, but do nothing.
pub(super) fn command(press: KeyPress) -> Option<Command> {
    let KeyPress { key, modifiers, .. } = press;
    if modifiers.ctrl || modifiers.logo {
        return (key == Key::Character('q')).then_some(Command::Quit);
    }
    if modifiers.alt {
        // Alt-Tab belongs to the window manager, Alt-Enter is fullscreen on many machines.
        return (key == Key::Enter).then_some(Command::Fullscreen);
    }
    match key {
        Key::Character('f') | Key::Function(11) => Some(Command::Fullscreen),
        Key::Escape => Some(Command::Back),
        Key::Tab | Key::Character('o') => Some(Command::Overlay),
        Key::Character('h' | '?') | Key::Function(1) => Some(Command::Help),
        Key::Function(2) => Some(Command::Panel),
        Key::Function(3) => Some(Command::PanelOverStage),
        Key::Function(9) => Some(Command::NextDisplay),
        _ => None,
    }
}

/// The keyboard as far as the events up to now have told.
///
/// Kept event by event and not frame by frame: at 30 frames a second a quick Ctrl-Q goes down and up within one.
#[derive(Debug, Default)]
pub(super) struct Keyboard {
    held: Vec<KeyCode>,
}

impl Keyboard {
    /// None for modifiers and for keys without a name here.
    pub fn press(&mut self, input: &KeyboardInput) -> Option<KeyPress> {
        let pressed = input.state == ButtonState::Pressed;
        if is_modifier(input.key_code) {
            self.held.retain(|code| *code != input.key_code);
            if pressed {
                self.held.push(input.key_code);
            }
            return None;
        }
        Some(KeyPress {
            key: key_from(&input.logical_key, input.key_code)?,
            modifiers: Modifiers {
                shift: self.holds([KeyCode::ShiftLeft, KeyCode::ShiftRight]),
                ctrl: self.holds([KeyCode::ControlLeft, KeyCode::ControlRight]),
                alt: self.holds([KeyCode::AltLeft, KeyCode::AltRight]),
                logo: self.holds([KeyCode::SuperLeft, KeyCode::SuperRight]),
            },
            pressed,
            repeat: input.repeat,
        })
    }

    fn holds(&self, either: [KeyCode; 2]) -> bool {
        self.held.iter().any(|code| either.contains(code))
    }
}

fn is_modifier(code: KeyCode) -> bool {
    matches!(
        code,
        KeyCode::ShiftLeft
            | KeyCode::ShiftRight
            | KeyCode::ControlLeft
            | KeyCode::ControlRight
            | KeyCode::AltLeft
            | KeyCode::AltRight
            | KeyCode::SuperLeft
            | KeyCode::SuperRight
    )
}

fn key_from(logical: &LogicalKey, code: KeyCode) -> Option<Key> {
    if let Some(digit) = digit_from(code) {
        return Some(Key::Digit(digit));
    }
    Some(match logical {
        LogicalKey::Character(text) => {
            let mut lower = text.chars().flat_map(char::to_lowercase);
            match (lower.next()?, lower.next()) {
                (' ', None) => Key::Space,
                (character, None) => Key::Character(character),
                _ => return None,
            }
        }
        LogicalKey::Escape => Key::Escape,
        LogicalKey::Enter => Key::Enter,
        LogicalKey::Space => Key::Space,
        LogicalKey::Tab => Key::Tab,
        LogicalKey::Backspace => Key::Backspace,
        LogicalKey::Delete => Key::Delete,
        LogicalKey::ArrowLeft => Key::Left,
        LogicalKey::ArrowRight => Key::Right,
        LogicalKey::ArrowUp => Key::Up,
        LogicalKey::ArrowDown => Key::Down,
        LogicalKey::PageUp => Key::PageUp,
        LogicalKey::PageDown => Key::PageDown,
        LogicalKey::Home => Key::Home,
        LogicalKey::End => Key::End,
        LogicalKey::F1 => Key::Function(1),
        LogicalKey::F2 => Key::Function(2),
        LogicalKey::F3 => Key::Function(3),
        LogicalKey::F4 => Key::Function(4),
        LogicalKey::F5 => Key::Function(5),
        LogicalKey::F6 => Key::Function(6),
        LogicalKey::F7 => Key::Function(7),
        LogicalKey::F8 => Key::Function(8),
        LogicalKey::F9 => Key::Function(9),
        LogicalKey::F10 => Key::Function(10),
        LogicalKey::F11 => Key::Function(11),
        LogicalKey::F12 => Key::Function(12),
        _ => return None,
    })
}

fn digit_from(code: KeyCode) -> Option<u8> {
    Some(match code {
        KeyCode::Digit0 | KeyCode::Numpad0 => 0,
        KeyCode::Digit1 | KeyCode::Numpad1 => 1,
        KeyCode::Digit2 | KeyCode::Numpad2 => 2,
        KeyCode::Digit3 | KeyCode::Numpad3 => 3,
        KeyCode::Digit4 | KeyCode::Numpad4 => 4,
        KeyCode::Digit5 | KeyCode::Numpad5 => 5,
        KeyCode::Digit6 | KeyCode::Numpad6 => 6,
        KeyCode::Digit7 | KeyCode::Numpad7 => 7,
        KeyCode::Digit8 | KeyCode::Numpad8 => 8,
        KeyCode::Digit9 | KeyCode::Numpad9 => 9,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use bevy::{ecs::entity::Entity, input::keyboard::NativeKeyCode};

    use super::*;

    fn character(text: &str) -> LogicalKey {
        LogicalKey::Character(text.into())
    }

    fn down(key: Key) -> KeyPress {
        KeyPress { key, modifiers: Modifiers::default(), pressed: true, repeat: false }
    }

    fn with(key: Key, set: impl Fn(&mut Modifiers)) -> KeyPress {
        let mut press = down(key);
        set(&mut press.modifiers);
        press
    }

    #[test]
    fn a_digit_is_the_same_key_on_every_layout_and_on_the_keypad() {
        for (logical, code) in [
            (character("1"), KeyCode::Digit1),
            (character("&"), KeyCode::Digit1),
            (character("!"), KeyCode::Digit1),
            (LogicalKey::End, KeyCode::Numpad1),
        ] {
            assert_eq!(key_from(&logical, code), Some(Key::Digit(1)), "{logical:?}");
        }
    }

    #[test]
    fn letters_follow_the_layout_and_ignore_shift() {
        // The key that types A on a French keyboard stands where Q is on an English one.
        assert_eq!(key_from(&character("A"), KeyCode::KeyQ), Some(Key::Character('a')));
        assert_eq!(key_from(&character(" "), KeyCode::Space), Some(Key::Space));
        assert_eq!(key_from(&character("?"), KeyCode::Slash), Some(Key::Character('?')));
    }

    #[test]
    fn a_key_without_meaning_is_no_key() {
        let unknown = KeyCode::Unidentified(NativeKeyCode::Unidentified);
        assert_eq!(key_from(&LogicalKey::Shift, KeyCode::ShiftLeft), None);
        assert_eq!(key_from(&character("ab"), unknown), None);
        assert_eq!(key_from(&character(""), unknown), None);
    }

    fn input(code: KeyCode, logical: LogicalKey, state: ButtonState) -> KeyboardInput {
        KeyboardInput {
            key_code: code,
            logical_key: logical,
            state,
            text: None,
            repeat: false,
            window: Entity::PLACEHOLDER,
        }
    }

    #[test]
    fn a_press_carries_the_modifiers_held_at_that_moment() {
        let mut keyboard = Keyboard::default();
        let ctrl = |state| input(KeyCode::ControlRight, LogicalKey::Control, state);
        let q = || input(KeyCode::KeyQ, character("Q"), ButtonState::Pressed);
        // All within one frame.
        assert_eq!(keyboard.press(&ctrl(ButtonState::Pressed)), None);
        let with_ctrl = keyboard.press(&q()).unwrap();
        assert_eq!(with_ctrl, with(Key::Character('q'), |m| m.ctrl = true));
        assert_eq!(command(with_ctrl), Some(Command::Quit));
        assert_eq!(keyboard.press(&ctrl(ButtonState::Released)), None);
        assert_eq!(keyboard.press(&q()), Some(down(Key::Character('q'))));
    }

    #[test]
    fn the_window_answers_its_own_keys_and_no_others() {
        for (press, expected) in [
            (down(Key::Function(11)), Some(Command::Fullscreen)),
            (down(Key::Character('f')), Some(Command::Fullscreen)),
            (with(Key::Enter, |m| m.alt = true), Some(Command::Fullscreen)),
            (down(Key::Escape), Some(Command::Back)),
            (down(Key::Tab), Some(Command::Overlay)),
            (with(Key::Tab, |m| m.alt = true), None),
            (with(Key::Character('?'), |m| m.shift = true), Some(Command::Help)),
            (with(Key::Character('f'), |m| m.ctrl = true), None),
            (down(Key::Character('q')), None),
            (with(Key::Character('q'), |m| m.logo = true), Some(Command::Quit)),
            (down(Key::Function(2)), Some(Command::Panel)),
            (down(Key::Function(3)), Some(Command::PanelOverStage)),
            (down(Key::Function(9)), Some(Command::NextDisplay)),
            (down(Key::Function(5)), None),
            (down(Key::Digit(3)), None),
            (down(Key::Space), None),
        ] {
            assert_eq!(command(press), expected, "{press:?}");
        }
    }
}
