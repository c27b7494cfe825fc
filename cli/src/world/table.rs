//! Delimited text with a header: CSV, TSV, and RecBole's TSV, whose headers carry a type (`user_id:token`).

use std::fs::File;
use std::io::{BufRead, BufReader, Chain, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use anyhow::Result;
use csv::{ReaderBuilder, StringRecord, Trim};

use crate::error::BadInput;

/// A table, read row by row.
pub(super) struct Table {
    path: PathBuf,
    headers: Vec<String>,
    reader: csv::Reader<Chain<BufReader<File>, Cursor<Vec<u8>>>>,
}

/// One row, with its line.
#[derive(Default)]
pub(super) struct Row(StringRecord);

impl Table {
    /// Opens a file; the separator is whichever of comma, tab and semicolon is the most frequent in its first line that
    /// is not blank; comma, if there is none of them.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let unreadable = |error: std::io::Error| {
            BadInput::new(path.display(), format!("cannot be read: {error}"), "name a CSV or TSV file")
        };
        let refuse = |problem: &str, remedy: &str| Err(BadInput::new(path.display(), problem, remedy).into());
        let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
        let mut first = Vec::new();
        let mut beginning = file.by_ref().take(LONGEST_HEADER);
        while first.trim_ascii().is_empty() && beginning.read_until(b'\n', &mut first).map_err(unreadable)? > 0 {}
        if first.is_empty() {
            return refuse("is empty", "give a header, and a row for each record");
        }
        if first.len() as u64 == LONGEST_HEADER {
            return refuse("begins with a line that is too long for a header", "name a CSV or TSV file");
        }
        if file.rewind().is_err() {
            return refuse("can be read only once, as a pipe can", "save what it gives, and name that file");
        }
        let count = |separator: &u8| first.iter().filter(|byte| *byte == separator).count();
        let separator = *b";\t,".iter().max_by_key(|separator| count(separator)).expect("three to choose from");
        let mut builder = ReaderBuilder::new();
        // A quotation mark in TSV is only itself.
        builder.delimiter(separator).quoting(separator != b'\t').trim(Trim::All).flexible(true);
        let headers: Vec<String> = {
            let mut reader = builder.from_reader(&mut file);
            let headers = reader.headers().map_err(|error| malformed(path, &error))?;
            headers.iter().map(str::to_owned).collect()
        };
        if let Some(twice) =
            (1..headers.len()).find(|&n| !headers[n].is_empty() && headers[..n].contains(&headers[n]))
        {
            let problem = format!("calls two columns `{}`", headers[twice]);
            return refuse(&problem, "give every column a name of its own");
        }
        file.rewind().map_err(unreadable)?;
        let end = vec![END; headers.len()].join(&*char::from(separator).to_string());
        let mut reader = builder.from_reader(file.chain(Cursor::new(format!("\n{end}\n").into_bytes())));
        reader.headers().map_err(|error| malformed(path, &error))?;
        Ok(Self { path: path.to_owned(), headers, reader })
    }

    /// Where the column of that name stands, with or without a type behind a colon.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        let untyped = |header: &str| header.split_once(':').is_some_and(|(plain, _)| plain == name);
        let is_called = |header: &String| header == name;
        self.headers.iter().position(is_called).or_else(|| self.headers.iter().position(|header| untyped(header)))
    }

    /// The same for a column that must be there; `flag` is what names another.
    pub(super) fn required(&self, name: &str, flag: &str) -> Result<usize> {
        self.column(name).ok_or_else(|| {
            let columns = self.headers.join("`, `");
            let problem = format!("has no column `{name}`; its columns are `{columns}`");
            BadInput::new(format!("{}:1", self.path.display()), problem, format!("name the column with {flag}"))
                .into()
        })
    }

    /// Reads the next row into `row`; false at the end.
    ///
    /// A quotation mark that is never closed would make one field of all that follows. So a row of our own stands behind
    /// the file, and must come out as it went in.
    pub(super) fn next(&mut self, row: &mut Row) -> Result<bool> {
        let found = self.reader.read_record(&mut row.0).map_err(|error| malformed(&self.path, &error))?;
        if !found || row.0.iter().all(|cell| cell == END) {
            return Ok(false);
        }
        let refuse = |problem: String, remedy: &str| Err(BadInput::new(self.place(row), problem, remedy).into());
        if row.0.iter().next_back().is_some_and(|cell| cell.ends_with(END)) {
            let problem = "a quotation mark is opened in this row and never closed".to_owned();
            return refuse(problem, "close it, or remove it");
        }
        let (found, expected) = (row.0.len(), self.headers.len());
        if found != expected {
            let problem = format!("has {found} fields where the header has {expected}");
            return refuse(problem, "correct the row, or remove it");
        }
        Ok(true)
    }

    /// The columns' names, without types.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> + Clone {
        self.headers.iter().map(|header| header.split_once(':').map_or(&**header, |(plain, _)| plain))
    }

    /// The place of a row, as `file:line`.
    pub(super) fn place(&self, row: &Row) -> String {
        at(&self.path, row.0.position())
    }

    /// A column's name as the file has it.
    pub(super) fn header(&self, column: usize) -> &str {
        &self.headers[column]
    }

    /// An id, which may not be empty.
    pub(super) fn id<'a>(&self, row: &'a Row, column: usize) -> Result<&'a str> {
        match row.cell(column) {
            "" => {
                let problem = format!("`{}` is empty", self.header(column));
                Err(BadInput::new(self.place(row), problem, "give every row an id, or remove it").into())
            }
            id => Ok(id),
        }
    }

    /// A finite number.
    pub(super) fn number(&self, row: &Row, column: usize) -> Result<f64> {
        let text = row.cell(column);
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => {
                let problem = format!("`{}` is `{text}`, which is no number", self.header(column));
                Err(BadInput::new(self.place(row), problem, "correct the row, or remove it").into())
            }
        }
    }
}

