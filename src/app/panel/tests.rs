//! The panel as a hand and a keyboard use it, without a window.

use std::{sync::Arc, time::Instant};

use nannou::prelude::egui::{Event, PointerButton, Pos2, Rect, pos2};

use super::*;
use crate::{
    Stamp,
    app::window::{Health, Key, KeyPress, Level, Message, Modifiers, Trace, overlay::gpu},
    control::{Origin, Param, Table, Value, builtin},
    diffusion::Picture,
    latent::{Latent, Shape},
};

const SIZE: [u32; 2] = [1280, 800];

fn table() -> Table {
    let table = Table::new(builtin());
    for name in ["trails", "mirror", "ripple"] {
        table.declare([Param::float(format!("/effect/{name}/amount"), 0.0, 1.0, 0.0).about("How much of it.")]);
    }
    table.declare([Param::trigger("/preset/back"), Param::text("/midi/learn", ""), Param::trigger("/undo")]);
    table
}

fn panel(table: &Table) -> Panel {
    let mut panel = Panel::default();
    let data = &mut panel.data;
    data.follow(table);
    data.scope.span_secs = 2.0;
    let wave = |channel: usize| (0..1024).map(move |i| ((i * (channel + 1)) as f32 * 0.02).sin()).collect();
    data.scope.traces =
        (0..32).map(|i| Trace { name: format!("CA1 {i:02}"), samples: wave(i), health: Health::Good }).collect();
    let shape = Shape { channels: 4, height: 64, width: 64 };
    let stamp = || Stamp { hop: 4, signal_secs: 1.0, arrived: Instant::now() };
    data.latent = Some(Latent { stamp: stamp(), shape, values: Arc::from(vec![0.5; shape.len()]) });
    data.picture = Some(Arc::new(Picture {
        stamp: stamp(),
        width: 64,
        height: 64,
        rgba: vec![90; 64 * 64 * 4],
        ..Picture::empty()
    }));
    data.source = "synth://rat".into();
    data.source_state = "awake".into();
    data.mapping = "flow".into();
    data.presets = ["ink", "coral", "aurora"]
        .map(|id| PresetTile { id: id.into(), name: id.to_uppercase(), about: String::new() })
        .into();
    data.playing = Some(0);
    data.models = vec![ModelRow {
        name: "box".into(),
        about: "in the box".into(),
        memory: "28 MB".into(),
        state: ModelState::Playing,
    }];
    data.messages = vec![Message { level: Level::Error, text: "a long message ".repeat(30), age_secs: 1.0 }];
    panel.look(SIZE, false);
    panel
}

fn obey(panel: &mut Panel, table: &Table) -> Vec<String> {
    panel.look(SIZE, false);
    let moves = panel.take_moves();
    for Move { path, value } in &moves {
        table.set(path, value.clone(), Origin::Panel).unwrap();
    }
    panel.data.follow(table);
    moves.into_iter().map(|done| done.path).collect()
}

fn press(key: Key) -> KeyPress {
    KeyPress { key, modifiers: Modifiers::default(), pressed: true, repeat: false }
}

fn hit(panel: &mut Panel, key: Key) -> bool {
    panel.key(press(key), None)
}

fn type_text(panel: &mut Panel, text: &str) {
    for letter in text.chars() {
        assert!(panel.key(press(Key::Character(letter)), Some(&letter.to_string())), "{letter}");
    }
}

fn place_of(panel: &Panel, id: egui::Id) -> Rect {
    panel.context.read_response(id).expect("is drawn").rect
}

fn click(panel: &mut Panel, at: Pos2) {
    panel.pointer(Event::PointerMoved(at));
    for pressed in [true, false] {
        let button = PointerButton::Primary;
        panel.pointer(Event::PointerButton { pos: at, button, pressed, modifiers: Default::default() });
    }
}

fn focus(panel: &Panel, id: egui::Id) {
    panel.context.memory_mut(|memory| memory.request_focus(id));
}

fn number(table: &Table, path: &str) -> f64 {
    table.handle(path).unwrap().number()
}

#[test]
fn a_click_on_a_slider_moves_its_parameter() {
    let table = table();
    let mut panel = panel(&table);
    let slider = place_of(&panel, row::control_id("play", "/stage/master"));
    click(&mut panel, pos2(slider.left() + 0.25 * slider.width(), slider.center().y));
    assert_eq!(obey(&mut panel, &table), ["/stage/master"]);
    let master = number(&table, "/stage/master");
    assert!((0.15..0.3).contains(&master), "{master}");
    assert_eq!(table.handle("/stage/master").unwrap().origin(), Origin::Panel);
}

#[test]
fn a_slider_is_dragged_to_its_end_and_stays_there() {
    let table = table();
    let mut panel = panel(&table);
    let slider = place_of(&panel, row::control_id("play", "/latent/drive"));
    let at = slider.center();
    panel.pointer(Event::PointerMoved(at));
    panel.pointer(Event::PointerButton {
        pos: at,
        button: PointerButton::Primary,
        pressed: true,
        modifiers: Default::default(),
    });
    obey(&mut panel, &table);
    panel.pointer(Event::PointerMoved(pos2(5000.0, at.y)));
    obey(&mut panel, &table);
    assert_eq!(number(&table, "/latent/drive"), 4.0);
    panel.pointer(Event::PointerMoved(pos2(9000.0, at.y)));
    assert!(obey(&mut panel, &table).is_empty());
}

