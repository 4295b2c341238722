//! Files of torch.save, made by fixtures/pickle/make.py.

use std::path::{Path, PathBuf};

use safetensors::Dtype;
use wavedream::pickle::{Node, Torch};

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pickle").join(name)
}

fn refusal(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let message = Torch::open(file.path()).err().expect("a refusal").to_string();
    assert!(message.starts_with(&file.path().display().to_string()) && !message.contains('\n'), "{message}");
    message
}

#[test]
fn tensors_of_every_kind_and_layout_are_read_alike_from_old_and_new_files() {
    for file in ["zip.ckpt", "legacy.ckpt", "protocol4.ckpt"] {
        let torch = Torch::open(&fixture(file)).unwrap();
        for (name, shape, expected) in [
            ("plain", &[3, 4][..], (0..12).map(|i| i as f32).collect::<Vec<_>>()),
            ("transposed", &[4, 3], vec![0., 4., 8., 1., 5., 9., 2., 6., 10., 3., 7., 11.]),
            ("row", &[4], vec![4., 5., 6., 7.]),
            ("every_other", &[3, 2], vec![0., 2., 4., 6., 8., 10.]),
            ("parameter", &[2], vec![0.5, -0.25]),
            ("half", &[3], vec![1.0, -2.0, 6.097_555e-5]),
            ("bfloat", &[2], vec![1.0, -3.0]),
            ("double", &[1, 1], vec![1e-3]),
            ("whole", &[2], vec![3.0, -4.0]),
            ("scalar", &[], vec![7.0]),
        ] {
            let name = format!("state_dict.{name}");
            assert_eq!(torch.get(&name).unwrap_or_else(|| panic!("{file} {name}")).shape, shape, "{file} {name}");
            let found = torch.floats(&name).unwrap();
            let near = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-7);
            assert!(near && found.len() == expected.len(), "{file} {name}: {found:?}");
        }
        assert_eq!(torch.get("state_dict.half").unwrap().dtype, Dtype::F16);
        assert_eq!(torch.bytes("state_dict.whole").len(), 16);
    }
}

#[test]
fn plain_values_are_there_and_objects_of_unknown_classes_are_left_alone_by_name() {
    let torch = Torch::open(&fixture("zip.ckpt")).unwrap();
    let (values, root) = torch.values();
    assert_eq!(values.int(values.entry(root, "global_step").unwrap()), Some(1 << 40));
    assert_eq!(values.text(values.entry(root, "note").unwrap()), Some("hé"));
    assert_eq!(*values.get(values.entry(root, "lr").unwrap()), Node::Float(1e-4));
    assert_eq!(torch.skipped, ["config (__main__.Settings)"]);
    // What was set in the object can still be looked at.
    let Node::Object { state: Some(state), .. } = values.get(values.entry(root, "config").unwrap()) else {
        panic!("no state")
    };
    assert_eq!(values.int(values.entry(*state, "depth").unwrap()), Some(24));
}

#[test]
fn a_checkpoint_of_an_encoder_is_read_past_its_pickled_class() {
    let torch = Torch::open(&fixture("nested.pth")).unwrap();
    assert_eq!(torch.floats("model_state_dict.blocks.0.norm1.weight").unwrap(), [1.0; 4]);
    assert_eq!(torch.names().collect::<Vec<_>>(), ["model_state_dict.blocks.0.norm1.weight", "state"]);
}

#[test]
fn a_pickle_that_calls_programs_is_refused_by_the_name_of_the_call() {
    let message = Torch::open(&fixture("program.ckpt")).err().unwrap().to_string();
    assert!(message.contains("wants to call posix.system, which no model needs"), "{message}");
    for (module, name) in [("builtins", "eval"), ("__builtin__", "exec"), ("subprocess", "Popen"), ("os", "popen")] {
        let mut bytes = vec![0x80, 2];
        bytes.extend(format!("c{module}\n{name}\n.").as_bytes());
        assert!(refusal(&bytes).contains(&format!("wants to call {module}.{name}")), "{module}.{name}");
        // Protocol 4 writes names another way.
        let mut bytes = vec![0x80, 4];
        for text in [module, name] {
            bytes.extend([0x8c, text.len() as u8]);
            bytes.extend(text.as_bytes());
        }
        bytes.extend([0x93, b'.']);
        assert!(refusal(&bytes).contains(&format!("wants to call {module}.{name}")), "{module}.{name}");
    }
}

#[test]
fn instructions_that_no_model_has_are_refused_by_name() {
    for (opcode, name) in [(b'i', "INST"), (b'o', "OBJ"), (0x82, "EXT1"), (b'P', "PERSID")] {
        assert!(refusal(&[0x80, 2, opcode, b'.']).contains(&format!("with the instruction {name}")));
    }
    assert!(refusal(&[0x80, 2, 0xee, b'.']).contains("the byte 0xee is no instruction"));
}

#[test]
fn bombs_take_neither_memory_nor_time() {
    // A text of 4 GB that is not there; a dict within itself; lists of lists, each twice in the next.
    assert!(refusal(&[0x80, 2, b'X', 255, 255, 255, 255, b'a']).contains("it ends too early"));
    let mut within = vec![0x80, 2, b'}', b'q', 0];
    within.extend(b"X\x01\x00\x00\x00ah\x00s.");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &within).unwrap();
    assert_eq!(Torch::open(file.path()).unwrap().names().count(), 0);
    let mut laughs = vec![0x80, 2, b']', b'q', 0];
    for i in 1..60_u8 {
        laughs.extend([b']', b'q', i, b'h', i - 1, b'a', b'h', i - 1, b'a']);
    }
    laughs.push(b'.');
    assert!(refusal(&laughs).contains("refers to its own values too often"));
    // A tensor that says it is larger than its numbers.
    let whole = std::fs::read(fixture("zip.ckpt")).unwrap();
    let at = whole.windows(4).position(|w| w == b"K\x03K\x04").unwrap();
    let mut grown = whole.clone();
    grown[at + 1] = 255;
    assert!(refusal(&grown).contains("beyond its numbers"));
}

#[test]
fn cut_files_are_told_and_nothing_panics() {
    for name in ["zip.ckpt", "legacy.ckpt"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        for cut in [5, 100, whole.len() / 2, whole.len() - 1] {
            let message = refusal(&whole[..cut]);
            assert!(message.contains("again"), "{name} {cut}: {message}");
        }
    }
    assert!(refusal(b"PK\x03\x04 nothing of torch").contains("is not a whole zip archive"));
}
