//! A training on disk, so that it goes on where it was stopped: variables, moments, losses. Its head says of which plan.

use std::{collections::HashMap, path::Path};

use candle_core::{Device, Tensor};

use super::Plan;
use crate::encoder::{EncoderError, load, train::Vars};

/// What was before.
#[derive(Debug, Clone, Default)]
pub struct Past {
    pub losses: Vec<f32>,
    pub tested: Vec<(usize, f32)>,
}

/// All of a plan but the number of steps, which may grow.
fn named(plan: &Plan) -> String {
    format!("{:?}", Plan { steps: 0, ..plan.clone() })
}

pub fn save(path: &Path, plan: &Plan, vars: &Vars, past: &Past) -> Result<(), EncoderError> {
    let mut tensors = vars.state()?;
    let flat = |values: Vec<f32>| {
        let count = values.len();
        Tensor::from_vec(values, count, &Device::Cpu)
    };
    tensors.insert("losses".to_owned(), flat(past.losses.clone())?);
    tensors.insert("tested.at".to_owned(), flat(past.tested.iter().map(|(at, _)| *at as f32).collect())?);
    tensors.insert("tested".to_owned(), flat(past.tested.iter().map(|(_, error)| *error).collect())?);
    let head =
        HashMap::from([("wavedream".to_owned(), "encoder training".to_owned()), ("plan".to_owned(), named(plan))]);
    super::save(path, &tensors, &head)
}

pub fn restore(path: &Path, plan: &Plan, vars: &mut Vars) -> Result<Past, EncoderError> {
    let other = || EncoderError::File {
        path: path.into(),
        what: "is the state of a training with other settings; delete it to begin anew, or name another --output"
            .into(),
    };
    let store = load(path, &Device::Cpu)?;
    if store.head.get("plan") != Some(&named(plan)) || !vars.restore(&store.tensors)? {
        return Err(other());
    }
    let list = |name: &str| match store.tensors.get(name) {
        Some(tensor) => Ok(tensor.to_vec1::<f32>()?),
        None => Err(other()),
    };
    let tested = list("tested.at")?.iter().map(|at| *at as usize).zip(list("tested")?).collect();
    Ok(Past { losses: list("losses")?, tested })
}
