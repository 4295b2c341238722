use super::{bench::Bench, *};

const QUICK: Duration = Duration::from_millis(5);

fn watcher(bench: &Bench) -> Watcher {
    Watcher::start(Box::new(bench.clone()), QUICK).unwrap()
}

/// The next notice, within ten seconds.
fn next(watcher: &Watcher) -> Notice {
    watcher.notices.as_ref().unwrap().recv_timeout(Duration::from_secs(10)).unwrap()
}

fn came(device: u16, name: &str) -> Notice {
    Notice::Came { device: DeviceId(device), name: name.into(), has_output: true }
}

#[test]
fn a_controller_that_comes_back_keeps_its_number_and_plays() {
    let bench = Bench::default();
    let watcher = watcher(&bench);
    bench.plug("Pult");
    assert_eq!(next(&watcher), came(0, "Pult"));
    bench.plug("Other");
    assert_eq!(next(&watcher), came(1, "Other"));
    bench.pull("Pult");
    assert_eq!(next(&watcher), Notice::Gone { device: DeviceId(0), name: "Pult".into() });
    bench.plug("Pult");
    assert_eq!(next(&watcher), came(0, "Pult"));
    assert!(bench.play("Pult", &[0xB0, 1, 2]));
    let packet = watcher.packets.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!((packet.device, packet.bytes.to_vec()), (DeviceId(0), vec![0xB0, 1, 2]));
}

#[test]
fn two_controllers_of_the_same_name_are_two() {
    let bench = Bench::default();
    bench.plug("Pult");
    bench.plug("Pult");
    let watcher = watcher(&bench);
    assert_eq!([next(&watcher), next(&watcher)], [came(0, "Pult"), came(1, "Pult (2)")]);
}

#[test]
fn a_controller_that_is_busy_is_told_once_and_opens_when_it_is_free() {
    let bench = Bench::default();
    bench.plug("Pult");
    bench.refuse("Pult", true);
    let watcher = watcher(&bench);
    let Notice::Trouble(told) = next(&watcher) else { panic!("it was opened") };
    assert!(told.contains("Pult: it is busy") && told.contains("another program"), "{told}");
    std::thread::sleep(10 * QUICK);
    bench.refuse("Pult", false);
    assert_eq!(next(&watcher), came(0, "Pult"));
}

#[test]
fn what_goes_out_arrives_in_order_and_to_a_pulled_controller_not_at_all() {
    let bench = Bench::default();
    bench.plug("Pult");
    let watcher = watcher(&bench);
    next(&watcher);
    for value in 0..20 {
        assert!(watcher.send(DeviceId(0), Bytes::new(&[0xB0, 1, value])));
    }
    watcher.send(DeviceId(9), Bytes::new(&[0xB0, 1, 99]));
    drop(watcher);
    let sent = bench.sent("Pult");
    assert_eq!(sent.iter().map(|bytes| bytes[2]).collect::<Vec<_>>(), (0..20).collect::<Vec<u8>>());
}

#[test]
fn a_flood_that_nobody_reads_is_counted_and_takes_no_memory() {
    let bench = Bench::default();
    bench.plug("Pult");
    let watcher = watcher(&bench);
    next(&watcher);
    for _ in 0..MOST_WAITING + 10 {
        bench.play("Pult", &[0xF8]);
    }
    assert_eq!((watcher.dropped(), watcher.dropped()), (10, 0));
    assert_eq!(watcher.packets().count(), MOST_WAITING);
}
