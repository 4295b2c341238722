//! A live source into a file while it plays, with its outlet killed and started again in the middle.

use wavedream::{
    app::recording::{SignalRecorder, SignalTap},
    signal::{self, Read},
};

use super::made::{Beat, Reader};
use super::outlet::Outlet;

#[test]
fn an_outlet_that_was_away_is_a_gap_of_its_length_and_every_other_sample_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session.npy");
    let start = || Outlet::start("recorded", "EEG", 2, 200.0, "float32", false);
    let outlet = start();
    let tap = SignalTap::default();
    let source = tap.wrap(signal::open("lsl://recorded?stale=0.5").unwrap());
    let recorder = SignalRecorder::start(&path, &tap).unwrap();
    let mut reader = Reader { source, frames: Vec::new(), messages: Vec::new(), ended: false };
    reader.until("it connects", || {}, |_| outlet.is_heard());
    let mut beat = Beat::new(200.0);
    let speak = |n: u64| outlet.push(&[n as f64, 0.5], None);
    reader.until("samples come", || beat.due(speak), |reader| reader.flow().received > 200);
    let before = beat.count;
    drop(outlet);
    reader.until("it is silent", || {}, |reader| reader.said("silent for"));
    let outlet = start();
    let mut beat = Beat::new(200.0);
    let speak = |n: u64| outlet.push(&[1e6 + n as f64, 0.5], None);
    reader.until("samples come again", || beat.due(speak), |reader| reader.flow().received > before + 200);
    let heard = reader.flow().received;
    let told = recorder.finish();
    assert!(told.iter().any(|text| text.contains("session.npy") && text.contains("2 channels")), "{told:?}");

    let mut file = signal::open(path.to_str().unwrap()).unwrap();
    let about = file.description().clone();
    assert_eq!((about.rate_hz, about.channels[0].name.as_str(), about.channels[0].unit.as_str()), (200.0, "E0", "uV"));
    let mut values = Vec::new();
    while matches!(file.read(4096, &mut values).unwrap(), Read::Frames(1..)) {}
    let first: Vec<f64> = values.as_chunks::<2>().0.iter().map(|frame| frame[0]).collect();
    let there: Vec<f64> = first.iter().copied().filter(|x| x.is_finite()).collect();
    assert!(there.len() as u64 <= heard && there.len() as u64 + 20 >= heard, "{} of {heard}", there.len());
    let jumps: Vec<_> = there.windows(2).filter(|pair| pair[1] != pair[0] + 1.0).collect();
    assert!(jumps.len() == 1 && jumps[0][1] >= 1e6, "{jumps:?}");
    let said = |text: &str| about.annotations.iter().filter(|told| told.text.contains(text)).collect::<Vec<_>>();
    assert_eq!(said("reconnected").len(), 1);
    let missing: f64 = said("bad: missing").iter().filter_map(|told| told.duration_secs).sum();
    let gap = first.iter().filter(|x| x.is_nan()).count() as f64 / 200.0;
    assert!((missing - gap).abs() < 0.02 && gap > 0.3, "{missing} s told, {gap} s missing");
}
