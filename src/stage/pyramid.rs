//! A pyramid of blurs of an image, in one texture with mip levels: for bloom, for the blurred fill, for users' files.

use super::gpu::{Block, FINE_FORMAT, Gpu, PipelineBuilder, View, create_texture};

/// Halvings: at 1280x720 the last level is 20 pixels wide.
const LEVELS: u32 = 6;

const SHADER: &str = concat!(include_str!("../../shaders/prelude.wgsl"), include_str!("../../shaders/pyramid.wgsl"));

pub(super) struct Pyramid {
    first: wgpu::RenderPipeline,
    down: wgpu::RenderPipeline,
    up: wgpu::RenderPipeline,
    size: (u32, u32),
    levels: Vec<View>,
    whole: Option<View>,
}

impl Pyramid {
    pub fn new(builder: &PipelineBuilder) -> Result<Self, String> {
        let [first, down, up] = builder.build(
            "stage pyramid",
            SHADER,
            [
                ("fs_first", FINE_FORMAT, None),
                ("fs_down", FINE_FORMAT, None),
                ("fs_up", FINE_FORMAT, Some(wgpu::BlendState::ALPHA_BLENDING)),
            ],
        )?;
        Ok(Self { first, down, up, size: (0, 0), levels: Vec::new(), whole: None })
    }

    /// For a stage of this size; the texture is made when first needed.
    pub fn resize(&mut self, stage: (u32, u32)) {
        self.size = ((stage.0 / 2).max(1), (stage.1 / 2).max(1));
        self.levels.clear();
        self.whole = None;
    }

    /// Fills the levels from `source` and gives the view of all of them. `gather` takes the place of the plain first
    /// step; `spread` (0..1) is how much of the wider blurs the finer levels take up.
    pub fn fill(
        &mut self,
        gpu: &mut Gpu,
        encoder: &mut wgpu::CommandEncoder,
        source: &View,
        gather: Option<(&wgpu::RenderPipeline, &Block)>,
        spread: f32,
    ) -> View {
        let whole = match &self.whole {
            Some(whole) => whole.clone(),
            None => self.allocate(gpu),
        };
        let clear = wgpu::LoadOp::Clear(wgpu::Color::BLACK);
        let nothing = gpu.nothing.clone();
        let plain = Block::new(&[spread]);
        let (pipeline, block) = gather.unwrap_or((&self.first, &plain));
        for (level, view) in self.levels.iter().enumerate() {
            let (pipeline, block, from) = match level.checked_sub(1) {
                None => (pipeline, block, source),
                Some(finer) => (&self.down, &plain, &self.levels[finer]),
            };
            gpu.run(encoder, pipeline, &view.view, [from, &nothing, &nothing], block, clear);
        }
        for level in (1..self.levels.len()).rev() {
            let (wide, fine) = (&self.levels[level], &self.levels[level - 1]);
            let images = [wide, &nothing, &nothing];
            gpu.run(encoder, &self.up, &fine.view, images, &plain, wgpu::LoadOp::Load);
        }
        whole
    }

    fn allocate(&mut self, gpu: &mut Gpu) -> View {
        let most = self.size.0.max(self.size.1).ilog2() + 1;
        let levels = LEVELS.min(most);
        let texture = create_texture(&gpu.device, "stage pyramid", self.size, FINE_FORMAT, levels);
        self.levels = (0..levels).map(|level| gpu.view(&texture, Some(level))).collect();
        let whole = gpu.view(&texture, None);
        self.whole = Some(whole.clone());
        whole
    }
}
