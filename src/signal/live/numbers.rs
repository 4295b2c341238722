//! Lines of numbers, however they are separated, with or without labels: `1.5, 2`, `1;2;3`, `x:1 y:2`.

/// Values a line may hold.
const MAX_VALUES: usize = 4096;
/// A longer line is none.
pub const MAX_LINE_BYTES: usize = 1 << 16;

/// A line of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What stood before each value, where anything did.
    pub names: Vec<Option<String>>,
    pub values: Vec<f64>,
}

/// Takes a line apart; None if it holds anything but numbers and their labels. An empty line is no row and no fault.
pub fn row(line: &str) -> Option<Row> {
    let mut row = Row { names: Vec::new(), values: Vec::new() };
    let mut label: Option<String> = None;
    for word in line.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|')) {
        let word = word.trim_matches(['[', ']', '(', ')', '{', '}', '"']);
        if word.is_empty() {
            continue;
        }
        if let Some(value) = number(word) {
            row.names.push(label.take());
            row.values.push(value);
        } else if let Some((name, rest)) = word.split_once([':', '=']) {
            if label.is_some() {
                return None;
            }
            match number(rest) {
                Some(value) => {
                    row.names.push(Some(name.to_owned()));
                    row.values.push(value);
                }
                None if rest.is_empty() => label = Some(name.to_owned()),
                None => return None,
            }
        } else {
            return None;
        }
        if row.values.len() > MAX_VALUES {
            return None;
        }
    }
    (label.is_none()).then_some(row)
}

fn number(word: &str) -> Option<f64> {
    // Rust also takes "infinity" and the like; a sensor means nothing by them but that it has no value.
    if word.chars().next().is_some_and(char::is_alphabetic) && !word.eq_ignore_ascii_case("nan") {
        return matches!(word.to_ascii_lowercase().as_str(), "inf" | "null" | "none" | "ovf").then_some(f64::NAN);
    }
    let value = word.parse::<f64>().ok()?;
    Some(if value.is_finite() { value } else { f64::NAN })
}

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub struct LineCutter {
    rest: Vec<u8>,
    /// The line that is being read has no end: it is skipped up to the next one.
    skipping: bool,
}

impl LineCutter {
    /// Calls `take` with each whole line; None is one that is too long or no text.
    pub fn push(&mut self, bytes: &[u8], mut take: impl FnMut(Option<&str>)) {
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (body, ends) = match piece.split_last() {
                Some((b'\n' | b'\r', body)) => (body, true),
                _ => (piece, false),
            };
            if self.rest.len() + body.len() > MAX_LINE_BYTES {
                self.skipping = true;
                self.rest.clear();
            }
            if !self.skipping {
                self.rest.extend_from_slice(body);
            }
            if !ends {
                continue;
            }
            if std::mem::take(&mut self.skipping) {
                take(None);
            } else if !self.rest.is_empty() {
                take(std::str::from_utf8(&self.rest).ok());
            }
            self.rest.clear();
        }
    }

    /// What follows is another stream: a line that was begun is forgotten.
    pub fn clear(&mut self) {
        self.rest.clear();
        self.skipping = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(line: &str) -> Option<Vec<f64>> {
        row(line).map(|row| row.values)
    }

    #[test]
    fn numbers_are_read_however_they_are_separated() {
        for line in
            ["1 2.5 -3e2", "1,2.5,-3e2", "1; 2.5; -3e2\r", " 1\t2.5|-3e2 ", "[1, 2.5, -3e2]", "a:1 b=2.5 c: -3e2"]
        {
            assert_eq!(values(line), Some(vec![1.0, 2.5, -300.0]), "{line}");
        }
        assert_eq!(values(""), Some(vec![]));
        assert_eq!(row("x:1 y:2").unwrap().names, [Some("x".to_owned()), Some("y".to_owned())]);
        assert!(values("1,nan").unwrap()[1].is_nan());
    }

    #[test]
    fn what_is_no_line_of_numbers_is_refused() {
        for line in ["hello", "1 2 volts", "a:b", "x:", "12:34:56", "1.2.3", "\u{fffd}1"] {
            assert_eq!(values(line), None, "{line}");
        }
    }

    #[test]
    fn lines_are_cut_wherever_the_bytes_were_cut() {
        let text = b"1 2\r\n3 4\n\xff\xfe\n5 6\n7";
        for size in 1..text.len() {
            let mut cutter = LineCutter::default();
            let mut lines = Vec::new();
            for piece in text.chunks(size) {
                cutter.push(piece, |line| lines.push(line.map(str::to_owned)));
            }
            let expected = [Some("1 2"), Some("3 4"), None, Some("5 6")];
            assert_eq!(lines, expected.map(|line| line.map(str::to_owned)), "{size}");
        }
    }

    #[test]
    fn a_line_without_an_end_takes_no_memory() {
        let mut cutter = LineCutter::default();
        let mut lines = Vec::new();
        for _ in 0..100 {
            cutter.push(&[b'1'; 10_000], |line| lines.push(line.map(str::to_owned)));
        }
        assert!(cutter.rest.capacity() <= 2 * MAX_LINE_BYTES);
        cutter.push(b"\n1\n", |line| lines.push(line.map(str::to_owned)));
        assert_eq!(lines, [None, Some("1".to_owned())]);
    }
}
