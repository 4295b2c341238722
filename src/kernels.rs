//! The few hot operations of the models on the CPU. All `unsafe` and SIMD of the program is in this room.
