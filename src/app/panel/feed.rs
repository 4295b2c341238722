//! Where the panel's values come from: the report of the signal, the dreamer's statistics, the desk.

use std::sync::Arc;

use super::data::{ModelRow, ModelState, PanelData, PresetTile};
use crate::{
    app::{live::Report, window},
    control::Presets,
    diffusion::{self, Inmate, Picture},
    signal,
};

/// Part of the samples on a rail above which a channel counts as clipped.
const CLIPPED: f64 = 0.01;
/// Part of the variance that is hum of the mains above which it is told.
const HUM: f64 = 0.3;
/// What is said of models that no list knows.
const FROM_A_FILE: &str = "from a file";
/// Hops between two reports of the scope.
const HOPS_A_SCOPE: u64 = 2;

/// Everything of the signal.
pub fn signal(data: &mut PanelData, report: &Report) {
    data.source = report.source.to_string();
    data.source_state = report.state.to_string();
    report.mapping.clone_into(&mut data.mapping);
    data.latent.clone_from(&report.latent);
    if let Some(trace) = &report.scope {
        let hop = report.latent.as_ref().map_or(0, |latent| latent.stamp.hop);
        let hop = hop - hop % HOPS_A_SCOPE;
        if data.scope_hop != hop || data.scope.traces.is_empty() {
            data.scope_hop = hop;
            scope(&mut data.scope, trace, &report.health);
        }
    }
    data.ailments = report.health.iter().filter_map(ailment).collect();
}

/// The traces with the health of each.
pub fn scope(scope: &mut window::Scope, trace: &signal::Trace, health: &[signal::Health]) {
    let samples = trace.channels.first().map_or(0, Vec::len);
    scope.span_secs = samples as f32 / trace.rate_hz as f32;
    scope.traces.resize_with(trace.channels.len(), window::Trace::default);
    for (channel, shown) in scope.traces.iter_mut().enumerate() {
        shown.name.clone_from(&trace.names[channel]);
        shown.samples.clone_from(&trace.channels[channel]);
        shown.health = health.get(channel).map_or(window::Health::Good, health_shown);
    }
}

fn health_shown(health: &signal::Health) -> window::Health {
    if health.flat {
        window::Health::Flat
    } else if health.clipped_fraction > CLIPPED {
        window::Health::Clipped
    } else if health.bridged > 0 {
        window::Health::Bridged
    } else {
        window::Health::Good
    }
}

/// What is wrong with a channel, in words; None for one that is well.
fn ailment(health: &signal::Health) -> Option<String> {
    let name = &health.name;
    if health.flat {
        return Some(format!("{name}: flat"));
    }
    if health.clipped_fraction > CLIPPED {
        return Some(format!("{name}: {:.0} % clipped", 100.0 * health.clipped_fraction));
    }
    let (hum, mains) = if health.hum_50 >= health.hum_60 { (health.hum_50, 50) } else { (health.hum_60, 60) };
    if hum > HUM {
        return Some(format!("{name}: {:.0} % hum of {mains} Hz", 100.0 * hum));
    }
    (health.bridged > 0).then(|| format!("{name}: {} samples bridged", health.bridged))
}

/// The presets in their order, and which of them plays.
pub fn presets(data: &mut PanelData, presets: &Presets, playing: Option<&str>) {
    data.presets.resize_with(presets.len(), PresetTile::default);
    for (tile, preset) in data.presets.iter_mut().zip(presets.iter()) {
        if tile.id != preset.id || tile.name != preset.name {
            *tile = PresetTile { id: preset.id.clone(), name: preset.name.clone(), about: preset.about.clone() };
        }
    }
    data.playing = presets.iter().position(|preset| Some(preset.id.as_str()) == playing);
}

/// The models that are known by name, those in memory (the one that plays first), and those that are being loaded.
pub fn models(data: &mut PanelData, resident: &[Inmate], loading: &[&str]) {
    let row = |name: &str, about: &str| {
        let here = resident.iter().find(|inmate| inmate.name == name);
        let state = match here {
            Some(inmate) if inmate.plays => ModelState::Playing,
            Some(_) => ModelState::Resident,
            None if loading.contains(&name) => ModelState::Loading,
            None => ModelState::OnDisk,
        };
        let memory = here.map_or(String::new(), |inmate| memory(inmate.bytes));
        ModelRow { name: name.into(), about: about.into(), memory, state }
    };
    // Those that were there before stay in the list: they can be gone back to.
    // What was only looked for is not.
    let was_there = |before: &ModelRow, now: &ModelRow| {
        before.about != FROM_A_FILE || before.state != ModelState::Loading || now.state != ModelState::OnDisk
    };
    let before = data.models.iter().map(|model| (model, row(&model.name, &model.about)));
    let mut models: Vec<ModelRow> = before.filter(|(before, now)| was_there(before, now)).map(|(_, now)| now).collect();
    if models.is_empty() {
        models.extend(
            diffusion::list().iter().filter(|entry| entry.paints).map(|entry| row(&entry.name, &entry.summary)),
        );
    }
    for name in resident.iter().map(|inmate| inmate.name.as_str()).chain(loading.iter().copied()) {
        if !models.iter().any(|model| model.name == name) {
            models.push(row(name, FROM_A_FILE));
        }
    }
    data.models = models;
}

