//! wavedream
