//! Where Stable Diffusion computes, and what its numbers are there.
//!
//! The CPU with the kernels of this program is one place; CUDA cards and Apple's GPUs are others, where layers are candle's
//! tensors. A place is found when a model is loaded. What is not built in, or does not answer, is a sentence and never a
//! panic: the libraries of CUDA panic where the driver is missing, and are caught here.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    str::FromStr,
    sync::{Arc, LazyLock},
};

use candle_core::{DType, Device, Result, Tensor};

use crate::kernels::{Element, Fused, Instructions};

/// Cards that a table of parameters can name.
const CARDS: usize = 4;

/// Which device is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// A CUDA card where that is built in and one answers, else Apple's GPU, else the CPU.
    #[default]
    Auto,
    Cpu,
    /// The CPU by the way of GPUs, without the kernels of this program: to test that way.
    Plain,
    /// By its number.
    Cuda(usize),
    Metal,
}

impl DeviceChoice {
    /// The names that a person can choose from.
    pub fn names() -> Vec<String> {
        let cards = (0..CARDS).map(|card| Self::Cuda(card).to_string());
        ["auto".to_owned(), "cpu".to_owned()].into_iter().chain(cards).chain(["metal".to_owned()]).collect()
    }
}

impl DeviceChoice {
    /// The memory of the card that this comes to; none for what is no card, or none that answers. Cheap enough to be asked
    /// for in each frame: cards are looked up once.
    pub fn card_bytes(self) -> Option<u64> {
        static BYTES: LazyLock<Vec<u64>> = LazyLock::new(|| {
            cuda_cards().map_or_else(|_| Vec::new(), |cards| cards.iter().map(|c| c.memory_bytes).collect())
        });
        let card = match self {
            Self::Auto => 0,
            Self::Cuda(card) => card,
            Self::Cpu | Self::Plain | Self::Metal => return None,
        };
        BYTES.get(card).copied()
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Plain => f.write_str("plain"),
            Self::Cuda(0) => f.write_str("cuda"),
            Self::Cuda(card) => write!(f, "cuda:{card}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        Ok(match text {
            "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            "plain" => Self::Plain,
            "cuda" => Self::Cuda(0),
            "metal" => Self::Metal,
            _ => {
                let card = text.strip_prefix("cuda:").and_then(|card| card.parse().ok());
                Self::Cuda(
                    card.filter(|card| *card < CARDS).ok_or_else(|| format!("write {}", Self::names().join(", ")))?,
                )
            }
        })
    }
}

/// Which numbers are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Float32 on the CPU, half on GPUs.
    #[default]
    Auto,
    Float32,
    /// On the CPU only of products, whose sums are float32.
    Bfloat16,
    /// On the CPU as bfloat16, and only on one that multiplies it.
    Half,
}

impl Precision {
    pub const NAMES: [(&'static str, Self); 4] =
        [("auto", Self::Auto), ("float32", Self::Float32), ("bfloat16", Self::Bfloat16), ("half", Self::Half)];

    /// None is another name than these.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, precision)| *precision)
    }

    fn dtype(self, usual: DType) -> DType {
        match self {
            Self::Auto => usual,
            Self::Float32 => DType::F32,
            Self::Bfloat16 => DType::BF16,
            Self::Half => DType::F16,
        }
    }
}

/// How a model that has a choice is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct How {
    pub device: DeviceChoice,
    pub precision: Precision,
}

/// Why there is no such device here: the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoDevice(String);

/// A device that answers, and what the numbers of a model are on it.
#[derive(Debug, Clone)]
pub struct Place {
    pub device: Device,
    /// Of tensors.
    pub dtype: DType,
    /// Layers are packed for the CPU's kernels.
    pub packs: bool,
    /// What packed products read.
    pub element: Element,
    /// Kernels of our own on a GPU.
    pub fused: Fused,
    /// For people: `cpu`, `cuda:0 (NVIDIA H200)`.
    pub name: Arc<str>,
}

/// A place, and what there is to say of how it was found.
pub struct Found {
    pub place: Place,
    pub notes: Vec<String>,
}

impl Place {
    /// The CPU's kernels in float32.
    pub fn cpu() -> Self {
        Self {
            device: Device::Cpu,
            dtype: DType::F32,
            packs: true,
            element: Element::Float32,
            fused: Fused::default(),
            name: "cpu".into(),
        }
    }

    /// The device that is wanted, if it answers.
    pub fn find(wanted: DeviceChoice, precision: Precision) -> std::result::Result<Found, NoDevice> {
        let mut notes = Vec::new();
        let gpu = match wanted {
            DeviceChoice::Cuda(card) => Some(cuda(card)?),
            DeviceChoice::Metal => Some(metal()?),
            DeviceChoice::Auto => first_gpu(&mut notes),
            DeviceChoice::Cpu | DeviceChoice::Plain => None,
        };
        let place = match gpu {
            Some((device, name)) => {
                let (fused, missing) = Fused::on(&device);
                notes.extend(missing);
                Self {
                    device,
                    dtype: precision.dtype(DType::F16),
                    packs: false,
                    fused,
                    name: name.into(),
                    ..Self::cpu()
                }
            }
            None if wanted == DeviceChoice::Plain => {
                Self { dtype: precision.dtype(DType::F32), packs: false, name: "plain".into(), ..Self::cpu() }
            }
            None => Self::cpu_in(precision, &mut notes),
        };
        Ok(Found { place, notes })
    }