/// "3.4 GB"
fn memory(bytes: u64) -> String {
    match bytes as f64 / 1e6 {
        mb if mb < 1000.0 => format!("{mb:.0} MB"),
        mb => format!("{:.1} GB", mb / 1e3),
    }
}

/// The newest picture.
pub fn picture(data: &mut PanelData, picture: Option<Arc<Picture>>) {
    data.picture = picture.or(data.picture.take());
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{
        Stamp,
        latent::{Latent, Shape},
    };

    fn health(name: &str) -> signal::Health {
        signal::Health { name: name.into(), rms: 1.0, min: -1.0, max: 1.0, ..signal::Health::default() }
    }

    fn report(hop: u64) -> Report {
        let shape = Shape { channels: 1, height: 1, width: 1 };
        let stamp = Stamp { hop, signal_secs: 0.0, arrived: Instant::now() };
        Report {
            scope: Some(Arc::new(signal::Trace {
                names: vec!["a".into(), "b".into()],
                rate_hz: 512.0,
                channels: vec![vec![hop as f32; 1024]; 2],
            })),
            health: vec![health("a"), signal::Health { flat: true, ..health("b") }].into(),
            latent: Some(Latent { stamp, shape, values: vec![0.0].into() }),
            ..Report::default()
        }
    }

    #[test]
    fn the_scope_is_copied_once_for_each_report_of_it() {
        let mut data = PanelData::default();
        signal(&mut data, &report(30));
        assert_eq!((data.scope_hop, data.scope.span_secs, data.scope.traces.len()), (30, 2.0, 2));
        assert_eq!(data.scope.traces[1].health, window::Health::Flat);
        assert_eq!(data.ailments, ["b: flat"]);
        // The hop between two reports has the same traces.
        signal(&mut data, &report(31));
        assert_eq!((data.scope_hop, data.scope.traces[0].samples[0]), (30, 30.0));
    }

    #[test]
    fn what_is_wrong_with_a_channel_is_told_with_how_much() {
        assert_eq!(ailment(&health("a")), None);
        let clipped = signal::Health { clipped_fraction: 0.12, ..health("a") };
        let hum = signal::Health { hum_60: 0.6, hum_50: 0.1, ..health("a") };
        let bridged = signal::Health { bridged: 3, ..health("a") };
        let told: Vec<_> = [clipped, hum, bridged].iter().filter_map(ailment).collect();
        assert_eq!(told, ["a: 12 % clipped", "a: 60 % hum of 60 Hz", "a: 3 samples bridged"]);
    }

    #[test]
    fn each_model_of_the_list_says_whether_it_plays_rests_loads_or_lies_on_the_disk() {
        let mut data = PanelData::default();
        let told = |data: &PanelData| data.models.iter().map(|m| (m.name.clone(), m.state)).collect::<Vec<_>>();
        let inmate = |name: &str, plays| Inmate { name: name.into(), bytes: 3_400_000_000, plays };
        let row = |name: &str, state| (name.to_owned(), state);
        models(&mut data, &[inmate("box", true)], &[]);
        assert_eq!(told(&data), [row("box", ModelState::Playing)]);
        models(&mut data, &[inmate("box", true)], &["sd.safetensors"]);
        assert_eq!(told(&data), [row("box", ModelState::Playing), row("sd.safetensors", ModelState::Loading)]);
        models(&mut data, &[inmate("sd.safetensors", true), inmate("box", false)], &[]);
        assert_eq!(told(&data), [row("box", ModelState::Resident), row("sd.safetensors", ModelState::Playing)]);
        assert_eq!(data.models[1].memory, "3.4 GB");
        models(&mut data, &[inmate("box", true)], &[]);
        assert_eq!(told(&data), [row("box", ModelState::Playing), row("sd.safetensors", ModelState::OnDisk)]);
        models(&mut data, &[inmate("box", true)], &["nowhere"]);
        models(&mut data, &[inmate("box", true)], &[]);
        assert_eq!(told(&data).len(), 2, "a model that was not there is not on the disk");
    }
}
