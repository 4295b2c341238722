//! The program: command line, wiring, windows.