#[test]
fn a_preset_is_recalled_by_pointer_and_by_keyboard() {
    let table = table();
    let mut panel = panel(&table);
    let tile = place_of(&panel, egui::Id::new(("panel preset", &"coral".to_owned())));
    click(&mut panel, tile.center());
    assert_eq!(obey(&mut panel, &table), ["/preset"]);
    assert_eq!(&*table.handle("/preset").unwrap().text(), "coral");
    hit(&mut panel, Key::Right);
    assert!(obey(&mut panel, &table).is_empty());
    hit(&mut panel, Key::Enter);
    obey(&mut panel, &table);
    assert_eq!(&*table.handle("/preset").unwrap().text(), "aurora");
}

#[test]
fn the_first_arrow_goes_to_what_plays_and_enter_presses_it() {
    let table = table();
    let mut panel = panel(&table);
    assert!(!hit(&mut panel, Key::Enter));
    hit(&mut panel, Key::Down);
    assert!(obey(&mut panel, &table).is_empty());
    hit(&mut panel, Key::Enter);
    assert_eq!(obey(&mut panel, &table), ["/preset"]);
    assert_eq!(&*table.handle("/preset").unwrap().text(), "ink");
}

#[test]
fn every_parameter_of_every_kind_is_reached_and_moved_by_the_keyboard_alone() {
    let table = table();
    let mut panel = panel(&table);
    hit(&mut panel, Key::Function(7));
    panel.look(SIZE, false);
    for row in panel.data.params.clone() {
        let id = row::control_id("controls", row.path());
        let Some(_) = panel.context.read_response(id) else { panic!("{} is not in the list", row.path()) };
        focus(&panel, id);
        panel.look(SIZE, false);
        let kind = row.param.kind.clone();
        if row.read_only {
            hit(&mut panel, Key::Enter);
            assert!(obey(&mut panel, &table).is_empty(), "{} is only shown", row.path());
            hit(&mut panel, Key::Escape);
            panel.look(SIZE, false);
            continue;
        }
        match kind {
            crate::control::Kind::Text => {
                hit(&mut panel, Key::Enter);
                obey(&mut panel, &table);
                panel.look(SIZE, false);
                type_text(&mut panel, "new");
                panel.look(SIZE, false);
                hit(&mut panel, Key::Enter);
            }
            crate::control::Kind::Bool | crate::control::Kind::Trigger => {
                hit(&mut panel, Key::Enter);
            }
            _ => {
                let up = row.normal() < 0.5;
                hit(&mut panel, if up { Key::Right } else { Key::Left });
            }
        }
        let moved = obey(&mut panel, &table);
        let is_single = matches!(&kind, crate::control::Kind::Choice(names) if names.len() < 2);
        let expected: &[&str] = if is_single { &[] } else { &[row.path()] };
        assert_eq!(moved, expected, "{}", row.path());
        hit(&mut panel, Key::Escape);
        panel.look(SIZE, false);
    }
}

#[test]
fn a_value_is_typed_and_nonsense_is_refused_until_it_is_a_number() {
    let table = table();
    let mut panel = panel(&table);
    hit(&mut panel, Key::Function(7));
    panel.look(SIZE, false);
    focus(&panel, row::control_id("controls", "/stage/crossfade"));
    panel.look(SIZE, false);
    hit(&mut panel, Key::Enter);
    obey(&mut panel, &table);
    panel.look(SIZE, false);
    type_text(&mut panel, "b");
    panel.look(SIZE, false);
    hit(&mut panel, Key::Enter);
    assert!(obey(&mut panel, &table).is_empty());
    panel.look(SIZE, false);
    type_text(&mut panel, "0.25");
    panel.look(SIZE, false);
    hit(&mut panel, Key::Enter);
    assert_eq!(obey(&mut panel, &table), ["/stage/crossfade"]);
    assert_eq!(number(&table, "/stage/crossfade"), 0.25);
    // The letters are keys of the show again.
    panel.look(SIZE, false);
    assert!(!hit(&mut panel, Key::Character('b')));
}

