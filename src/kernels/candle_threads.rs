//! How many threads candle takes for one operation: only its environment can say so, and that is unsafe to set.
//!
//! candle 0.11 splits even small operations over all cores and lets the others spin until the next one. Where several
//! threads of ours each run many small operations (the training of an encoder), 70 % of the time went into that (perf, two
//! cores), and a step takes half as long with one thread an operation.

/// Keeps each of candle's operations on the thread that asks for it, unless the person has said otherwise.
///
/// To be called at the start of a command, before candle is first used and before there are other threads.
pub fn keep_candle_on_its_thread() {
    for name in ["CANDLE_NUM_THREADS", "RAYON_NUM_THREADS"] {
        if std::env::var_os(name).is_none() {
            // SAFETY: the environment must not be read by another thread meanwhile; there is none yet (see above).
            unsafe { std::env::set_var(name, "1") };
        }
    }
}
