//! From raw bytes to a parameter.

use crate::control::{Origin, Value, midi::rig::Rig};

const VIVID: &str = "{ source = \"cc 1\", target = \"/dream/vivid\", takeover = \"none\" }";

#[test]
fn a_controller_moves_its_parameter_over_the_whole_range() {
    let mut rig = Rig::new(VIVID);
    for (value, vivid) in [(0, -1.0), (127, 1.0), (64, 0.008)] {
        rig.play(&[0xB0, 1, value]);
        assert_eq!(rig.number("/dream/vivid"), vivid);
    }
    assert_eq!(rig.table.handle("/dream/vivid").unwrap().origin(), Origin::Midi);
    rig.play(&[0xB0, 2, 0]);
    assert_eq!(rig.number("/dream/vivid"), 0.008, "another controller");
}

#[test]
fn a_channel_is_one_and_none_is_any() {
    let mut rig = Rig::new("{ source = \"cc 1\", channel = 3, target = \"/dream/vivid\", takeover = \"none\" }");
    rig.play(&[0xB1, 1, 127]);
    assert_eq!(rig.number("/dream/vivid"), 0.0);
    rig.play(&[0xB2, 1, 127]);
    assert_eq!(rig.number("/dream/vivid"), 1.0);
    let mut rig = Rig::new(VIVID);
    rig.play(&[0xBF, 1, 127]);
    assert_eq!(rig.number("/dream/vivid"), 1.0);
}

