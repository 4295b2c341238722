//! `wavedream models fetch` against a small hub of these tests.

use std::{path::Path, time::Duration};

use wavedream::diffusion::hub::{Event, FetchError, Fetched, Place, fetch};

use super::{
    hub::{COMMIT, Hub, REPO},
    wavedream,
};

/// A part of a pipeline, large enough to be cut.
fn weights(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i as u32).wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect()
}

fn pipeline() -> Vec<(&'static str, Vec<u8>)> {
    let json = || b"{}\n".to_vec();
    vec![
        ("README.md", b"---\nlicense: mit\n---\n".to_vec()),
        ("model_index.json", json()),
        ("unet/config.json", json()),
        ("unet/diffusion_pytorch_model.safetensors", weights(900_000)),
        ("unet/diffusion_pytorch_model.fp16.safetensors", weights(400_000)),
        ("vae/config.json", json()),
        ("vae/diffusion_pytorch_model.safetensors", weights(300_000)),
        ("safety_checker/model.safetensors", weights(10)),
        ("scheduler/scheduler_config.json", json()),
    ]
}

fn place(hub: &Hub, cache: &Path) -> Place {
    Place {
        endpoint: hub.address.clone(),
        cache: cache.to_owned(),
        token: None,
        offline: false,
        pause: Duration::from_millis(1),
    }
}

fn get(place: &Place) -> Result<Fetched, FetchError> {
    fetch(place, REPO, false, &mut |_| {})
}

/// The files of the snapshot are those of the hub.
fn check(fetched: &Fetched) {
    for (name, body) in pipeline().into_iter().filter(|(n, _)| !n.contains("fp16") && !n.contains("safety")) {
        assert_eq!(std::fs::read(fetched.snapshot.join(name)).unwrap(), body, "{name}");
    }
}

#[test]
fn a_pipeline_arrives_whole_in_the_layout_that_other_programs_share() {
    let (hub, cache) = (Hub::start(&pipeline()), tempfile::tempdir().unwrap());
    let fetched = get(&place(&hub, cache.path())).unwrap();
    check(&fetched);
    assert_eq!((fetched.files, fetched.bytes), (7, 1_200_000 + 21 + 3));
    let folder = cache.path().join("models--tester--tiny");
    assert_eq!(std::fs::read_to_string(folder.join("refs/main")).unwrap(), COMMIT);
    assert_eq!(fetched.snapshot, folder.join("snapshots").join(COMMIT));
    let link = std::fs::read_link(fetched.snapshot.join("vae/diffusion_pytorch_model.safetensors")).unwrap();
    assert!(link.starts_with("../../../blobs") && link.file_name().unwrap().len() == 64, "{}", link.display());
    assert_eq!(std::fs::read_link(fetched.snapshot.join("README.md")).unwrap().file_name().unwrap().len(), 40);
    assert!(!fetched.snapshot.join("safety_checker").exists());
    // Again: nothing but the listing is asked for.
    let again = get(&place(&hub, cache.path())).unwrap();
    // Four of the files have the same contents.
    assert_eq!((again.new_bytes, hub.asked("/resolve/")), (0, 4));
    let half = fetch(&place(&hub, cache.path()), REPO, true, &mut |_| {}).unwrap();
    assert!(half.snapshot.join("unet/diffusion_pytorch_model.fp16.safetensors").exists());
}

#[test]
fn a_connection_that_breaks_is_taken_up_where_it_ended() {
    let (hub, cache) = (Hub::start(&pipeline()), tempfile::tempdir().unwrap());
    hub.state.lock().unwrap().cut_after = Some((250_000, 4));
    let mut arrived = 0;
    let fetched = fetch(&place(&hub, cache.path()), REPO, false, &mut |event| {
        if let Event::Bytes(n) = event {
            arrived += n;
        }
    });
    let fetched = fetched.unwrap();
    check(&fetched);
    assert_eq!(u64::try_from(arrived).unwrap(), fetched.bytes);
    assert!(hub.asked("bytes=250000-") >= 1 && hub.asked("bytes=500000-") >= 1);
}

