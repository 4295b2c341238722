//! What a checkpoint says about its noise: the betas, the spacing of the timesteps, what the U-Net predicts.

use std::path::Path;

use super::TRAINED;
use crate::diffusion::sd::{
    config::Family,
    files::{Json, Mapped},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampler {
    Ddim,
    Euler,
    Lcm,
    Plms,
}

impl Sampler {
    /// The names on the command line.
    pub const NAMES: [(&'static str, Self); 4] =
        [("ddim", Self::Ddim), ("euler", Self::Euler), ("lcm", Self::Lcm), ("plms", Self::Plms)];

    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(n, _)| *n == name.trim().to_lowercase()).map(|(_, s)| *s)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prediction {
    /// The noise.
    Epsilon,
    /// a noise - b picture.
    Velocity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// From 0 on, and `offset`.
    Leading,
    /// Back from 999.
    Trailing,
    /// From 0 to 999, in between whole timesteps.
    Linspace,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleConfig {
    pub sampler: Sampler,
    pub prediction: Prediction,
    /// What the file says; none where it does not, and then each sampler has its own.
    pub spacing: Option<Spacing>,
    pub offset: usize,
    /// Whether DDIM's last step ends at the clean picture, or at timestep 0.
    pub ends_at_one: bool,
    pub beta_start: f64,
    pub beta_end: f64,
    /// Betas are squares of evenly spaced numbers; all published Stable Diffusion models have it so.
    pub scaled: bool,
    /// Timestep 999 is noise alone.
    pub zero_snr: bool,
    /// Steps and guidance that the model was made for.
    pub steps: usize,
    pub guidance: f32,
}

impl ScheduleConfig {
    pub fn usual(sampler: Sampler) -> Self {
        Self {
            sampler,
            prediction: Prediction::Epsilon,
            spacing: None,
            offset: 1,
            ends_at_one: false,
            beta_start: 0.00085,
            beta_end: 0.012,
            scaled: true,
            zero_snr: false,
            steps: 20,
            guidance: 7.5,
        }
    }

    fn fast(self, steps: usize) -> Self {
        Self { steps, guidance: 1.0, ..self }
    }

    /// From a folder's scheduler; the error is the end of a sentence that begins with the folder's name.
    pub fn of(json: Option<&Json>, family: Family) -> Result<Self, String> {
        let Some(json) = json else {
            return Ok(Self::usual(if family == Family::Sdxl { Sampler::Euler } else { Sampler::Ddim }));
        };
        let class = json.text("_class_name").unwrap_or_default();
        let sampler = match class {
            _ if class.starts_with("LCM") || class.starts_with("TCD") => Sampler::Lcm,
            _ if class.starts_with("Euler") || class.starts_with("Heun") || class.starts_with("LMS") => Sampler::Euler,
            _ if class.starts_with("Flow") => {
                return Err(format!("was trained with {class}, which Stable Diffusion 1, 2 and XL are not"));
            }
            _ => Sampler::Ddim,
        };
        let trained = json.size("num_train_timesteps").unwrap_or(TRAINED);
        if trained != TRAINED || json.value("trained_betas").is_some() {
            return Err(format!(
                "was trained with {trained} timesteps or betas of its own; {TRAINED} timesteps are known"
            ));
        }
        let scaled = match json.text("beta_schedule") {
            Some("scaled_linear") | None => true,
            Some("linear") => false,
            Some(other) => return Err(format!("has the betas {other}; scaled_linear and linear are known")),
        };
        let usual = Self::usual(sampler);
        let spacing = match json.text("timestep_spacing") {
            Some("leading") => Some(Spacing::Leading),
            Some("trailing") => Some(Spacing::Trailing),
            Some("linspace") => Some(Spacing::Linspace),
            _ => None,
        };
        let prediction = match json.text("prediction_type") {
            Some("v_prediction") => Prediction::Velocity,
            Some("epsilon") | None => Prediction::Epsilon,
            Some(other) => return Err(format!("predicts {other}; epsilon and v_prediction are known")),
        };
        let config = Self {
            prediction,
            spacing,
            offset: json.size("steps_offset").unwrap_or(usual.offset),
            ends_at_one: json.is("set_alpha_to_one").unwrap_or(usual.ends_at_one),
            beta_start: json.number("beta_start").unwrap_or(usual.beta_start),
            beta_end: json.number("beta_end").unwrap_or(usual.beta_end),
            scaled,
            zero_snr: json.is("rescale_betas_zero_snr").unwrap_or(false),
            ..usual
        };
        Ok(match (sampler, spacing) {
            (Sampler::Lcm, _) => config.fast(4),
            // Trailing spacing with Euler is what the Turbo models ship with.
            (Sampler::Euler, Some(Spacing::Trailing)) => config.fast(1),
            _ => config,
        })
    }

    /// For a single file: from what it says of itself, from tensors that mark it, from its name, and from a .yaml file of
    /// the same name as the original code has it. `distilled`: it takes guidance as a number (LCM).
    pub fn of_single(file: &Mapped, family: Family, distilled: bool) -> Self {
        let name = super::super::files::name_of(&file.path).to_lowercase();
        let says = |key: &str| file.metadata.get(key).map(|v| v.to_lowercase()).unwrap_or_default();
        let all = format!("{name} {}", says("modelspec.title"));
        let yaml = std::fs::read_to_string(Path::new(&file.path).with_extension("yaml")).unwrap_or_default();
        let velocity = file.shape("v_pred").is_some()
            || says("modelspec.prediction_type") == "v"
            || says("modelspec.predict_key") == "v"
            || yaml.contains("parameterization: \"v\"")
            || ["v-pred", "vpred", "v_pred", "768-v", "v2-1_768", "v2-768"].iter().any(|m| all.contains(m));
        let sampler = match family {
            _ if distilled || all.contains("lcm") => Sampler::Lcm,
            _ if all.contains("turbo") || all.contains("lightning") => Sampler::Euler,
            Family::Sdxl => Sampler::Euler,
            _ => Sampler::Ddim,
        };
        let usual = Self {
            prediction: if velocity { Prediction::Velocity } else { Prediction::Epsilon },
            zero_snr: file.shape("ztsnr").is_some(),
            ..Self::usual(sampler)
        };
        match sampler {
            Sampler::Lcm => usual.fast(4),
            Sampler::Euler if all.contains("lightning") => Self { spacing: Some(Spacing::Trailing), ..usual }.fast(4),
            Sampler::Euler if all.contains("turbo") => Self { spacing: Some(Spacing::Trailing), ..usual }.fast(1),
            _ => usual,
        }
    }

    /// The file's spacing for the file's sampler; other samplers are used as they are meant: DDIM and Euler leading, but
    /// Euler trailing on a model that was made for it.
    pub fn spacing(&self, sampler: Sampler) -> Spacing {
        match (sampler, self.sampler, self.spacing) {
            (_, own, Some(spacing)) if own == sampler => spacing,
            (Sampler::Euler, _, None | Some(Spacing::Leading)) if self.sampler == Sampler::Euler => Spacing::Leading,
            (Sampler::Euler, Sampler::Ddim | Sampler::Lcm, _) => Spacing::Trailing,
            _ => Spacing::Leading,
        }
    }

    /// Squares of the picture's share at each timestep: the product of 1 - beta.
    pub(super) fn squares(&self) -> Vec<f64> {
        let last = (TRAINED - 1) as f64;
        let (start, end) =
            if self.scaled { (self.beta_start.sqrt(), self.beta_end.sqrt()) } else { (self.beta_start, self.beta_end) };
        let beta = |i: usize| {
            let even = start + (end - start) * i as f64 / last;
            if self.scaled { even * even } else { even }
        };
        let mut product = 1.0;
        let mut squares: Vec<f64> = (0..TRAINED)
            .map(|i| {
                product *= 1.0 - beta(i);
                product
            })
            .collect();
        if self.zero_snr {
            // Lin et al. 2023, algorithm 1: shifted so that the last is 0, scaled so that the first stays.
            let (first, last) = (squares[0].sqrt(), squares[TRAINED - 1].sqrt());
            for square in &mut squares {
                *square = ((square.sqrt() - last) * first / (first - last)).powi(2);
            }
            // As diffusers has it: a sigma that numbers can hold.
            squares[TRAINED - 1] = 2f64.powi(-24);
        }
        squares
    }

    /// The timesteps of a run, largest first, in numpy's rounding.
    pub(super) fn timesteps(&self, sampler: Sampler, n: usize) -> Vec<f64> {
        let trained = TRAINED as f64;
        // An offset is the file's for its own sampler, and 1 as all published models have it for the others.
        let offset = if sampler == self.sampler { self.offset } else { 1 } as f64;
        let whole = |t: f64| if sampler == Sampler::Ddim { t.round_ties_even() } else { t };
        match self.spacing(sampler) {
            Spacing::Leading => (0..n).rev().map(|i| (i * (TRAINED / n)) as f64 + offset).collect(),
            Spacing::Trailing => {
                (0..n).map(|i| (trained - i as f64 * trained / n as f64).round_ties_even() - 1.0).collect()
            }
            Spacing::Linspace if n == 1 => vec![0.0],
            Spacing::Linspace => (0..n).rev().map(|i| whole(i as f64 * (trained - 1.0) / (n - 1) as f64)).collect(),
        }
    }
}