#[test]
fn the_search_field_finds_and_escape_leads_out_step_by_step() {
    let table = table();
    let mut panel = panel(&table);
    hit(&mut panel, Key::Character('/'));
    panel.look(SIZE, true);
    panel.look(SIZE, true);
    type_text(&mut panel, "mirror");
    panel.look(SIZE, true);
    panel.look(SIZE, true);
    assert_eq!(panel.memory.search, "mirror");
    assert!(panel.context.read_response(row::control_id("controls", "/stage/master")).is_none());
    assert!(panel.context.read_response(row::control_id("controls", "/effect/mirror/amount")).is_some());
    // Down goes from the field to what was found, and it is moved there.
    hit(&mut panel, Key::Down);
    obey(&mut panel, &table);
    hit(&mut panel, Key::Right);
    assert_eq!(obey(&mut panel, &table), ["/effect/mirror/amount"]);
    hit(&mut panel, Key::Character('/'));
    panel.look(SIZE, true);
    let mut steps = 0;
    while !panel.take_close() {
        hit(&mut panel, Key::Escape);
        panel.look(SIZE, true);
        steps += 1;
        assert!(steps <= 3);
    }
    assert_eq!((steps, panel.memory.search.as_str()), (3, ""));
    // In a window of its own there is no stage behind it to go back to.
    panel.look(SIZE, false);
    hit(&mut panel, Key::Escape);
    assert!(!panel.take_close());
}

#[test]
fn delete_brings_the_chosen_parameter_back_to_its_default() {
    let table = table();
    table.set("/stage/crossfade", Value::Float(2.0), Origin::Key).unwrap();
    let mut panel = panel(&table);
    hit(&mut panel, Key::Function(7));
    panel.look(SIZE, false);
    focus(&panel, row::control_id("controls", "/stage/crossfade"));
    panel.look(SIZE, false);
    panel.look(SIZE, false);
    hit(&mut panel, Key::Delete);
    assert_eq!(obey(&mut panel, &table), ["/stage/crossfade"]);
    assert_eq!(number(&table, "/stage/crossfade"), 1.0);
}

#[test]
fn the_panic_keys_are_on_every_page_and_the_letters_of_the_show_pass_through() {
    let table = table();
    let mut panel = panel(&table);
    for page in Page::ALL {
        hit(&mut panel, Key::Function(page.function_key()));
        panel.look(SIZE, false);
        for path in ["/stage/blackout", "/stage/freeze", "/stage/reset_effects", "/preset/back"] {
            let button = place_of(&panel, egui::Id::new(("panel panic", path)));
            click(&mut panel, button.center());
            assert_eq!(obey(&mut panel, &table), [path], "{page:?}");
        }
    }
    // Twice on, twice off.
    assert!(!panel.data.is_on("/stage/blackout"));
    for key in [Key::Character('b'), Key::Space, Key::Digit(1), Key::Backspace, Key::Function(11), Key::Home] {
        assert!(!hit(&mut panel, key), "{key:?}");
    }
    let quit = KeyPress {
        key: Key::Character('q'),
        modifiers: Modifiers { ctrl: true, ..Default::default() },
        pressed: true,
        repeat: false,
    };
    hit(&mut panel, Key::Character('/'));
    panel.look(SIZE, false);
    assert!(!panel.key(quit, None));
}

#[test]
fn learning_says_which_parameter_and_a_second_press_calls_it_off() {
    let table = table();
    let mut panel = panel(&table);
    hit(&mut panel, Key::Function(7));
    panel.look(SIZE, false);
    focus(&panel, row::control_id("controls", "/signal/gain"));
    panel.look(SIZE, false);
    panel.look(SIZE, false);
    for expected in ["/signal/gain", ""] {
        let learn = place_of(&panel, egui::Id::new(("panel learn", "/midi/learn")));
        click(&mut panel, learn.center());
        assert_eq!(obey(&mut panel, &table), ["/midi/learn"]);
        assert_eq!(&*table.handle("/midi/learn").unwrap().text(), expected);
    }
    assert!(panel.context.read_response(egui::Id::new(("panel learn", "/osc/learn"))).is_some());
}

/// The corners of every triangle.
fn drawn(shapes: gpu::Shapes) -> Vec<Pos2> {
    let mut corners = Vec::new();
    for clipped in shapes.primitives {
        if let egui::epaint::Primitive::Mesh(mesh) = clipped.primitive {
            corners.extend(mesh.indices.iter().map(|i| clipped.clip_rect.clamp(mesh.vertices[*i as usize].pos)));
        }
    }
    corners
}

#[test]
fn nothing_is_drawn_outside_on_any_page_in_a_window_of_any_shape() {
    let table = table();
    let mut panel = panel(&table);
    for size in [[1280, 800], [1920, 1080], [640, 480], [1080, 1920], [200, 120]] {
        let window = Rect::from_min_size(Pos2::ZERO, egui::vec2(size[0] as f32, size[1] as f32)).expand(1.0);
        for page in Page::ALL {
            panel.show(page);
            let corners = drawn(panel.look(size, false));
            assert!(corners.len() > 600, "{page:?} at {size:?}: {}", corners.len());
            assert!(corners.iter().all(|at| !at.any_nan() && window.contains(*at)), "{page:?} at {size:?}");
        }
    }
}

#[test]
fn a_panel_that_knows_nothing_yet_is_drawn_too() {
    let mut panel = Panel::default();
    for page in Page::ALL {
        panel.show(page);
        assert!(drawn(panel.look(SIZE, true)).len() > 200, "{page:?}");
    }
    assert!(panel.take_moves().is_empty());
}