#[test]
fn what_an_earlier_run_left_is_gone_on_from() {
    let (hub, cache) = (Hub::start(&pipeline()), tempfile::tempdir().unwrap());
    // The hub goes away in the middle of a file.
    hub.state.lock().unwrap().cut_after = Some((600_000, 1));
    let mut arrived = 0;
    let message = fetch(&place(&hub, cache.path()), REPO, false, &mut |event| {
        if let Event::Bytes(n) = event {
            arrived += n;
            hub.state.lock().unwrap().always = (arrived >= 600_000).then_some(503);
        }
    });
    let message = message.unwrap_err().to_string();
    assert!(message.contains("cannot be reached (503 Service Unavailable)"), "{message}");
    assert!(!cache.path().join("models--tester--tiny/snapshots").exists());
    hub.state.lock().unwrap().always = None;
    let fetched = get(&place(&hub, cache.path())).unwrap();
    check(&fetched);
    assert_eq!(fetched.new_bytes, fetched.bytes - 600_000);
    assert!(hub.asked("bytes=600000-") >= 1);
}

#[test]
fn a_hub_without_ranges_sends_the_whole_file_again() {
    let (hub, cache) = (Hub::start(&pipeline()), tempfile::tempdir().unwrap());
    {
        let mut state = hub.state.lock().unwrap();
        state.cut_after = Some((250_000, 1));
        state.no_ranges = true;
    }
    check(&get(&place(&hub, cache.path())).unwrap());
}

#[test]
fn contents_of_another_hash_are_thrown_away() {
    let (hub, cache) = (Hub::start(&pipeline()), tempfile::tempdir().unwrap());
    hub.state.lock().unwrap().spoilt = true;
    let message = get(&place(&hub, cache.path())).unwrap_err().to_string();
    assert!(message.contains("arrived with other contents than announced"), "{message}");
    let blobs = std::fs::read_dir(cache.path().join("models--tester--tiny/blobs")).unwrap();
    assert_eq!(blobs.count(), 0);
    hub.state.lock().unwrap().spoilt = false;
    check(&get(&place(&hub, cache.path())).unwrap());
}

#[test]
fn the_token_goes_to_the_hub_and_not_where_it_leads() {
    let (hub, cache) = (Hub::start(&pipeline()), tempfile::tempdir().unwrap());
    hub.state.lock().unwrap().redirect = true;
    let place = Place { token: Some("secret".to_owned()), ..place(&hub, cache.path()) };
    check(&fetch(&place, REPO, false, &mut |_| {}).unwrap());
    let asked = hub.state.lock().unwrap().asked.clone();
    for line in &asked {
        assert_eq!(line.contains("Bearer secret"), !line.contains("/elsewhere/"), "{line}");
    }
    assert!(asked.iter().filter(|l| l.contains("/elsewhere/")).count() == 4);
}

#[test]
fn what_the_hub_refuses_is_one_sentence_with_the_way_out() {
    let (hub, cache) = (Hub::start(&pipeline()), tempfile::tempdir().unwrap());
    let with = |status: u16, token: Option<&str>, name: &str| {
        hub.state.lock().unwrap().always = Some(status);
        let place = Place { token: token.map(str::to_owned), ..place(&hub, cache.path()) };
        let message = fetch(&place, name, false, &mut |_| {}).unwrap_err().to_string();
        assert!(!message.contains('\n') && !message.contains("secret"), "{message}");
        message
    };
    assert!(with(404, None, REPO).contains("has no model tester/tiny"));
    assert!(with(404, None, "tester/tiny@v2").contains("has no revision v2 of tester/tiny"));
    assert!(with(401, None, REPO).contains("wants its terms agreed to; look there, then set HF_TOKEN"));
    assert!(with(403, Some("secret"), REPO).contains("does not let the token in HF_TOKEN have tester/tiny"));
    assert!(with(418, None, REPO).contains("answers 418"));
    assert!(with(500, None, REPO).contains("cannot be reached (500 Internal Server Error)"));
    assert!(with(200, None, REPO).contains("tells of tester/tiny what cannot be understood"));
    assert!(with(404, None, "../x").contains("is no name of a model"));
}

