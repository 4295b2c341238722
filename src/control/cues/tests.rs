use super::*;
use crate::control::{Folders, Local, builtin};

fn list(text: &str) -> CueList {
    CueList::parse(&format!("version = 1\n{text}"), "x.toml").unwrap()
}

fn refusal(text: &str) -> String {
    let table = Table::new(builtin());
    let presets = Presets::load(&table, Folders::default()).0;
    match CueList::parse(text, "x.toml") {
        Ok(list) => list.check(&table, &presets).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

/// Plays for so many tenths of a second; gives the tenth at which each cue came.
fn played(player: &mut Player, list: &CueList, tenths: usize) -> Vec<(usize, usize)> {
    let mut came = Vec::new();
    for tenth in 0..tenths {
        came.extend(player.tick(list, 0.1, 0.2, false, Asked::Nothing).into_iter().map(|place| (tenth + 1, place)));
    }
    came
}

const TIMED: &str = "[[cue]]\nset = { \"/dream/vivid\" = 0 }\nat = 1\n[[cue]]\nset = { \"/dream/vivid\" = 1 }\nafter = 2.05\n\
                     [[cue]]\nset = { \"/dream/vivid\" = 0 }\nat = \"0:04\"\n[[cue]]\nset = { \"/dream/vivid\" = 1 }\nbeats = 4\n";

#[test]
fn cues_come_at_their_time_after_the_one_before_and_by_the_beat() {
    let list = list(TIMED);
    let came = played(&mut Player::default(), &list, 100);
    assert_eq!(came, [(10, 0), (31, 1), (40, 2), (60, 3)]);
}

#[test]
fn what_comes_late_to_a_tick_does_not_push_back_what_follows() {
    let every = "[[cue]]\nset = { \"/dream/vivid\" = 0 }\nafter = 0.35\n";
    let list = list(&format!("loop = true\n{every}"));
    let came = played(&mut Player::default(), &list, 350);
    assert_eq!(came.len(), 100, "a hundred times 0.35 s in 35 s, at ticks of 0.1 s");
}

#[test]
fn a_list_that_loops_begins_again_after_its_length() {
    let list = list(&format!("loop = true\nlength = 8\n{TIMED}"));
    let came = played(&mut Player::default(), &list, 190);
    let firsts: Vec<_> = came.iter().filter(|(_, place)| *place == 0).map(|(tenth, _)| *tenth).collect();
    assert_eq!(firsts, [10, 90, 170]);
    assert_eq!(&came[4..8], [(90, 0), (111, 1), (120, 2), (140, 3)]);
}

#[test]
fn a_cue_without_a_time_waits_for_go_and_the_clock_of_the_list_with_it() {
    let list = list(
        "[[cue]]\nset = { \"/dream/vivid\" = 0 }\nat = 0\n[[cue]]\nset = { \"/dream/vivid\" = 1 }\n\
         [[cue]]\nset = { \"/dream/vivid\" = 0 }\nat = 2\n",
    );
    let mut player = Player::default();
    assert_eq!(played(&mut player, &list, 100), [(1, 0)]);
    assert_eq!(player.left_secs(&list), None);
    assert_eq!(player.tick(&list, 0.1, 0.0, false, Asked::Go), [1]);
    assert_eq!(played(&mut player, &list, 100), [(18, 2)], "two seconds of the list's own time");
    assert_eq!((player.now(), player.next(&list)), (Some(2), None));
}

#[test]
fn go_back_and_goto_take_the_clock_with_them() {
    let list = list(TIMED);
    let mut player = Player::default();
    assert_eq!(player.tick(&list, 0.1, 0.2, false, Asked::Go), [0]);
    assert_eq!(played(&mut player, &list, 25), [(20, 1)], "2.05 s after the go");
    assert_eq!(player.tick(&list, 0.1, 0.2, false, Asked::Back), [0]);
    assert_eq!(player.tick(&list, 0.1, 0.2, false, Asked::Goto(2)), [2]);
    assert_eq!(player.tick(&list, 0.1, 0.2, false, Asked::Goto(9)), Vec::<usize>::new());
    assert_eq!(player.now(), Some(2));
}

#[test]
fn on_hold_time_stands_still_and_hands_still_work() {
    let list = list(TIMED);
    let mut player = Player::default();
    played(&mut player, &list, 12);
    let left = player.left_secs(&list);
    for _ in 0..100 {
        assert!(player.tick(&list, 0.1, 0.2, true, Asked::Nothing).is_empty());
    }
    assert_eq!(player.left_secs(&list), left);
    assert_eq!(player.tick(&list, 0.1, 0.2, true, Asked::Go), [1]);
}

#[test]
fn a_list_that_is_read_again_stays_at_its_cue() {
    let named = |names: &[&str]| {
        let cue = |name: &&str| format!("[[cue]]\nname = \"{name}\"\nset = {{ \"/dream/vivid\" = 0 }}\nafter = 1\n");
        list(&names.iter().map(cue).collect::<String>())
    };
    let before = named(&["a", "b", "c"]);
    let mut player = Player::default();
    played(&mut player, &before, 25);
    assert_eq!(player.now(), Some(1));
    player.follow(&before, &named(&["new", "a", "b", "c"]));
    assert_eq!(player.now(), Some(2));
    player.follow(&before, &named(&["x"]));
    assert_eq!(player.now(), Some(0));
}

#[test]
fn a_fault_names_the_line_and_the_way_out() {
    for (text, expected) in [
        ("name = \"x\"", "x.toml: is not a list of cues"),
        ("version = 2\n", "newer wavedream"),
        ("version = 1\n", "has neither a [[cue]] nor a [schedule]"),
        ("version = 1\nlop = true\n", "line 2: there is no key “lop” here; did you mean loop?"),
        (
            "version = 1\n[[cue]]\npreset = \"a\"\nat = \"soon\"\n",
            "line 4: at takes seconds, or a time such as \"1:30\"",
        ),
        ("version = 1\n[[cue]]\npreset = \"a\"\nat = -3\n", "line 4: at takes seconds"),
        ("version = 1\n[[cue]]\nat = 3\n", "line 2: this cue does nothing"),
        ("version = 1\n[[cue]]\npreset = \"a\"\nat = 3\nafter = 2\n", "line 2: a cue comes `at` a time"),
        ("version = 1\n[[cue]]\npreset = \"inkk\"\n", "line 2: there is no preset “inkk”"),
        (
            "version = 1\n[[cue]]\nset = { \"/dream/vivd\" = 1 }\n",
            "line 3: there is no parameter /dream/vivd; did you mean",
        ),
        ("version = 1\n[[cue]]\nset = { \"/cue/hold\" = true }\n", "line 3: /cue/hold cannot be set by a cue"),
        ("version = 1\n[[cue]]\nset = { \"/dream/vivid\" = \"lots\" }\n", "line 3: /dream/vivid takes a number"),
        ("version = 1\ncue = 3\n", "line 2: cue is a list: write [[cue]]"),
        ("version = 1\nloop = true\n[[cue]]\npreset = \"a\"\nat = 0\n", "length = "),
        ("version = 1\n[schedule]\nzone = \"Mars\"\n", "line 3: the time zone Mars is not known"),
        ("version = 1\n[[schedule.open]]\nfrom = \"10:00\"\n", "line 2: `to` is missing"),
        ("version = 1\n[[schedule.open]]\nfrom = \"25:00\"\nto = \"26:00\"\n", "line 3: from takes a time of day"),
        ("version = 1\n[[schedule.open]]\ndays = \"mun\"\nfrom = \"1:00\"\nto = \"2:00\"\n", "line 3: days takes"),
        ("version = 1\n[[schedule.dim]]\nfrom = \"1:00\"\nto = \"2:00\"\nlevel = 7\n", "line 5: level takes a number"),
    ] {
        let found = refusal(text);
        assert!(found.starts_with("x.toml") && found.contains(expected) && !found.contains('\n'), "{text:?}: {found}");
    }
}

#[test]
fn whatever_bytes_a_file_holds_the_answer_is_a_list_or_one_sentence() {
    let whole = format!(
        "version = 1\nname = \"X\"\n{TIMED}[[schedule.open]]\ndays = \"mon-fri\"\nfrom = \"1:00\"\nto = \"2:00\"\n"
    );
    let mut state = 1u32;
    for round in 0..2000 {
        let mut bytes = whole.as_bytes()[..round % whole.len()].to_vec();
        for _ in 0..round % 7 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = state as usize % (bytes.len() + 1);
            bytes.insert(at, (state >> 24) as u8);
        }
        if let Err(error) = CueList::parse(&String::from_utf8_lossy(&bytes), "x.toml") {
            assert!(error.to_string().starts_with("x.toml"), "{error}");
        }
    }
}

/// Sunday is 0 here, 2026-03-01.
fn moment(days_after_sunday: i64, hours: u32, minutes: u32) -> Local {
    let sunday = 20_513;
    Local { day: sunday + days_after_sunday, secs: hours * 3600 + minutes * 60 }
}

#[test]
fn the_hours_of_a_week_are_kept_past_midnight_too() {
    let list = list(
        "[schedule]\nzone = \"UTC\"\n[[schedule.open]]\ndays = \"tue-thu, sat\"\nfrom = \"10:00\"\nto = \"18:00\"\n\
         [[schedule.open]]\ndays = \"sat\"\nfrom = \"20:00\"\nto = \"02:00\"\n\
         [[schedule.dim]]\nfrom = \"17:30\"\nto = \"18:00\"\nlevel = 0.4\n",
    );
    let schedule = list.schedule.unwrap();
    assert_eq!(moment(0, 0, 0).weekday(), 6);
    for (when, level, state) in [
        (moment(1, 12, 0), 0.0, "closed until tue 10:00"),
        (moment(2, 9, 59), 0.0, "closed until 10:00"),
        (moment(2, 10, 0), 1.0, "open until 17:30"),
        (moment(2, 17, 30), 0.4, "dimmed to 0.4 until 18:00"),
        (moment(2, 18, 0), 0.0, "closed until wed 10:00"),
        (moment(6, 23, 0), 1.0, "open until sun 02:00"),
        (moment(7, 1, 59), 1.0, "open until 02:00"),
        (moment(7, 2, 0), 0.0, "closed until tue 10:00"),
    ] {
        assert_eq!((schedule.level(when), schedule.state(when).as_str()), (level, state), "{when:?}");
    }
}
