//! What a signal says of itself along time, one lane a feature.

/// How the values of a lane are drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Scale {
    /// Between these ends, as a curve over its area.
    Range(f32, f32),
    /// Values are places in this list (`awake`, `rest`, `sleep`), drawn as steps.
    Named(Vec<String>),
}

/// A feature over the figure's time.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    pub name: String,
    pub scale: Scale,
    /// Seconds of signal time and value, in order.
    pub values: Vec<(f64, f32)>,
}

impl Lane {
    pub fn new(name: &str, scale: Scale) -> Self {
        Self { name: name.into(), scale, values: Vec::new() }
    }
}
