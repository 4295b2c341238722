//! How a picture of one shape lies on a stage of another. Shared by the shaders and the plain CPU path.

/// How the picture meets a stage of another shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fit {
    /// The whole stage is covered; what does not fit is cut off.
    #[default]
    Crop,
    /// The whole picture is seen; the rest of the stage is filled by [`Fill`].
    Contain,
    Stretch,
}

/// What is seen beside a picture that does not cover the stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fill {
    #[default]
    Black,
    /// The picture itself, blurred and dimmed.
    Blur,
}

impl Fit {
    /// Scale about the middle: `picture_uv = (stage_uv - 0.5) * scale + 0.5`, both 0..1.
    pub(super) fn picture_from_stage(self, picture: (u32, u32), stage: (u32, u32)) -> [f32; 2] {
        let wide = |(w, h): (u32, u32)| w.max(1) as f32 / h.max(1) as f32;
        // How much wider than the picture the stage is.
        let ratio = wide(stage) / wide(picture);
        match self {
            Fit::Stretch => [1.0, 1.0],
            Fit::Crop => [ratio.min(1.0), (1.0 / ratio).min(1.0)],
            Fit::Contain => [ratio.max(1.0), (1.0 / ratio).max(1.0)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_on_a_wide_stage_is_cut_at_top_and_bottom() {
        assert_eq!(Fit::Crop.picture_from_stage((512, 512), (1024, 512)), [1.0, 0.5]);
    }

    #[test]
    fn a_contained_square_on_a_wide_stage_leaves_both_sides_free() {
        assert_eq!(Fit::Contain.picture_from_stage((512, 512), (1024, 512)), [2.0, 1.0]);
    }

    #[test]
    fn the_same_shape_is_untouched_by_every_fit() {
        for fit in [Fit::Crop, Fit::Contain, Fit::Stretch] {
            assert_eq!(fit.picture_from_stage((960, 540), (1920, 1080)), [1.0, 1.0]);
        }
    }
}
