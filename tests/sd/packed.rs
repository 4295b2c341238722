pub fn unpack(family: &str) -> tempfile::TempDir { todo!("{family}") }