impl Row {
    pub(super) fn cell(&self, column: usize) -> &str {
        self.0.get(column).expect("every row is as long as the header")
    }
}

fn malformed(path: &Path, error: &csv::Error) -> BadInput {
    let problem = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8 text".to_owned(),
        csv::ErrorKind::Io(error) => format!("cannot be read: {error}"),
        _ => error.to_string(),
    };
    BadInput::new(at(path, error.position()), problem, "correct the row, or remove it")
}

/// The reader counts neither blank lines nor all line ends; so the line is counted anew where somebody is told.
fn at(path: &Path, position: Option<&csv::Position>) -> String {
    let Some(position) = position else { return path.display().to_string() };
    let line = std::fs::read(path).map_or(position.line(), |bytes| line_of(&bytes, position.byte() as usize));
    format!("{}:{line}", path.display())
}

/// The line, from 1, of the first byte from `start` on that does not end a line.
fn line_of(bytes: &[u8], start: usize) -> u64 {
    let ends = |at: usize| match bytes[at] {
        b'\n' => true,
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    let place = (start..bytes.len()).find(|&at| !b"\r\n".contains(&bytes[at])).unwrap_or(bytes.len());
    1 + (0..place).filter(|&at| ends(at)).count() as u64
}

/// What nobody writes into a file: a cell of the row behind its end.
const END: &str = "\u{0}the end\u{0}";
/// What is looked at to tell the separator.
const LONGEST_HEADER: u64 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_whatever_ends_them() {
        for (text, start, line) in [
            ("a\nb\nc", 4, 3),
            ("a\r\nb\r\nc", 6, 3),
            ("a\r\nb\r\nc", 5, 3),
            ("a\rb\rc", 4, 3),
            ("a\n\n\nb", 2, 4),
            ("a\r\n\r\nb", 3, 3),
            ("a\n", 2, 2),
        ] {
            assert_eq!(line_of(text.as_bytes(), start), line, "{text:?}");
        }
    }
}
