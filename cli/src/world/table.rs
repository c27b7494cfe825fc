//! Delimited text with a header: CSV, TSV, and the TSV of RecBole, whose headers contain a type (`user_id:token`).

use std::fs::File;
use std::io::{BufRead, BufReader, Chain, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use anyhow::Result;
use csv::{ReaderBuilder, StringRecord, Trim};

use crate::error::BadInput;

/// A delimited file that is read row by row.
pub(super) struct DelimitedTable {
    path: PathBuf,
    headers: Vec<String>,
    reader: csv::Reader<Chain<BufReader<File>, Cursor<Vec<u8>>>>,
}

/// One row, with its position in the file.
#[derive(Default)]
pub(super) struct TableRow(StringRecord);

impl DelimitedTable {
    /// Opens a file and reads its header. The separator is the most frequent one of comma, tab and semicolon in the
    /// first line that is not blank, and comma if none of them occurs.
    ///
    /// # Errors
    /// If the file cannot be read twice, is empty, has no header, or has two columns of the same name.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let unreadable = |error: std::io::Error| {
            BadInput::new(path.display(), format!("cannot be read: {error}"), "give a CSV or TSV file")
        };
        let refuse = |problem: &str, remedy: &str| Err(BadInput::new(path.display(), problem, remedy).into());
        let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
        let mut first = Vec::new();
        let mut start = file.by_ref().take(MAX_HEADER_LEN);
        while first.trim_ascii().is_empty() && start.read_until(b'\n', &mut first).map_err(unreadable)? > 0 {}
        if first.is_empty() {
            return refuse("is empty", "add a header, and a row for each record");
        }
        if first.len() as u64 == MAX_HEADER_LEN {
            return refuse("starts with a line that is too long for a header", "give a CSV or TSV file");
        }
        if file.rewind().is_err() {
            return refuse("can be read only once, like a pipe", "save its content to a file, and give that file");
        }
        let count = |separator: &u8| first.iter().filter(|byte| *byte == separator).count();
        let separator = *b";\t,".iter().max_by_key(|separator| count(separator)).expect("three to choose from");
        let mut builder = ReaderBuilder::new();
        // TSV has no quoting: a quotation mark is an ordinary character.
        builder.delimiter(separator).quoting(separator != b'\t').trim(Trim::All).flexible(true);
        let headers: Vec<String> = {
            let mut reader = builder.from_reader(&mut file);
            let headers = reader.headers().map_err(|error| malformed(path, &error))?;
            headers.iter().map(str::to_owned).collect()
        };
        if let Some(duplicate) =
            (1..headers.len()).find(|&n| !headers[n].is_empty() && headers[..n].contains(&headers[n]))
        {
            let problem = format!("has two columns `{}`", headers[duplicate]);
            return refuse(&problem, "give every column a different name");
        }
        file.rewind().map_err(unreadable)?;
        let end = vec![END_MARK; headers.len()].join(&*char::from(separator).to_string());
        let mut reader = builder.from_reader(file.chain(Cursor::new(format!("\n{end}\n").into_bytes())));
        reader.headers().map_err(|error| malformed(path, &error))?;
        Ok(Self { path: path.to_owned(), headers, reader })
    }

    /// The index of the column of that name, with or without a type after a colon.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        let untyped = |header: &str| header.split_once(':').is_some_and(|(plain, _)| plain == name);
        let is_called = |header: &String| header == name;
        self.headers.iter().position(is_called).or_else(|| self.headers.iter().position(|header| untyped(header)))
    }

    /// The same for a required column. `flag` is the option that selects another one.
    ///
    /// # Errors
    /// If there is no such column.
    pub(super) fn required(&self, name: &str, flag: &str) -> Result<usize> {
        self.column(name).ok_or_else(|| {
            let columns = self.headers.join("`, `");
            let problem = format!("has no column `{name}`; its columns are `{columns}`");
            BadInput::new(format!("{}:1", self.path.display()), problem, format!("select the column with {flag}"))
                .into()
        })
    }

    /// Reads the next row into `row`. Returns false at the end of the file.
    ///
    /// A quotation mark that is never closed makes one field of the rest of the file. To detect it, a row of
    /// [`END_MARK`]s is appended to the file: it must be read back unchanged.
    ///
    /// # Errors
    /// If the row cannot be read, has an open quotation mark, or has another number of fields than the header.
    pub(super) fn next(&mut self, row: &mut TableRow) -> Result<bool> {
        let is_row = self.reader.read_record(&mut row.0).map_err(|error| malformed(&self.path, &error))?;
        if !is_row || row.0.iter().all(|cell| cell == END_MARK) {
            return Ok(false);
        }
        let refuse = |problem: String, remedy: &str| Err(BadInput::new(self.location(row), problem, remedy).into());
        if row.0.iter().next_back().is_some_and(|cell| cell.ends_with(END_MARK)) {
            let problem = "a quotation mark is opened in this row and never closed".to_owned();
            return refuse(problem, "close it, or remove it");
        }
        let (actual, expected) = (row.0.len(), self.headers.len());
        if actual != expected {
            let problem = format!("has {actual} fields, and the header has {expected}");
            return refuse(problem, "correct the row, or remove it");
        }
        Ok(true)
    }

    /// The names of the columns, without types.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> + Clone {
        self.headers.iter().map(|header| header.split_once(':').map_or(&**header, |(plain, _)| plain))
    }

    /// The location of a row, as `file:line`.
    pub(super) fn location(&self, row: &TableRow) -> String {
        location(&self.path, row.0.position())
    }

    /// The header of a column, as in the file.
    pub(super) fn header(&self, column: usize) -> &str {
        &self.headers[column]
    }

    /// The id in a cell.
    ///
    /// # Errors
    /// If the cell is empty.
    pub(super) fn id<'a>(&self, row: &'a TableRow, column: usize) -> Result<&'a str> {
        match row.cell(column) {
            "" => {
                let problem = format!("`{}` is empty", self.header(column));
                Err(BadInput::new(self.location(row), problem, "give the row an id, or remove it").into())
            }
            id => Ok(id),
        }
    }

    /// The finite number in a cell.
    ///
    /// # Errors
    /// If the cell is not a finite number.
    pub(super) fn number(&self, row: &TableRow, column: usize) -> Result<f64> {
        let text = row.cell(column);
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => {
                let problem = format!("`{}` is `{text}`, which is not a finite number", self.header(column));
                Err(BadInput::new(self.location(row), problem, "correct the row, or remove it").into())
            }
        }
    }
}

