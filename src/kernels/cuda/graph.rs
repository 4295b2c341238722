//! CUDA graphs: what is done again and again is recorded when it comes for the third time, and from then on started as one.
//!
//! A graph reads its inputs where it was recorded with them, so each has memory of its own that the next picture's numbers
//! are copied into; an input that is the same tensor as last time (keys and values of a text that stays) costs nothing. What
//! is between inputs and result is allocated and freed within the graph. The result is copied out, for the graph writes to
//! the same place the next time.
//!
//! Before a graph is used, what it makes is compared with what the work makes without it. A card that refuses, or that makes
//! something else, paints on without graphs, and that is told once.

use std::{
    cell::Cell,
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Mutex, MutexGuard, PoisonError},
    thread::ThreadId,
};

use candle_core::{
    CudaDevice, DType, Device, Error, Result, Tensor, TensorId,
    cuda::cudarc::driver::{
        CudaGraph,
        sys::{CUgraphInstantiate_flags, CUstreamCaptureMode},
    },
};

use super::line;
use crate::kernels::recorded::alone;

/// How often work is done before it is recorded: the first time compiles kernels and picks algorithms, and what differs from
/// picture to picture never comes so often.
const BEFORE: u32 = 2;
/// Recordings that are kept; each has memory for its inputs and for all that is between.
const MOST: usize = 4;
/// Forms of work that are counted before they are recorded.
const COUNTED: usize = 16;
/// How far a graph's result may be from that of the work itself, whose sums may be in another order.
const LIMIT: f32 = 1e-2;
/// Switches graphs off where it is set to 0: for drivers that have trouble with them.
const SWITCH: &str = "WAVEDREAM_CUDA_GRAPHS";

