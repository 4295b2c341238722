//! The stage: pictures become frames. Crossfade, transitions, effects on wgpu; films.
