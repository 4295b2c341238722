//! The table of parameters, presets and what reaches them.
