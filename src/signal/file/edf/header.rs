//! The header of EDF and BDF: ASCII fields of fixed width, first of the file, then of all signals, field by field.

use super::{BDF_MAGIC, EDF_MAGIC};

const FIXED_BYTES: usize = 256;
const SIGNAL_BYTES: usize = 256;
/// More signals than any amplifier has.
const MAX_SIGNALS: usize = 4096;

#[derive(Debug)]
pub struct Signal {
    pub name: String,
    pub unit: String,
    pub per_record: usize,
    /// Bytes from the start of a record.
    pub at_in_record: usize,
    pub gain: f64,
    pub offset: f64,
    pub is_annotations: bool,
    bdf: bool,
}

impl Signal {
    pub fn is_data(&self) -> bool {
        !self.is_annotations && self.per_record > 0
    }

    /// BioSemi's channel of trigger bits.
    pub fn is_trigger(&self) -> bool {
        self.bdf && self.name == "Status"
    }
}

#[derive(Debug)]
pub struct Header {
    pub signals: Vec<Signal>,
    /// Whole records that are there.
    pub records: usize,
    pub record_secs: f64,
    pub record_bytes: usize,
    /// 2 for EDF, 3 for BDF.
    pub sample_bytes: usize,
    pub data_at: usize,
    /// EDF+D: records need not follow one another.
    pub interrupted: bool,
    pub odd: Vec<String>,
}

impl Header {
    /// The error is the rest of a sentence that begins with the path.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let bdf = bytes.starts_with(BDF_MAGIC);
        if !bdf && !bytes.starts_with(EDF_MAGIC) {
            return Err("is not an EDF or BDF file (it begins with neither '0' nor BIOSEMI); export it anew".to_owned());
        }
        if bytes.len() < FIXED_BYTES {
            return Err("is cut off within its header; copy it again".to_owned());
        }
        let mut odd = Vec::new();
        let field = |at: usize, width: usize| ascii(&bytes[at..at + width]);
        let count = whole(&field(252, 4))
            .filter(|count| (1..=MAX_SIGNALS as i64).contains(count))
            .ok_or_else(|| format!("states '{}' signals in its header; export it anew", field(252, 4)))?
            as usize;
        let data_at = FIXED_BYTES + count * SIGNAL_BYTES;
        if bytes.len() < data_at {
            return Err(format!("is cut off within the headers of its {count} signals; copy it again"));
        }
        if whole(&field(184, 8)) != Some(data_at as i64) {
            odd.push(format!("its header states a length of '{}' bytes and has {data_at}", field(184, 8)));
        }
        let reserved = field(192, 44);
        let record_secs = match number(&field(244, 8)) {
            Some(secs) if secs > 0.0 => secs,
            _ => {
                odd.push(format!("its records are stated to last '{}' s; 1 s is assumed", field(244, 8)));
                1.0
            }
        };
        let sample_bytes = if bdf { 3 } else { 2 };
        let signals = signals(bytes, count, bdf, &mut odd);
        let record_bytes = signals.iter().map(|signal| signal.per_record * sample_bytes).sum::<usize>();
        if record_bytes == 0 {
            return Err("has records without samples; export it anew".to_owned());
        }
        let there = (bytes.len() - data_at) / record_bytes;
        let rest = (bytes.len() - data_at) % record_bytes;
        let records = match whole(&field(236, 8)) {
            Some(-1) => {
                odd.push(format!("its number of records is open (-1); there are {there}"));
                there
            }
            Some(stated) if stated >= 0 && stated as usize <= there => {
                if there > stated as usize || rest > 0 {
                    odd.push(format!(
                        "{} bytes follow its {stated} records",
                        bytes.len() - data_at - stated as usize * record_bytes
                    ));
                }
                stated as usize
            }
            Some(stated) => {
                odd.push(format!("it states {stated} records and holds {there} whole ones: it was cut off"));
                there
            }
            None => {
                odd.push(format!("its number of records is stated as '{}'; there are {there}", field(236, 8)));
                there
            }
        };
        if records == 0 {
            return Err("holds no whole record of samples: it is empty or cut off; copy it again".to_owned());
        }
        Ok(Self {
            signals,
            records,
            record_secs,
            record_bytes,
            sample_bytes,
            data_at,
            interrupted: reserved.starts_with("EDF+D") || reserved.starts_with("BDF+D"),
            odd,
        })
    }
}

fn signals(bytes: &[u8], count: usize, bdf: bool, odd: &mut Vec<String>) -> Vec<Signal> {
    let sample_bytes = if bdf { 3 } else { 2 };
    // Widths of the fields before each: label 16, transducer 80, unit 8, physical 8 8, digital 8 8, filters 80, samples 8.
    let field = |before: usize, width: usize, index: usize| {
        let at = FIXED_BYTES + before * count + width * index;
        ascii(&bytes[at..at + width])
    };
    let mut signals: Vec<Signal> = Vec::with_capacity(count);
    let mut at_in_record = 0;
    for index in 0..count {
        let label = field(0, 16, index);
        let is_annotations = label == if bdf { "BDF Annotations" } else { "EDF Annotations" };
        let mut name = if label.is_empty() { format!("ch{index}") } else { label.clone() };
        let namesakes = signals.iter().filter(|earlier| !earlier.is_annotations && earlier.name == name).count();
        if namesakes > 0 && !is_annotations {
            let mut copy = 2;
            while signals.iter().any(|earlier| earlier.name == format!("{label} ({copy})")) {
                copy += 1;
            }
            name = format!("{label} ({copy})");
            odd.push(format!("the label {label} is there more than once; one is called {name}"));
        }
        let per_record = match whole(&field(216, 8, index)) {
            Some(samples) if (0..=1 << 28).contains(&samples) => samples as usize,
            _ => {
                odd.push(format!("channel {name} states '{}' samples a record; it is left out", field(216, 8, index)));
                0
            }
        };
        if per_record == 0 && !is_annotations {
            odd.push(format!("channel {name} has no samples and is left out"));
        }
        let physical = (number(&field(104, 8, index)), number(&field(112, 8, index)));
        let digital = (number(&field(120, 8, index)), number(&field(128, 8, index)));
        let (gain, offset) = match (physical, digital) {
            ((Some(p0), Some(p1)), (Some(d0), Some(d1))) if p0 != p1 && d1 > d0 => {
                let gain = (p1 - p0) / (d1 - d0);
                (gain, p1 - gain * d1)
            }
            _ => {
                if !is_annotations && per_record > 0 {
                    odd.push(format!("channel {name} has no usable range in its header; its raw numbers are taken"));
                }
                (1.0, 0.0)
            }
        };
        signals.push(Signal {
            name,
            unit: unit(&field(96, 8, index)),
            per_record,
            at_in_record,
            gain,
            offset,
            is_annotations,
            bdf,
        });
        at_in_record += per_record * sample_bytes;
    }
    signals
}

/// Micro is written u; people read it as µ.
fn unit(text: &str) -> String {
    match text {
        "uV" => "µV".to_owned(),
        other => other.to_owned(),
    }
}

/// Text of a field: Latin-1 where it should have been ASCII.
fn ascii(bytes: &[u8]) -> String {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).filter(|c| !c.is_control()).collect();
    text.trim().to_owned()
}

fn whole(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().or_else(|| number(text).filter(|x| x.fract() == 0.0 && x.abs() < 1e15).map(|x| x as i64))
}

/// Some writers put a decimal comma.
fn number(text: &str) -> Option<f64> {
    text.replace(',', ".").parse::<f64>().ok().filter(|x| x.is_finite())
}
