//! The generating thread with a model that does as the test says.

use std::{
    collections::VecDeque,
    sync::{
        atomic::AtomicBool,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use super::{resident::KEPT, *};
use crate::{
    Stamp,
    diffusion::{Arriving, Card, GenerateError, Raw, Timing},
    latent::Shape,
};

/// Paints one pixel with the first value of the latent; waits for leave if it has a gate.
struct Scripted {
    card: Card,
    gate: Option<Receiver<()>>,
    begun: SyncSender<f32>,
    dropped: Arc<AtomicBool>,
    shade: u8,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
    }
}

impl Model for Scripted {
    fn card(&self) -> &Card {
        &self.card
    }
    fn flops(&self, _: Shape, _: usize) -> u64 {
        1
    }
    fn generate(
        &mut self,
        latent: &Latent,
        _: &Conditioning,
        _: usize,
        p: &mut Picture,
    ) -> Result<Timing, GenerateError> {
        let value = latent.values[0];
        self.begun.send(value).unwrap();
        if let Some(gate) = &self.gate {
            gate.recv_timeout(Duration::from_secs(10)).unwrap();
        }
        assert!(value < 900.0, "as planned");
        if value < 0.0 {
            return Err(GenerateError::Failed { model: "scripted".to_owned(), why: "told so".to_owned() });
        }
        (p.stamp, p.width, p.height) = (latent.stamp, 1, 1);
        p.rgba = vec![value as u8, self.shade, 0, 255];
        Ok(Timing { denoise_ms: 2.0, decode_ms: 1.0 })
    }
    fn generate_raw(&mut self, _: &Latent, _: &Conditioning, _: usize) -> Result<Raw, GenerateError> {
        unreachable!("not asked for")
    }
}

struct Stage {
    model: Box<dyn Model>,
    begun: Receiver<f32>,
    dropped: Arc<AtomicBool>,
}

fn scripted(shade: u8, gate: Option<Receiver<()>>) -> Stage {
    let (begun, seen) = sync_channel(100);
    let dropped = Arc::new(AtomicBool::new(false));
    let card = Card {
        name: format!("scripted {shade}"),
        genres: vec![],
        scene: vec![],
        context_width: 0,
        latent_channels: 1,
        factor: 1,
        multiple: 1,
        max_steps: 1,
        usual_steps: 1,
        reads_text: false,
        needs_signal: false,
        words: [0; 2],
        weights: 0,
        bytes: 0,
    };
    Stage { model: Box::new(Scripted { card, gate, begun, dropped: dropped.clone(), shade }), begun: seen, dropped }
}

fn started(model: Box<dyn Model>) -> Dreamer {
    Dreamer::start("first", model).unwrap().0
}

/// Asks the one that plays.
fn ask(dreamer: &Dreamer, value: f32) {
    let serial = lock(&dreamer.residents).models[0].serial;
    ask_of(dreamer, serial, value);
}

fn ask_of(dreamer: &Dreamer, serial: u64, value: f32) {
    let stamp = Stamp { hop: value.abs() as u64, signal_secs: 0.0, arrived: Instant::now() };
    let shape = Shape { channels: 1, height: 1, width: 1 };
    dreamer.submit(serial, Latent { stamp, shape, values: Arc::new([value]) }, Conditioning::default(), 1);
}

fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn of_the_requests_that_come_during_a_picture_only_the_newest_is_painted() {
    let (go, gate) = sync_channel(10);
    let stage = scripted(0, Some(gate));
    let dreamer = started(stage.model);
    ask(&dreamer, 1.0);
    assert_eq!(stage.begun.recv().unwrap(), 1.0);
    for value in [2.0, 3.0, 4.0] {
        ask(&dreamer, value);
    }
    go.send(()).unwrap();
    go.send(()).unwrap();
    assert_eq!(stage.begun.recv().unwrap(), 4.0);
    until(|| dreamer.latest().is_some_and(|p| p.stamp.hop == 4));
    let stats = dreamer.stats();
    assert_eq!((stats.pictures, stats.replaced, stats.picture.p50_ms > 0.0), (2, 2, true));
    assert_eq!((stats.denoise.p50_ms, stats.decode.p99_ms), (2.0, 1.0));
}

#[test]
fn a_failure_or_a_panic_keeps_the_last_picture_and_the_next_request_is_painted() {
    let stage = scripted(0, None);
    let dreamer = started(stage.model);
    ask(&dreamer, 5.0);
    until(|| dreamer.stats().pictures == 1);
    for (value, failures, said) in [(-1.0, 1, "told so"), (999.0, 2, "as planned")] {
        ask(&dreamer, value);
        until(|| dreamer.stats().failures == failures);
        assert!(dreamer.stats().error.unwrap().contains(said));
        assert_eq!(dreamer.latest().unwrap().rgba[0], 5);
    }
    ask(&dreamer, 6.0);
    until(|| dreamer.latest().is_some_and(|p| p.rgba[0] == 6));
    assert_eq!(dreamer.stats().error, None);
}

#[test]
fn a_resident_model_takes_over_while_the_other_is_in_the_middle_of_a_picture() {
    let (go, gate) = sync_channel(10);
    let (slow, quick) = (scripted(10, Some(gate)), scripted(20, None));
    let (dreamer, first) = Dreamer::start("slow", slow.model).unwrap();
    go.send(()).unwrap();
    ask(&dreamer, 1.0);
    until(|| dreamer.latest().is_some_and(|p| p.rgba[1] == 10 && p.model == first.serial));
    dreamer.keep("quick", quick.model).unwrap();
    ask(&dreamer, 2.0);
    slow.begun.recv().unwrap();
    slow.begun.recv().unwrap();

    let second = dreamer.play("quick").unwrap();
    ask_of(&dreamer, second.serial, 3.0);
    until(|| dreamer.latest().is_some_and(|p| p.rgba[..2] == [3, 20] && p.model == second.serial));
    assert_eq!((dreamer.stats().model.as_str(), dreamer.stats().pictures), ("scripted 20", 2));

    // The picture that comes too late is not shown, and a request that was made for the other model is nobody's.
    go.send(()).unwrap();
    ask_of(&dreamer, first.serial, 4.0);
    assert_eq!(dreamer.play("slow").unwrap().serial, first.serial);
    go.send(()).unwrap();
    ask_of(&dreamer, first.serial, 5.0);
    until(|| dreamer.latest().is_some_and(|p| p.rgba[..2] == [5, 10]));
    assert_eq!(dreamer.stats().pictures, 3);
    assert_eq!(slow.begun.try_iter().collect::<Vec<_>>(), [5.0]);
}

#[test]
fn a_model_that_is_let_go_frees_its_memory_and_the_one_that_plays_stays() {
    let (old, new) = (scripted(10, None), scripted(20, None));
    let (dreamer, _) = Dreamer::start("old", old.model).unwrap();
    dreamer.keep("new", new.model).unwrap();
    assert!(dreamer.play("nobody").is_none());
    dreamer.play("new").unwrap();
    let names = |dreamer: &Dreamer| dreamer.residents().iter().map(|r| (r.name.clone(), r.plays)).collect::<Vec<_>>();
    assert_eq!(names(&dreamer), [("new".to_owned(), true), ("old".to_owned(), false)]);
    assert!(!dreamer.let_go("new"));
    assert!(dreamer.let_go("old"));
    until(|| old.dropped.load(Ordering::SeqCst));
    assert_eq!(names(&dreamer), [("new".to_owned(), true)]);
    drop(dreamer);
    assert!(new.dropped.load(Ordering::SeqCst));
}

#[test]
fn a_picture_that_a_reader_holds_is_not_painted_over_and_others_are_reused() {
    let stage = scripted(0, None);
    let dreamer = started(stage.model);
    let mut held: VecDeque<Arc<Picture>> = VecDeque::new();
    let mut addresses = std::collections::BTreeSet::new();
    for value in 1..=50 {
        ask(&dreamer, value as f32);
        until(|| dreamer.latest().is_some_and(|p| p.stamp.hop == value));
        held.push_back(dreamer.latest().unwrap());
        addresses.insert(Arc::as_ptr(held.back().unwrap()) as usize);
        if held.len() > 2 {
            held.pop_front();
        }
        for (picture, hop) in held.iter().rev().zip((1..=value).rev()) {
            assert_eq!((picture.stamp.hop, u64::from(picture.rgba[0])), (hop, hop));
        }
    }
    assert!(addresses.len() <= KEPT, "{} pictures were allocated", addresses.len());
}

/// Its pixels come when they may, or not at all.
struct Distant {
    scripted: Box<dyn Model>,
    arrivals: Arc<Mutex<Receiver<Result<(), String>>>>,
}

impl Model for Distant {
    fn card(&self) -> &Card {
        self.scripted.card()
    }
    fn flops(&self, _: Shape, _: usize) -> u64 {
        1
    }
    fn generate(
        &mut self,
        latent: &Latent,
        with: &Conditioning,
        steps: usize,
        picture: &mut Picture,
    ) -> Result<Timing, GenerateError> {
        self.scripted.generate(latent, with, steps, picture)
    }
    fn begin(
        &mut self,
        latent: &Latent,
        with: &Conditioning,
        steps: usize,
        picture: &mut Picture,
    ) -> Result<(Timing, Option<Arriving>), GenerateError> {
        let timing = self.generate(latent, with, steps, picture)?;
        let (rgba, arrivals) = (std::mem::take(&mut picture.rgba), Arc::clone(&self.arrivals));
        let arriving = Arriving::new(move |into| {
            arrivals.lock().unwrap().recv_timeout(Duration::from_secs(10)).unwrap()?;
            *into = rgba;
            Ok(())
        });
        Ok((timing, Some(arriving)))
    }
    fn generate_raw(&mut self, _: &Latent, _: &Conditioning, _: usize) -> Result<Raw, GenerateError> {
        unreachable!("not asked for")
    }
}

fn distant() -> (Dreamer, Receiver<f32>, SyncSender<Result<(), String>>) {
    let (arrive, arrivals) = sync_channel(10);
    let stage = scripted(0, None);
    let model = Distant { scripted: stage.model, arrivals: Arc::new(Mutex::new(arrivals)) };
    (started(Box::new(model)), stage.begun, arrive)
}

#[test]
fn the_next_picture_is_begun_while_the_pixels_of_the_last_are_on_their_way() {
    let (dreamer, begun, arrive) = distant();
    ask(&dreamer, 1.0);
    assert_eq!(begun.recv_timeout(Duration::from_secs(10)), Ok(1.0));
    ask(&dreamer, 2.0);
    assert_eq!(begun.recv_timeout(Duration::from_secs(10)), Ok(2.0));
    assert!(dreamer.latest().is_none(), "nothing has come yet");
    for value in [1, 2] {
        arrive.send(Ok(())).unwrap();
        until(|| dreamer.latest().is_some_and(|p| p.rgba[0] == value));
        assert_eq!(dreamer.stats().pictures, u64::from(value));
    }
}

#[test]
fn pixels_that_do_not_come_keep_the_last_picture() {
    let (dreamer, _begun, arrive) = distant();
    ask(&dreamer, 1.0);
    arrive.send(Ok(())).unwrap();
    until(|| dreamer.stats().pictures == 1);
    ask(&dreamer, 2.0);
    arrive.send(Err("the card is gone".to_owned())).unwrap();
    until(|| dreamer.stats().error.is_some_and(|why| why == "the card is gone"));
    assert_eq!((dreamer.latest().unwrap().rgba[0], dreamer.stats().failures), (1, 1));
    ask(&dreamer, 3.0);
    arrive.send(Ok(())).unwrap();
    until(|| dreamer.latest().is_some_and(|p| p.rgba[0] == 3));
    assert_eq!(dreamer.stats().error, None);
}

#[test]
fn pictures_that_arrive_are_painted_over_again() {
    let (dreamer, _begun, arrive) = distant();
    let mut addresses = std::collections::BTreeSet::new();
    for value in 1..=30_u8 {
        ask(&dreamer, f32::from(value));
        arrive.send(Ok(())).unwrap();
        until(|| dreamer.latest().is_some_and(|p| p.rgba[0] == value));
        addresses.insert(Arc::as_ptr(&dreamer.latest().unwrap()) as usize);
    }
    assert!(addresses.len() <= KEPT, "{} pictures were allocated", addresses.len());
}