#[test]
fn a_hub_that_is_busy_for_a_moment_is_asked_again() {
    let (hub, cache) = (Hub::start(&pipeline()), tempfile::tempdir().unwrap());
    hub.state.lock().unwrap().statuses = vec![503, 429, 500];
    let mut waits = 0;
    let fetched = fetch(&place(&hub, cache.path()), REPO, false, &mut |event| {
        waits += u32::from(matches!(event, Event::Waiting { .. }));
    });
    check(&fetched.unwrap());
    assert_eq!(waits, 3);
}

#[test]
fn a_model_that_does_not_fit_on_the_disk_is_not_begun() {
    let (hub, cache) = (Hub::start(&pipeline()), tempfile::tempdir().unwrap());
    hub.state.lock().unwrap().size = Some(1 << 60);
    let message = get(&place(&hub, cache.path())).unwrap_err().to_string();
    assert!(message.contains(" free, and tester/tiny needs ") && message.contains("make room"), "{message}");
    assert_eq!(hub.asked("/resolve/"), 0);
}

#[test]
fn without_a_network_the_cache_answers_or_the_sentence_says_so() {
    let (hub, cache) = (Hub::start(&pipeline()), tempfile::tempdir().unwrap());
    let offline = Place { offline: true, ..place(&hub, cache.path()) };
    let message = get(&offline).unwrap_err().to_string();
    assert!(message.contains("HF_HUB_OFFLINE forbids the network"), "{message}");
    get(&place(&hub, cache.path())).unwrap();
    let asked = hub.asked("");
    check(&get(&offline).unwrap());
    assert_eq!(hub.asked(""), asked);
    // Nobody listens on a port that was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = Place { endpoint: format!("http://{port}"), ..place(&hub, cache.path()) };
    let message = get(&gone).unwrap_err().to_string();
    assert!(message.contains("cannot be reached (nobody listens there); check the network"), "{message}");
}

#[test]
fn two_programs_do_not_fetch_one_file_into_each_other() {
    let (hub, cache) = (Hub::start(&pipeline()), tempfile::tempdir().unwrap());
    let mut second = None;
    let first = fetch(&place(&hub, cache.path()), REPO, false, &mut |event| {
        if let (Event::Bytes(_), None) = (event, &second) {
            second = Some(get(&place(&hub, cache.path())).unwrap_err().to_string());
        }
    });
    check(&first.unwrap());
    assert!(second.unwrap().contains("is being fetched by another program"));
}

#[test]
fn the_command_fetches_where_the_environment_says() {
    let (hub, home) = (Hub::start(&pipeline()), tempfile::tempdir().unwrap());
    let hf = home.path().join("hf").display().to_string();
    let environment = [("HF_ENDPOINT", &*hub.address), ("HF_HOME", &*hf)];
    let said = wavedream(&["models", "fetch", REPO], home.path(), &environment).unwrap();
    assert!(said.contains("tester/tiny: 7 files, 1 MB"), "{said}");
    assert!(home.path().join("hf/hub/models--tester--tiny/refs/main").is_file());
    let message = wavedream(
        &["models", "fetch", "tester/none"],
        home.path(),
        &[("HF_ENDPOINT", &*hub.address), ("HF_HOME", &*hf), ("HF_HUB_OFFLINE", "1")],
    );
    let message = message.unwrap_err();
    assert!(message.starts_with("wavedream: ") && message.lines().count() == 1, "{message}");
    assert!(message.contains("tester/none is not in"), "{message}");
}
