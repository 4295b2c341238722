use super::*;

/// Frames at 60 a second and ticks of a clock with jitter, until `secs`; hands each frame's position out.
struct Stage {
    beat: Beat,
    now_secs: f64,
    tick: f64,
    tick_secs: f64,
    jitter_secs: f64,
    bpm: f64,
    /// No tick comes while this is true.
    silent: bool,
}

impl Stage {
    fn new(bpm: f64, jitter_secs: f64) -> Self {
        let beat = Beat::new(120.0);
        Self { beat, now_secs: 0.0, tick: 0.0, tick_secs: 0.0, jitter_secs, bpm, silent: false }
    }

    fn run(&mut self, secs: f64) -> Vec<f64> {
        let until = self.now_secs + secs;
        let mut positions = Vec::new();
        while self.now_secs < until {
            self.now_secs += 1.0 / 60.0;
            while self.tick_secs + self.jitter_secs < self.now_secs {
                // Chance that is the same in each run, and a slow wave such as two clocks beside each other make.
                let chance = (self.tick * 12.9898).sin() * 43758.5453;
                let jitter =
                    self.jitter_secs * (1.4 * (chance - chance.floor() - 0.5) + 0.3 * (self.tick * 0.42).sin());
                if !self.silent {
                    self.beat.clock(Clock::Tick, (self.tick_secs + jitter).max(0.0));
                }
                self.tick += 1.0;
                self.tick_secs += 60.0 / (self.bpm * 24.0);
            }
            self.beat.advance_to(self.now_secs);
            positions.push(self.beat.position());
        }
        positions
    }
}

fn phase_error(stage: &Stage) -> f64 {
    // What the clock would say at this moment, against what the beat says; whole ticks apart is the same phase.
    let clock = stage.tick - (stage.tick_secs - stage.now_secs) * stage.bpm * 24.0 / 60.0;
    let off = stage.beat.position() * 24.0 - clock;
    (off - off.round()) / 24.0
}

#[test]
fn it_runs_by_its_own_tempo() {
    let mut beat = Beat::new(90.0);
    for frame in 1..=600 {
        beat.advance_to(f64::from(frame) / 60.0);
    }
    assert!((beat.position() - 15.0).abs() < 1e-9);
    beat.advance_to(5.0);
    assert!((beat.position() - 15.0).abs() < 1e-9, "time does not go back");
}

#[test]
fn a_clock_with_jitter_is_followed_to_the_tempo_and_to_the_phase() {
    for bpm in [60.0, 100.0, 128.0, 174.0] {
        let mut stage = Stage::new(bpm, 0.003);
        stage.run(8.0);
        assert!(stage.beat.has_clock());
        assert!((stage.beat.bpm() / bpm - 1.0).abs() < 0.004, "{bpm}: {}", stage.beat.bpm());
        assert!(phase_error(&stage).abs() < 0.01, "{bpm}: off by {}", phase_error(&stage));
    }
}

#[test]
fn the_position_never_turns_back_and_runs_evenly_however_the_clock_shakes() {
    let mut stage = Stage::new(120.0, 0.004);
    stage.run(4.0);
    let positions = stage.run(8.0);
    for step in positions.windows(2).map(|pair| pair[1] - pair[0]) {
        assert!((step * 30.0 - 1.0).abs() < 0.1, "a step of {step} instead of {}", 1.0 / 30.0);
    }
}

#[test]
fn it_runs_on_when_the_clock_drops_out_and_finds_it_again() {
    let mut stage = Stage::new(140.0, 0.002);
    stage.run(4.0);
    stage.silent = true;
    let alone = stage.run(5.0);
    assert!(!stage.beat.has_clock());
    let expected = 140.0 / 60.0 / 60.0;
    assert!(alone.windows(2).all(|pair| ((pair[1] - pair[0]) / expected - 1.0).abs() < 0.1));
    assert!(phase_error(&stage).abs() < 0.1, "after five seconds alone");
    stage.silent = false;
    stage.run(2.0);
    assert!(stage.beat.has_clock() && phase_error(&stage).abs() < 0.01, "{}", phase_error(&stage));
}

#[test]
fn a_leap_of_the_tempo_is_followed_within_a_second() {
    for (before, after) in [(100.0, 150.0), (150.0, 75.0), (200.0, 60.0)] {
        let mut stage = Stage::new(before, 0.001);
        stage.run(5.0);
        stage.bpm = after;
        stage.run(1.0);
        assert!((stage.beat.bpm() / after - 1.0).abs() < 0.03, "{before} to {after}: {}", stage.beat.bpm());
    }
}

#[test]
fn lost_ticks_do_not_shift_the_beat() {
    let mut beat = Beat::new(120.0);
    for tick in 0..480 {
        let at = f64::from(tick) / 48.0;
        if tick % 50 != 7 && tick % 50 != 8 {
            beat.clock(Clock::Tick, at);
        }
        beat.advance_to(at);
    }
    assert!((beat.position() - 479.0 / 24.0).abs() < 0.02, "{}", beat.position());
}

#[test]
fn ticks_that_come_late_and_in_a_bunch_neither_shift_nor_hurry_the_beat() {
    let mut beat = Beat::new(120.0);
    for tick in 0..480 {
        let at = f64::from(tick) / 48.0;
        // Each second everything stands still for five ticks.
        let late = if tick % 48 >= 30 && tick % 48 < 35 { f64::from(35 - tick % 48) / 48.0 } else { 0.0 };
        beat.clock(Clock::Tick, at + late);
        beat.advance_to(at);
        assert!(tick < 48 || (beat.bpm() - 120.0).abs() < 3.0, "{}", beat.bpm());
    }
    assert!((beat.position() - 479.0 / 24.0).abs() < 0.05, "{}", beat.position());
}

#[test]
fn start_is_the_top_and_song_position_a_place() {
    let mut stage = Stage::new(120.0, 0.0);
    stage.run(3.3);
    stage.beat.clock(Clock::Start, stage.now_secs);
    let positions = stage.run(2.0);
    assert!(positions[1] < 0.1 && (positions.last().unwrap() - 4.0).abs() < 0.15, "{:?}", positions.last());
    stage.beat.clock(Clock::Position(64), stage.now_secs);
    stage.beat.clock(Clock::Continue, stage.now_secs);
    let positions = stage.run(0.5);
    assert!((positions[1] - 16.0).abs() < 0.1, "{}", positions[1]);
}

#[test]
fn a_beat_that_is_moved_bends_and_does_not_jump() {
    let mut beat = Beat::new(120.0);
    beat.advance_to(10.1);
    beat.align(10.1);
    let mut last = beat.position();
    for frame in 1..=60 {
        beat.advance_to(10.1 + f64::from(frame) / 60.0);
        assert!(beat.position() >= last && beat.position() - last < 0.12);
        last = beat.position();
    }
    // 20.2 beats at 10.1 s: the beat at 20 is meant, and a second later it is 22.
    assert!((beat.position() - 22.0).abs() < 1e-3, "{}", beat.position());
}

#[test]
fn mad_clocks_leave_it_sound() {
    let mut beat = Beat::new(120.0);
    for step in 0..2000 {
        let at = f64::from(step).sin() * 10.0 + f64::from(step) * 0.01;
        for clock in [Clock::Tick, Clock::Position(60000), Clock::Tick, Clock::Continue] {
            beat.clock(clock, if step % 7 == 0 { at } else { at.abs() });
        }
        beat.advance_to(at);
        assert!(beat.position().is_finite() && (SLOWEST_BPM..=FASTEST_BPM).contains(&beat.bpm()));
    }
}
