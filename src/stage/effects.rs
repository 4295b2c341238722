//! The chain of effects: one pass each over the stage, in the order of their files; an effect at amount 0 is not run.

use std::collections::HashMap;

use super::{
    Look, Use,
    declaration::Kind,
    gpu::{Canvas, FINE_FORMAT, Gpu},
    library::ShaderLibrary,
    programs::Programs,
    pyramid::Pyramid,
};

/// Effects that may run in one frame.
const MOST_EFFECTS: usize = 24;

/// The last frame of an effect with feedback.
struct History {
    canvases: [Canvas; 2],
    newest: usize,
    /// It ran in the frame before this one: what it holds is not stale.
    fresh: bool,
}

pub(super) struct Effects {
    size: (u32, u32),
    /// Passes go to and fro between these.
    work: [Canvas; 2],
    histories: HashMap<String, History>,
    /// Indices into the look's effects, in the order in which they run.
    order: Vec<(i32, usize)>,
}

impl Effects {
    pub fn new(gpu: &mut Gpu, size: (u32, u32)) -> Self {
        Self {
            size,
            work: [0, 1].map(|_| gpu.canvas("stage work", size, gpu.canvas_format)),
            histories: HashMap::new(),
            order: Vec::with_capacity(MOST_EFFECTS),
        }
    }

    /// A canvas that is not `taken`.
    pub fn other_than(&self, taken: &Canvas) -> Canvas {
        let free = usize::from(self.work[0].texture == taken.texture);
        self.work[free].clone()
    }

    /// Trails begin anew.
    pub fn forget_histories(&mut self) {
        for history in self.histories.values_mut() {
            history.fresh = false;
        }
    }

    /// Runs the active effects of `look` over `from`; gives where the result is.
    #[expect(clippy::too_many_arguments, reason = "what a pass needs, and the programs")]
    pub fn run(
        &mut self,
        gpu: &mut Gpu,
        encoder: &mut wgpu::CommandEncoder,
        pyramid: &mut Pyramid,
        programs: &mut Programs,
        library: &mut ShaderLibrary,
        look: &Look,
        from: &Canvas,
    ) -> Canvas {
        self.sort(programs, library, look);
        let mut at = from.clone();
        let order = std::mem::take(&mut self.order);
        for &(_, index) in &order {
            at = self.one(gpu, encoder, pyramid, programs, &look.effects[index], &at);
        }
        for (name, history) in &mut self.histories {
            history.fresh = order.iter().any(|&(_, index)| look.effects[index].name == *name);
        }
        self.order = order;
        at
    }

    fn sort(&mut self, programs: &mut Programs, library: &mut ShaderLibrary, look: &Look) {
        self.order.clear();
        for (index, wanted) in look.effects.iter().enumerate() {
            let active = wanted.amount.is_finite() && wanted.amount > 0.0;
            if !active || self.order.len() == MOST_EFFECTS || !programs.ensure(library, Kind::Effect, &wanted.name) {
                continue;
            }
            if let Some(program) = programs.get(Kind::Effect, &wanted.name) {
                self.order.push((program.declaration.order, index));
            }
        }
        self.order.sort_unstable();
    }

    fn one(
        &mut self,
        gpu: &mut Gpu,
        encoder: &mut wgpu::CommandEncoder,
        pyramid: &mut Pyramid,
        programs: &Programs,
        wanted: &Use,
        from: &Canvas,
    ) -> Canvas {
        let Some(program) = programs.get(Kind::Effect, &wanted.name) else {
            return from.clone();
        };
        let nothing = gpu.nothing.clone();
        let block = program.block(wanted.amount.min(1.0), Some(wanted));
        let blurred = match program.declaration.pyramid {
            true => {
                let gather = program.gather.as_ref().map(|pipeline| (pipeline, &block));
                pyramid.fill(gpu, encoder, &from.view, gather, program.spread(Some(wanted)))
            }
            false => nothing.clone(),
        };
        let (before, onto) = match program.declaration.feedback {
            true => {
                let size = self.size;
                let history = self.histories.entry(wanted.name.clone()).or_insert_with(|| History {
                    canvases: [0, 1].map(|_| gpu.canvas("stage history", size, FINE_FORMAT)),
                    newest: 0,
                    fresh: false,
                });
                let before = match history.fresh {
                    true => history.canvases[history.newest].view.clone(),
                    false => from.view.clone(),
                };
                history.newest = 1 - history.newest;
                (before, history.canvases[history.newest].clone())
            }
            false => (nothing, self.other_than(from)),
        };
        let load = wgpu::LoadOp::Clear(wgpu::Color::BLACK);
        let images = [&from.view, &before, &blurred];
        gpu.run(encoder, &program.pipeline, &onto.view.view, images, &block, load);
        onto
    }
}
