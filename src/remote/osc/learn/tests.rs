use tempfile::TempDir;

use super::*;
use crate::control::{Param, builtin};

struct Bench {
    table: Table,
    learn: Learn,
    now: Instant,
    folder: TempDir,
}

fn sender() -> Sender {
    Sender { address: ([127, 0, 0, 1], 5005).into(), origin: Origin::Osc }
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let table = Table::new(builtin());
        table.declare([Param::float("/test/log", 1.0, 100.0, 1.0).log()]);
        let learn = Learn::new(&table, Some(folder.path().join("wavedream/osc.toml"))).unwrap().0;
        Self { table, learn, now: Instant::now(), folder }
    }

    fn set(&mut self, path: &str, value: &str) -> Vec<String> {
        self.table.set(path, Value::text(value), Origin::Panel).unwrap();
        self.learn.follow(&self.table, self.now)
    }

    fn hear(&mut self, addr: &str, args: &[OscType]) -> Heard {
        let message = OscMessage { addr: addr.into(), args: args.to_vec() };
        self.learn.foreign(&self.table, &message, sender(), self.now)
    }

    /// Learns and expects that it worked.
    fn learn(&mut self, path: &str, addr: &str, args: &[OscType]) -> String {
        self.set("/osc/learn", path);
        match self.hear(addr, args) {
            Heard::Learned(sentence) => sentence,
            other => panic!("{other:?}"),
        }
    }

    fn number(&self, path: &str) -> f64 {
        self.table.handle(path).unwrap().number()
    }

    fn reopened(&self) -> Learn {
        let (learn, told) = Learn::new(&self.table, Some(self.folder.path().join("wavedream/osc.toml"))).unwrap();
        assert_eq!(told, Vec::<String>::new());
        learn
    }
}

fn f(value: f32) -> OscType {
    OscType::Float(value)
}

#[test]
fn the_next_foreign_address_moves_the_chosen_parameter_from_then_on() {
    let mut bench = Bench::new();
    assert_eq!(bench.hear("/1/fader3", &[f(0.2)]), Heard::Unknown);
    assert!(bench.set("/osc/learn", "/dream/vivid")[0].contains("move the control"));
    assert_eq!(bench.learn.report(bench.now).learning.as_deref(), Some("/dream/vivid"));
    assert_eq!(bench.hear("/1/fader3", &[f(0.75)]), Heard::Learned("OSC learn: /1/fader3 moves /dream/vivid".into()));
    assert_eq!((bench.number("/dream/vivid"), bench.table.get("/osc/learn").unwrap()), (0.5, Value::text("")));
    assert_eq!(bench.hear("/1/fader3", &[f(0.0)]), Heard::Moved);
    assert_eq!(bench.number("/dream/vivid"), -1.0);
    assert_eq!(bench.hear("/1/fader4", &[f(0.0)]), Heard::Unknown);
    assert_eq!(bench.table.handle("/dream/vivid").unwrap().origin(), Origin::Osc);
}

#[test]
fn what_was_learned_is_there_after_a_restart() {
    let mut bench = Bench::new();
    bench.learn("/test/log", "/1/fader3", &[f(0.5)]);
    let mut again = bench.reopened();
    let message = OscMessage { addr: "/1/fader3".into(), args: vec![f(1.0)] };
    assert_eq!(again.foreign(&bench.table, &message, sender(), bench.now), Heard::Moved);
    assert_eq!(bench.number("/test/log"), 100.0);
    bench.set("/osc/unlearn", "/1/fader3");
    assert_eq!(bench.reopened().listed(), "");
}

#[test]
fn a_control_of_0_to_127_or_of_any_range_reaches_both_ends() {
    let mut bench = Bench::new();
    bench.learn("/stage/master", "/cc/7", &[OscType::Int(1)]);
    bench.hear("/cc/7", &[OscType::Int(64)]);
    assert!((bench.number("/stage/master") - 64.0 / 127.0).abs() < 1e-9);
    bench.learn("/dream/vivid", "/sensor", &[f(800.0)]);
    for (value, expected) in [(1600.0, 1.0), (0.0, -1.0), (400.0, -0.5)] {
        bench.hear("/sensor", &[f(value)]);
        assert!((bench.number("/dream/vivid") - expected).abs() < 1e-9, "{value}");
    }
    // Once it has settled, what is beyond is the end, and the file has the range.
    bench.now += WIDENS;
    bench.learn.follow(&bench.table, bench.now);
    bench.hear("/sensor", &[f(100_000.0)]);
    bench.hear("/sensor", &[f(800.0)]);
    assert_eq!(bench.number("/dream/vivid"), 0.0);
    let bindings = bench.reopened().bindings.clone();
    let sensor = bindings.iter().find(|binding| binding.address == "/sensor").unwrap();
    assert_eq!((sensor.from, sensor.to), (0.0, 1600.0));
}

#[test]
fn of_several_arguments_the_one_that_changes_is_taken_with_the_range_it_had() {
    let mut bench = Bench::new();
    for (x, y) in [(9.7, -3.0), (9.8, 3.0), (9.75, 0.0)] {
        bench.hear("/acc", &[f(x), f(y), f(1.0)]);
    }
    let sentence = bench.learn("/dream/vivid", "/acc", &[f(9.76), f(3.0), f(1.0)]);
    assert_eq!(sentence, "OSC learn: argument 2 of /acc moves /dream/vivid");
    assert_eq!(bench.number("/dream/vivid"), 1.0);
    bench.hear("/acc", &[f(0.0), f(-3.0), f(0.0)]);
    assert_eq!(bench.number("/dream/vivid"), -1.0);
    assert!(matches!(bench.hear("/acc", &[f(0.0)]), Heard::Refused(why) if why.contains("no argument 2")));
}