#[test]
fn range_direction_and_curve_shape_the_way() {
    let mut rig = Rig::new(
        "{ source = \"cc 1\", target = \"/dream/vivid\", takeover = \"none\", range = [-0.5, 0.5] },
         { source = \"cc 2\", target = \"/dream/bright\", takeover = \"none\", invert = true },
         { source = \"cc 3\", target = \"/stage/master\", takeover = \"none\", curve = \"slow\" },
         { source = \"cc 4\", target = \"/signal/gain\", takeover = \"none\", range = [1, 100] }",
    );
    rig.play(&[0xB0, 1, 127, 2, 127, 3, 64, 4, 0]);
    assert_eq!(rig.number("/dream/vivid"), 0.5);
    assert_eq!(rig.number("/dream/bright"), -1.0);
    assert_eq!(rig.number("/stage/master"), 0.254, "a quarter at the middle");
    assert_eq!(rig.number("/signal/gain"), 1.0);
    rig.play(&[0xB0, 4, 127]);
    assert_eq!(rig.number("/signal/gain"), 100.0);
}

#[test]
fn a_pair_of_fourteen_bits_is_finer_in_either_order() {
    let mut rig = Rig::new("{ source = \"cc14 7\", target = \"/stage/master\", takeover = \"none\" }");
    let exact = |rig: &Rig| rig.table.handle("/stage/master").unwrap().number() * 16383.0;
    rig.play(&[0xB0, 7, 64, 39, 1]);
    assert!((exact(&rig) - 8193.0).abs() < 1e-6);
    rig.wait(0.1);
    rig.play(&[0xB0, 39, 2]);
    assert!((exact(&rig) - 8194.0).abs() < 1e-6, "the fine half alone");
    let mut rig = Rig::new("{ source = \"cc14 7\", target = \"/stage/master\", takeover = \"none\" }");
    rig.play(&[0xB0, 39, 127, 7, 63]);
    assert!((exact(&rig) - 8191.0).abs() < 1e-6);
    rig.play(&[0xB0, 39, 0, 7, 64]);
    assert!((exact(&rig) - 8192.0).abs() < 1e-6, "it never read 64 with the old fine half");
}

#[test]
fn nrpn_bend_and_pressure_move_parameters() {
    let mut rig = Rig::new(
        "{ source = \"nrpn 300\", target = \"/stage/master\", takeover = \"none\" },
         { source = \"bend\", target = \"/dream/vivid\", takeover = \"none\" },
         { source = \"pressure\", target = \"/dream/bright\", takeover = \"none\" },
         { source = \"pressure 60\", target = \"/latent/drive\", takeover = \"none\" }",
    );
    rig.play(&[0xB0, 99, 2, 98, 44, 6, 64, 38, 0]);
    assert_eq!(rig.number("/stage/master"), 0.5);
    rig.play(&[0xB0, 97, 0]);
    assert_eq!(rig.number("/stage/master"), 0.49, "data decrement is a step");
    rig.play(&[0xE0, 0, 0x40, 0xD0, 127, 0xA0, 60, 127]);
    assert_eq!(rig.number("/dream/vivid"), 0.0, "a bend at rest is the middle");
    assert_eq!((rig.number("/dream/bright"), rig.number("/latent/drive")), (1.0, 4.0));
}

#[test]
fn a_relative_encoder_turns_from_where_the_parameter_is() {
    for (way, up, down) in [("twos-complement", 1, 127), ("binary-offset", 65, 63), ("signed-bit", 1, 65)] {
        let control = format!("{{ source = \"cc 1\", target = \"/stage/master\", way = \"{way}\", step = 0.1 }}");
        let mut rig = Rig::new(&control);
        rig.set("/stage/master=0.5");
        rig.play(&[0xB0, 1, up, 1, up]);
        assert_eq!(rig.number("/stage/master"), 0.7, "{way}");
        rig.set("/stage/master=0.2");
        rig.play(&[0xB0, 1, down]);
        assert_eq!(rig.number("/stage/master"), 0.1, "{way}");
        rig.play(&[0xB0, 1, down, 1, down]);
        assert_eq!(rig.number("/stage/master"), 0.0, "{way}: it ends at the end");
    }
}

#[test]
fn a_relative_encoder_steps_through_values() {
    let mut rig = Rig::new(
        "{ source = \"cc 1\", target = \"/latent/mapping\", way = \"twos-complement\" },
         { source = \"cc 2\", target = \"/dream/steps\", way = \"twos-complement\" },
         { source = \"cc 3\", target = \"/stage/freeze\", way = \"twos-complement\" }",
    );
    rig.play(&[0xB0, 1, 2, 2, 1, 3, 1]);
    assert_eq!(rig.value("/latent/mapping"), Value::text("gauss"));
    assert_eq!((rig.value("/dream/steps"), rig.value("/stage/freeze")), (Value::Int(2), Value::Bool(true)));
    rig.play(&[0xB0, 1, 120, 3, 127]);
    assert_eq!((rig.value("/latent/mapping"), rig.value("/stage/freeze")), (Value::text("flow"), Value::Bool(false)));
}

#[test]
fn a_note_does_what_fits_its_parameter() {
    let mut rig = Rig::new(
        "{ source = \"note 1\", target = \"/stage/freeze\" },
         { source = \"note 2\", target = \"/preset/next\" },
         { source = \"note 3\", target = \"/latent/mapping\" },
         { source = \"note 4\", target = \"/stage/master\" }",
    );
    let (press, release) = (|note| [0x90, note, 100], |note| [0x80, note, 0]);
    rig.set("/stage/master=0.3");
    for note in 1..=4 {
        rig.play(&press(note));
    }
    assert_eq!((rig.value("/stage/freeze"), rig.pulses("/preset/next")), (Value::Bool(true), 1));
    assert_eq!((rig.value("/latent/mapping"), rig.number("/stage/master")), (Value::text("paper"), 1.0));
    for note in 1..=4 {
        rig.play(&release(note));
    }
    assert_eq!((rig.value("/stage/freeze"), rig.pulses("/preset/next")), (Value::Bool(true), 1));
    assert_eq!((rig.value("/latent/mapping"), rig.number("/stage/master")), (Value::text("paper"), 0.0), "a gate");
    rig.play(&press(1));
    assert_eq!(rig.value("/stage/freeze"), Value::Bool(false), "toggled back");
}

#[test]
fn a_note_toggles_gates_fires_steps_sets_or_takes_its_velocity() {
    let mut rig = Rig::new(
        "{ source = \"note 1\", target = \"/stage/master\", way = \"toggle\", range = [0.2, 0.8] },
         { source = \"note 2\", target = \"/dream/vivid\", way = \"velocity\" },
         { source = \"note 3\", target = \"/latent/mapping\", way = \"step\", step = -1 },
         { source = \"note 4\", target = \"/dream/size\", value = \"256\" },
         { source = \"note 5\", target = \"/preset\", value = \"coral\" },
         { source = \"note 6\", target = \"/stage/blackout\", way = \"gate\" }",
    );
    rig.play(&[0x90, 1, 9, 2, 127, 3, 9, 4, 9, 5, 9, 6, 9]);
    assert_eq!((rig.number("/stage/master"), rig.number("/dream/vivid")), (0.2, 1.0));
    assert_eq!((rig.value("/latent/mapping"), rig.value("/dream/size")), (Value::text("spectral"), Value::text("256")));
    assert_eq!((rig.value("/preset"), rig.value("/stage/blackout")), (Value::text("coral"), Value::Bool(true)));
    rig.play(&[0x90, 1, 0, 1, 9, 2, 0, 2, 64, 6, 0]);
    assert_eq!((rig.number("/stage/master"), rig.number("/dream/vivid")), (0.8, 0.008));
    assert_eq!(rig.value("/stage/blackout"), Value::Bool(false));
}

#[test]
fn a_value_that_does_not_fit_is_told_and_moves_nothing() {
    let mut rig = Rig::new("{ source = \"note 4\", target = \"/dream/size\", value = \"huge\" }");
    rig.play(&[0x90, 4, 9]);
    assert_eq!(rig.value("/dream/size"), Value::text("512"));
    let told = rig.told();
    assert!(told.len() == 1 && told[0].contains("512, 384, 256") && told[0].contains("huge"), "{told:?}");
}

#[test]
fn a_button_that_sends_a_controller_acts_once_a_press() {
    let mut rig = Rig::new(
        "{ source = \"cc 41\", target = \"/stage/freeze\", way = \"button\" },
         { source = \"cc 42\", target = \"/preset/next\", way = \"button\" }",
    );
    for value in [127, 127, 0, 127, 0] {
        rig.play(&[0xB0, 41, value, 42, value]);
    }
    assert_eq!((rig.value("/stage/freeze"), rig.pulses("/preset/next")), (Value::Bool(false), 2));
}

#[test]
fn a_program_change_recalls_the_preset_of_its_number() {
    let mut rig = Rig::new(
        "{ source = \"program\", target = \"/preset\" },
         { source = \"program 9\", target = \"/stage/freeze\" }",
    );
    rig.play(&[0xC0, 2]);
    assert_eq!(rig.value("/preset"), Value::text("3"), "counted from 1, as presets are");
    rig.play(&[0xC0, 9]);
    assert_eq!((rig.value("/preset"), rig.value("/stage/freeze")), (Value::text("10"), Value::Bool(true)));
}

#[test]
fn a_fader_on_a_trigger_fires_when_it_passes_the_middle_upwards() {
    let mut rig = Rig::new("{ source = \"cc 1\", target = \"/preset/next\" }");
    for value in [10, 60, 70, 100, 127, 30, 90] {
        rig.play(&[0xB0, 1, value]);
    }
    assert_eq!(rig.pulses("/preset/next"), 2);
}

#[test]
fn pick_up_waits_for_the_value_and_lets_go_when_it_moves_by_another_way() {
    let mut rig = Rig::new("{ source = \"cc 1\", target = \"/stage/master\" }");
    rig.set("/stage/master=0.5");
    rig.play(&[0xB0, 1, 10, 1, 40]);
    assert_eq!(rig.number("/stage/master"), 0.5, "not there yet");
    rig.play(&[0xB0, 1, 80]);
    assert_eq!(rig.number("/stage/master"), 0.63, "passed it");
    rig.play(&[0xB0, 1, 127]);
    assert_eq!(rig.number("/stage/master"), 1.0);
    rig.set("/stage/master=0.2");
    rig.play(&[0xB0, 1, 120]);
    assert_eq!(rig.number("/stage/master"), 0.2, "a panel moved it: pick it up again");
    rig.play(&[0xB0, 1, 20]);
    assert_eq!(rig.number("/stage/master"), 0.157);
}

#[test]
fn a_glide_of_a_preset_is_not_disturbed_by_a_resting_fader_and_needs_a_pick_up() {
    let mut rig = Rig::new("{ source = \"cc 1\", target = \"/stage/master\" }");
    rig.play(&[0xB0, 1, 127]);
    rig.table.set_smooth("/stage/master", Value::Float(0.0), 1.0, Origin::Preset).unwrap();
    for _ in 0..70 {
        rig.table.tick(1.0 / 60.0);
        rig.frames(1);
    }
    assert_eq!(rig.number("/stage/master"), 0.0);
    rig.play(&[0xB0, 1, 120]);
    assert_eq!(rig.number("/stage/master"), 0.0);
}

#[test]
fn pick_up_works_for_choices_by_their_value() {
    let mut rig = Rig::new("{ source = \"cc 1\", target = \"/latent/mapping\" }");
    rig.set("/latent/mapping=spectral");
    rig.play(&[0xB0, 1, 0, 1, 60]);
    assert_eq!(rig.value("/latent/mapping"), Value::text("spectral"));
    rig.play(&[0xB0, 1, 115]);
    rig.play(&[0xB0, 1, 0]);
    assert_eq!(rig.value("/latent/mapping"), Value::text("flow"), "it had the same value at 115");
}

#[test]
fn value_scaling_moves_at_once_and_meets_at_the_end() {
    let mut rig = Rig::new("{ source = \"cc 1\", target = \"/stage/master\", takeover = \"scale\" }");
    rig.set("/stage/master=0.5");
    rig.play(&[0xB0, 1, 0]);
    assert_eq!(rig.number("/stage/master"), 0.5, "the first message only tells where it stands");
    rig.play(&[0xB0, 1, 32]);
    assert_eq!(rig.number("/stage/master"), 0.626, "a quarter of the way up is a quarter of the way left");
    rig.play(&[0xB0, 1, 127]);
    assert_eq!(rig.number("/stage/master"), 1.0);
    rig.play(&[0xB0, 1, 64]);
    assert_eq!(rig.number("/stage/master"), 0.504, "together from there on");
}

#[test]
fn smoothing_arrives_evenly_and_gives_way_to_others() {
    let control = "{ source = \"cc 1\", target = \"/stage/master\", takeover = \"none\", smooth_secs = 0.2 }";
    let mut rig = Rig::new(control);
    rig.set("/stage/master=0");
    rig.play(&[0xB0, 1, 127]);
    let mut last = 0.0;
    for _ in 0..60 {
        rig.frames(1);
        let now = rig.number("/stage/master");
        assert!(now >= last && now - last < 0.09, "{last} to {now}");
        last = now;
    }
    assert!(last > 0.98);
    rig.wait(2.0);
    assert_eq!(rig.table.get("/stage/master").unwrap(), Value::Float(1.0), "exactly");
    rig.play(&[0xB0, 1, 0]);
    rig.set("/stage/master=0.7");
    rig.wait(1.0);
    assert_eq!(rig.number("/stage/master"), 0.7, "the panel has the last word");
}

#[test]
fn a_parameter_that_comes_and_goes_is_found_again() {
    let control = "{ source = \"cc 1\", target = \"/effect/new/amount\", takeover = \"none\" }";
    let mut rig = Rig::new(control);
    rig.play(&[0xB0, 1, 127]);
    rig.table.declare([crate::control::Param::float("/effect/new/amount", 0.0, 1.0, 0.0)]);
    rig.play(&[0xB0, 1, 127]);
    assert_eq!(rig.number("/effect/new/amount"), 1.0);
    rig.table.retire("/effect/new");
    rig.play(&[0xB0, 1, 0]);
    assert!(rig.told().is_empty());
}