impl TableRow {
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
    BadInput::new(location(path, error.position()), problem, "correct the row, or remove it")
}

/// `file:line` of a position. The line is counted again for an error, because the reader counts neither blank lines nor
/// all kinds of line ends.
fn location(path: &Path, position: Option<&csv::Position>) -> String {
    let Some(position) = position else { return path.display().to_string() };
    let line = std::fs::read(path).map_or(position.line(), |bytes| line_of(&bytes, position.byte() as usize));
    format!("{}:{line}", path.display())
}

/// The line, counted from 1, of the first byte at or after `start` that is not part of a line end.
fn line_of(bytes: &[u8], start: usize) -> u64 {
    let ends_line = |offset: usize| match bytes[offset] {
        b'\n' => true,
        b'\r' => bytes.get(offset + 1) != Some(&b'\n'),
        _ => false,
    };
    let first = (start..bytes.len()).find(|&offset| !b"\r\n".contains(&bytes[offset])).unwrap_or(bytes.len());
    1 + (0..first).filter(|&offset| ends_line(offset)).count() as u64
}

/// A cell of the row that is appended to a file. It does not occur in text files.
const END_MARK: &str = "\u{0}the end\u{0}";
/// Bytes of the file that are searched for a header.
const MAX_HEADER_LEN: u64 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_of_counts_all_kinds_of_line_ends() {
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
