//! The pipelines of effects and transitions: built when first needed, or all at once by `prepare`; a saved file is
//! built on a thread of its own and takes the old one's place when it is ready.

use std::{collections::HashMap, sync::Arc};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::{
    Use,
    declaration::{Declaration, Kind, ParamKind},
    gpu::{Block, FINE_FORMAT, PipelineBuilder},
    library::ShaderLibrary,
    wgsl::Shader,
};

/// An effect or transition that can run.
pub(super) struct Program {
    pub declaration: Declaration,
    pub pipeline: wgpu::RenderPipeline,
    /// The effect's own first step of the pyramid.
    pub gather: Option<wgpu::RenderPipeline>,
}

impl Program {
    fn build(builder: &PipelineBuilder, shader: &Shader) -> Result<Self, String> {
        let declaration = shader.declaration.clone();
        let (label, module) = (declaration.name.as_str(), shader.module.as_str());
        let format = if declaration.feedback { FINE_FORMAT } else { builder.canvas_format };
        let main = ("fs_main", format, None);
        let (pipeline, gather) = if declaration.pyramid && declaration.gathers {
            let [pipeline, gather] = builder.build(label, module, [main, ("fs_gather", FINE_FORMAT, None)])?;
            (pipeline, Some(gather))
        } else {
            let [pipeline] = builder.build(label, module, [main])?;
            (pipeline, None)
        };
        Ok(Self { declaration, pipeline, gather })
    }

    /// `first` (amount or progress), then the declared parameters, set or default, kept in their ranges.
    pub fn block(&self, first: f32, settings: Option<&Use>) -> Block {
        let mut block = Block::new(&[first]);
        for param in &self.declaration.params {
            let value = self.set(&param.name, settings).unwrap_or(param.default).clamp(param.min, param.max);
            match param.kind {
                ParamKind::Int => block.push_int(value),
                ParamKind::Float => block.push(value),
                ParamKind::Bool => block.push(value.round()),
            }
        }
        block
    }

    /// How much of the wider blurs the finer ones take up: the parameter `spread`, if the file declares it.
    pub fn spread(&self, settings: Option<&Use>) -> f32 {
        let declared = self.declaration.params.iter().find(|param| param.name == "spread");
        declared.map_or(0.5, |param| {
            self.set("spread", settings).unwrap_or(param.default).clamp(param.min.max(0.0), param.max.min(1.0))
        })
    }

    fn set(&self, name: &str, settings: Option<&Use>) -> Option<f32> {
        let (_, value) = settings?.params.iter().find(|(known, _)| known == name)?;
        value.is_finite().then_some(*value)
    }
}

type Built = (Kind, String, Result<Program, String>);

pub(super) struct Programs {
    builder: PipelineBuilder,
    /// None: it was tried and cannot be built.
    ready: HashMap<(Kind, String), Option<Program>>,
    built: Receiver<Built>,
    built_tx: Sender<Built>,
}

impl Programs {
    pub fn new(builder: PipelineBuilder) -> Self {
        let (built_tx, built) = bounded(64);
        Self { builder, ready: HashMap::new(), built, built_tx }
    }

    /// Builds all that is not built yet.
    pub fn prepare(&mut self, library: &mut ShaderLibrary) {
        for shader in library.shaders().to_vec() {
            self.ensure(library, shader.declaration.kind, &shader.declaration.name);
        }
    }

    /// Builds `name` if need be; false if there is none, or none that can run.
    pub fn ensure(&mut self, library: &mut ShaderLibrary, kind: Kind, name: &str) -> bool {
        // Two look-ups, so that a known name costs no allocation: HashMap wants an owned key.
        if self.get(kind, name).is_some() {
            return true;
        }
        let key = (kind, name.to_owned());
        if self.ready.contains_key(&key) {
            return false;
        }
        let Some(shader) = library.find(kind, name).cloned() else {
            return false;
        };
        let program = match Program::build(&self.builder, &shader) {
            Ok(program) => Some(program),
            Err(why) => {
                library.refuse(name, &why);
                None
            }
        };
        self.ready.insert(key, program).is_none() && self.get(kind, name).is_some()
    }

    pub fn get(&self, kind: Kind, name: &str) -> Option<&Program> {
        self.ready
            .iter()
            .find(|((known, of), _)| *known == kind && of == name)
            .and_then(|(_, program)| program.as_ref())
    }

    /// Takes over saved files; never waits for a file, the disk or the driver.
    pub fn poll(&mut self, library: &mut ShaderLibrary) {
        let mut saved: Vec<Arc<Shader>> = Vec::new();
        library.poll(|shader| saved.push(shader));
        for shader in saved {
            self.rebuild(shader);
        }
        while let Ok((kind, name, result)) = self.built.try_recv() {
            match result {
                Ok(program) => {
                    self.ready.insert((kind, name), Some(program));
                }
                Err(why) => library.refuse(&name, &why),
            }
        }
    }

    fn rebuild(&mut self, shader: Arc<Shader>) {
        let builder = self.builder.clone();
        let built = self.built_tx.clone();
        let build = move || {
            let result = Program::build(&builder, &shader);
            let name = shader.declaration.name.clone();
            // A full channel means that frames have stopped: the next save tries again.
            let _ = built.try_send((shader.declaration.kind, name, result));
        };
        let _ = std::thread::Builder::new().name("stage-build".to_owned()).spawn(build);
    }
}