#[test]
fn what_streams_by_itself_is_taken_only_if_nothing_else_comes() {
    let mut bench = Bench::new();
    for _ in 0..10 {
        bench.now += Duration::from_millis(16);
        bench.hear("/muse/acc", &[f(0.3)]);
    }
    bench.set("/osc/learn", "/dream/vivid");
    assert_eq!(bench.hear("/muse/acc", &[f(0.4)]), Heard::Unknown);
    assert!(matches!(bench.hear("/1/fader", &[f(0.4)]), Heard::Learned(_)));
    bench.set("/osc/learn", "/dream/bright");
    bench.now += STREAMS_WAIT;
    assert!(matches!(bench.hear("/muse/acc", &[f(0.4)]), Heard::Learned(_)));
}

#[test]
fn learning_again_moves_the_control_and_says_what_it_no_longer_moves() {
    let mut bench = Bench::new();
    bench.learn("/dream/vivid", "/a", &[f(0.5)]);
    bench.learn("/dream/vivid", "/b", &[f(0.5)]);
    assert_eq!(bench.learn.listed(), "/b moves /dream/vivid");
    let sentence = bench.learn("/dream/bright", "/b", &[f(0.5)]);
    assert_eq!(sentence, "OSC learn: /b moves /dream/bright; it no longer moves /dream/vivid");
    assert_eq!(bench.learn.listed(), "/b moves /dream/bright");
}

#[test]
fn a_button_fires_once_a_press_and_a_bang_toggles() {
    let mut bench = Bench::new();
    bench.learn("/preset/next", "/push", &[f(1.0)]);
    for value in [1.0, 0.0, 1.0, 1.0, 0.0] {
        bench.hear("/push", &[f(value)]);
    }
    assert_eq!(bench.table.handle("/preset/next").unwrap().pulses(), 2);
    bench.learn("/stage/freeze", "/bang", &[]);
    assert_eq!(bench.number("/stage/freeze"), 1.0);
    bench.hear("/bang", &[]);
    assert_eq!(bench.number("/stage/freeze"), 0.0);
}

#[test]
fn texts_choose_and_numbers_choose_evenly() {
    let mut bench = Bench::new();
    bench.learn("/latent/mapping", "/style", &[OscType::String("walk".into())]);
    assert_eq!(&*bench.table.handle("/latent/mapping").unwrap().text(), "walk");
    assert!(matches!(bench.hear("/style", &[OscType::String("waltz".into())]), Heard::Refused(_)));
    bench.learn("/latent/mapping", "/knob", &[f(1.0)]);
    assert_eq!(&*bench.table.handle("/latent/mapping").unwrap().text(), "spectral");
}

#[test]
fn a_message_that_cannot_move_it_leaves_learning_open() {
    let mut bench = Bench::new();
    bench.set("/osc/learn", "/dream/vivid");
    assert_eq!(bench.hear("/name", &[OscType::String("x".into())]), Heard::Unknown);
    assert_eq!(bench.hear("/blob", &[OscType::Blob(vec![1])]), Heard::Unknown);
    assert_eq!(bench.hear("/bang", &[]), Heard::Unknown);
    assert!(matches!(bench.hear("/fader", &[f(1.0)]), Heard::Learned(_)));
}

#[test]
fn a_path_that_is_none_is_told_and_an_empty_one_ends_learning() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.set("/osc/learn", "/dream/vivd"),
        ["OSC learn: there is no parameter /dream/vivd; did you mean /dream/vivid?"]
    );
    assert_eq!(bench.table.get("/osc/learn").unwrap(), Value::text(""));
    bench.set("/osc/learn", "/dream/vivid");
    bench.set("/osc/learn", "");
    assert_eq!(bench.hear("/fader", &[f(1.0)]), Heard::Unknown);
}

#[test]
fn forgetting_is_by_address_by_parameter_or_of_all() {
    let mut bench = Bench::new();
    for (path, addr) in
        [("/dream/vivid", "/a"), ("/dream/bright", "/b"), ("/stage/master", "/c"), ("/stage/freeze", "/d")]
    {
        bench.learn(path, addr, &[f(1.0)]);
    }
    assert_eq!(bench.set("/osc/unlearn", "/a"), ["OSC learn: 1 forgotten (/a)"]);
    assert_eq!(bench.set("/osc/unlearn", "/dream/bright"), ["OSC learn: 1 forgotten (/dream/bright)"]);
    assert_eq!(bench.set("/osc/unlearn", "/x"), ["OSC learn: nothing is bound to or by /x"]);
    assert_eq!(bench.set("/osc/unlearn", "all"), ["OSC learn: 2 forgotten (all)"]);
    assert_eq!((bench.learn.listed().as_str(), bench.hear("/a", &[f(0.0)])), ("", Heard::Unknown));
}

#[test]
fn a_range_that_runs_backwards_inverts() {
    let bench = Bench::new();
    let handle = bench.table.handle("/stage/master").unwrap();
    let mut binding = Binding::read("/a", Some(0), "/stage/master", 1.0, 0.0);
    binding.play(&bench.table, &handle, &[f(0.25)], Origin::Osc, bench.now).unwrap();
    assert_eq!(handle.number(), 0.75);
}

#[test]
fn the_newest_foreign_addresses_are_kept_and_no_more() {
    let mut bench = Bench::new();
    for at in 0..100 {
        bench.hear(&format!("/a/{at}"), &[f(0.5)]);
    }
    bench.hear("/a/90", &[f(0.25)]);
    let unknown = bench.learn.report(bench.now).unknown;
    assert_eq!(unknown.len(), MOST_FOREIGN);
    assert_eq!((unknown[0].as_str(), bench.learn.last_unknown()), ("/a/90 0.25 (2 times), 0 s ago", "/a/90 0.25"));
}