thread_local! {
    static RECORDS: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread records: what fails then says nothing of how it works.
pub fn records_here() -> bool {
    RECORDS.get()
}

/// While it lives, this thread records.
struct Here;

impl Here {
    fn new() -> Self {
        RECORDS.set(true);
        Self
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        RECORDS.set(false);
    }
}

/// The recordings of a part of a model on a card.
pub struct Recordings {
    device: CudaDevice,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    counted: VecDeque<(Key, u32)>,
    /// The one that was played last is the last.
    recorded: VecDeque<(Key, Recording)>,
    refused: bool,
}

#[derive(Clone, PartialEq, Eq)]
struct Key {
    form: u64,
    inputs: Vec<(Vec<usize>, DType)>,
    /// What is brought to the card for a recording is kept with the thread that made it.
    thread: ThreadId,
}

struct Recording {
    // Gone before the memory that it works on.
    graph: CudaGraph,
    inputs: Vec<Tensor>,
    /// Which tensors the inputs were copied from.
    copied: Vec<Option<TensorId>>,
    result: Tensor,
}

// SAFETY: a graph is a handle that must not be used by two threads at once. It is launched under the lock of `Recordings`,
// by the thread that recorded it, and whoever drops it has it alone.
unsafe impl Send for Recording {}

impl Recordings {
    /// None where they are switched off.
    pub fn on(device: &CudaDevice) -> Option<Self> {
        let off = std::env::var(SWITCH).is_ok_and(|value| value.trim() == "0");
        (!off).then(|| Self { device: device.clone(), state: Mutex::default() })
    }

    pub fn forget(&self) {
        let mut state = self.state();
        state.counted.clear();
        state.recorded.clear();
    }

    pub fn play(&self, form: u64, inputs: &[&Tensor], work: impl Fn(&[&Tensor]) -> Result<Tensor>) -> Result<Tensor> {
        let mut state = self.state();
        let here = |input: &&Tensor| matches!(input.device(), Device::Cuda(card) if card.id() == self.device.id());
        if state.refused || !inputs.iter().all(here) {
            drop(state);
            return work(inputs);
        }
        let shapes = inputs.iter().map(|input| (input.dims().to_vec(), input.dtype())).collect();
        let key = Key { form, inputs: shapes, thread: std::thread::current().id() };
        let known = state.recorded.iter().position(|(known, _)| *known == key);
        if let Some((key, mut recording)) = known.and_then(|at| state.recorded.remove(at)) {
            match recording.play(inputs) {
                Ok(played) => {
                    state.recorded.push_back((key, recording));
                    return Ok(played);
                }
                Err(error) => state.refuse(&error),
            }
            drop(state);
            return work(inputs);
        }
        let times = state.count(&key);
        // The work may take long, and fail in any way.
        drop(state);
        if times <= BEFORE {
            return work(inputs);
        }
        match self.record(inputs, &work) {
            Ok((recording, made)) => {
                let mut state = self.state();
                while state.recorded.len() >= MOST {
                    state.recorded.pop_front();
                }
                // One that has to make room must come as often again.
                state.counted.retain(|(counted, _)| *counted != key);
                state.recorded.push_back((key, recording));
                Ok(made)
            }
            Err(error) => {
                // If it was the work itself, which nobody waits for any more, it ends here.
                let made = work(inputs)?;
                self.state().refuse(&error);
                Ok(made)
            }
        }
    }

    /// Does the work, records it, and compares what the graph makes with what the work made.
    fn record(&self, inputs: &[&Tensor], work: impl Fn(&[&Tensor]) -> Result<Tensor>) -> Result<(Recording, Tensor)> {
        // What the layers bring to the card, such as strides, stays there for the graph.
        let _kept = self.device.enable_cuda_graph_htod_cache();
        let fixed = inputs.iter().map(|input| input.contiguous()?.copy()).collect::<Result<Vec<_>>>()?;
        let given: Vec<&Tensor> = fixed.iter().collect();
        let expected = work(&given)?;
        let result = expected.zeros_like()?;
        let stream = self.device.cuda_stream();
        let graph = {
            let _alone = alone();
            let _here = Here::new();
            stream.synchronize().map_err(Error::wrap)?;
            stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).map_err(Error::wrap)?;
            let into_result = |made: Tensor| result.slice_set(&made.contiguous()?, 0, 0);
            let recorded = catch_unwind(AssertUnwindSafe(|| work(&given).and_then(into_result)));
            // Whatever came of it, the stream must not go on recording.
            let graph = stream.end_capture(CUgraphInstantiate_flags::CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH);
            recorded.unwrap_or_else(|panic| resume_unwind(panic))?;
            graph.map_err(Error::wrap)?.ok_or_else(|| Error::msg("nothing was recorded"))?
        };
        graph.upload().map_err(Error::wrap)?;
        let mut recording = Recording { graph, copied: vec![None; fixed.len()], inputs: fixed, result };
        let away = away(&recording.play(inputs)?, &expected)?;
        if away > LIMIT || away.is_nan() {
            candle_core::bail!("its numbers are off by {:.1} %", away * 100.0);
        }
        Ok((recording, expected))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn refuse(&mut self, error: &Error) {
        self.refused = true;
        self.recorded.clear();
        tracing::warn!(
            "the card does not take a part of the model as a graph, and does its work kernel by kernel: {}",
            line(error)
        );
    }

    /// How often this work has come, this time too.
    fn count(&mut self, key: &Key) -> u32 {
        let known = self.counted.iter().position(|(counted, _)| counted == key);
        let (key, times) = known.and_then(|at| self.counted.remove(at)).unwrap_or_else(|| (key.clone(), 0));
        while self.counted.len() >= COUNTED {
            self.counted.pop_front();
        }
        self.counted.push_back((key, times + 1));
        times + 1
    }
}

impl Recording {
    fn play(&mut self, inputs: &[&Tensor]) -> Result<Tensor> {
        for ((input, own), copied) in inputs.iter().zip(&self.inputs).zip(&mut self.copied) {
            if *copied != Some(input.id()) {
                own.slice_set(&input.contiguous()?, 0, 0)?;
                *copied = Some(input.id());
            }
        }
        self.graph.launch().map_err(Error::wrap)?;
        self.result.copy()
    }
}

/// The largest difference, in parts of the largest number.
fn away(found: &Tensor, expected: &Tensor) -> Result<f32> {
    let (found, expected) = (found.to_dtype(DType::F32)?, expected.to_dtype(DType::F32)?);
    let largest = |t: &Tensor| t.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>();
    let (size, difference) = (largest(&expected)?, largest(&(found - &expected)?)?);
    Ok(if difference == 0.0 { 0.0 } else { difference / size })
}