    fn cpu_in(precision: Precision, notes: &mut Vec<String>) -> Self {
        let element = match precision {
            Precision::Auto | Precision::Float32 => Element::Float32,
            Precision::Bfloat16 => Element::Bfloat16,
            Precision::Half if Instructions::best().has(Element::Float16) => Element::Float16,
            Precision::Half => {
                notes
                    .push("this processor does not multiply half precision: it takes bfloat16 in its place".to_owned());
                Element::Bfloat16
            }
        };
        Self { element, ..Self::cpu() }
    }

    /// The same device in float32.
    pub fn exact(&self) -> Self {
        Self { dtype: DType::F32, element: Element::Float32, ..self.clone() }
    }

    /// Whether it is another device than the CPU.
    pub fn is_gpu(&self) -> bool {
        !self.device.is_cpu()
    }

    /// A tensor on the device, in the model's numbers.
    pub fn bring(&self, x: &Tensor) -> Result<Tensor> {
        if x.device().is_cpu() && self.is_gpu() {
            // The smaller of the two travels.
            return x.to_dtype(self.dtype)?.to_device(&self.device);
        }
        x.to_device(&self.device)?.to_dtype(self.dtype)
    }

    pub fn precision(&self) -> &'static str {
        match (self.dtype, self.element) {
            (DType::F16, _) | (_, Element::Float16) => "half",
            (DType::BF16, _) | (_, Element::Bfloat16) => "bfloat16",
            _ => "float32",
        }
    }
}

/// The first GPU that answers, of those that are built in; a sentence for each kind of which none does.
fn first_gpu(notes: &mut Vec<String>) -> Option<(Device, String)> {
    let mut tried = Vec::new();
    if cfg!(feature = "cuda") {
        tried.push(cuda(0));
    }
    if cfg!(feature = "metal") && tried.iter().all(|found| found.is_err()) {
        tried.push(metal());
    }
    let mut first = None;
    for found in tried {
        match found {
            Ok(device) => first = Some(device),
            Err(NoDevice(why)) => notes.push(format!("{why}; the CPU computes")),
        }
    }
    first
}

/// A CUDA card for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    pub name: String,
    pub memory_bytes: u64,
}

/// The CUDA cards of this machine, or why there are none.
pub fn cuda_cards() -> std::result::Result<Vec<Card>, NoDevice> {
    #[cfg(feature = "cuda")]
    {
        let cards =
            caught(crate::kernels::cuda::cards).map_err(|why| NoDevice(format!("no CUDA card answers ({why})")))?;
        Ok(cards.into_iter().map(|(name, memory_bytes)| Card { name, memory_bytes }).collect())
    }
    #[cfg(not(feature = "cuda"))]
    Err(NoDevice(format!("{}: {}", "CUDA is not built in", BUILD_CUDA)))
}

/// Whether this program was built for Apple's GPUs.
pub fn has_metal() -> bool {
    cfg!(feature = "metal")
}

#[cfg(not(feature = "cuda"))]
const BUILD_CUDA: &str = "build with `cargo build --release --features cuda` (or cudnn, for faster convolutions)";

fn cuda(card: usize) -> std::result::Result<(Device, String), NoDevice> {
    #[cfg(feature = "cuda")]
    {
        let (device, name) = caught(|| crate::kernels::cuda::open(card))
            .map_err(|why| NoDevice(format!("no CUDA card answers as cuda:{card} ({why})")))?;
        Ok((device, format!("cuda:{card} ({name})")))
    }
    #[cfg(not(feature = "cuda"))]
    Err(NoDevice(format!("this wavedream was built without CUDA, so it has no cuda:{card}: {BUILD_CUDA}")))
}

fn metal() -> std::result::Result<(Device, String), NoDevice> {
    if cfg!(feature = "metal") {
        let device =
            caught(|| Device::new_metal(0)).map_err(|why| NoDevice(format!("no GPU of Apple answers ({why})")))?;
        return Ok((device, "metal".to_owned()));
    }
    let how = "build with `cargo build --release --features metal,accelerate` on a Mac";
    Err(NoDevice(format!("this wavedream was built without Metal: {how}")))
}

/// Errors and panics of the libraries alike as a line.
fn caught<T>(open: impl FnOnce() -> Result<T>) -> std::result::Result<T, String> {
    let line = |text: &str| text.lines().next().unwrap_or_default().trim().to_owned();
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(error)) => Err(line(&error.to_string())),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            Err(line(text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("its libraries panicked")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in DeviceChoice::names() {
            assert_eq!(name.parse::<DeviceChoice>().unwrap().to_string(), name);
        }
        assert_eq!("cuda:0".parse(), Ok(DeviceChoice::Cuda(0)));
        for wrong in ["gpu", "cuda:", "cuda:99", "cuda:-1", ""] {
            assert!(wrong.parse::<DeviceChoice>().unwrap_err().contains("auto, cpu, cuda"), "{wrong}");
        }
    }

    #[test]
    fn a_panic_and_an_error_of_a_library_are_one_line() {
        assert_eq!(caught(|| Ok(1)), Ok(1));
        assert_eq!(caught::<()>(|| candle_core::bail!("no card\nat all")), Err("no card".to_owned()));
        assert_eq!(caught::<()>(|| panic!("no {}", "library")), Err("no library".to_owned()));
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn what_is_not_built_in_says_what_to_build_with() {
        let why = Place::find(DeviceChoice::Cuda(1), Precision::Auto).err().unwrap().to_string();
        assert!(why.contains("cuda:1") && why.contains("--features cuda") && !why.contains('\n'), "{why}");
        let found = Place::find(DeviceChoice::Auto, Precision::Half).unwrap();
        assert!(found.place.device.is_cpu());
    }
}
