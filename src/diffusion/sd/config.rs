//! The kinds of Stable Diffusion that there are.

/// Which text goes into the U-Net, and how the model was trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// 1.x: CLIP-L, 768 wide.
    Sd1,
    /// 2.x and SD-Turbo: OpenCLIP-H, 1024 wide.
    Sd2,
    /// SDXL and SDXL-Turbo: CLIP-L and OpenCLIP-G, 2048 wide, and the picture's size.
    Sdxl,
}

impl Family {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sd1 => "Stable Diffusion 1.x",
            Self::Sd2 => "Stable Diffusion 2.x",
            Self::Sdxl => "Stable Diffusion XL",
        }
    }
    /// What latents are multiplied with after the encoder, in the checkpoints that Stability published.
    pub fn scaling(self) -> f32 {
        if self == Self::Sdxl { 0.13025 } else { 0.18215 }
    }
    /// SD 2 was trained with `!` after the end of a prompt, which is word 0; the others with the end word.
    pub fn padding(self) -> u32 {
        if self == Self::Sd2 { 0 } else { super::text::END }
    }
    /// Side of the pictures that most checkpoints of the kind were trained on, in latent cells.
    pub fn side(self) -> usize {
        if self == Self::Sdxl { 128 } else { 64 }
    }
}
