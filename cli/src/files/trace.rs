//! `--trace`: everything that happened to the first users, so that anyone can recompute the simulator's arithmetic.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use recsim_core::backend::RoundSnapshot;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::atomic::{Replacement, folder_of};

/// A trace being written: a nameless temporary file for each tensor, put together at the end.
///
/// Only one batch of users is ever held in memory, and an interrupted trace holds the rounds that were done.
#[derive(Debug)]
pub(crate) struct Trace {
    path: PathBuf,
    users: usize,
    rounds: usize,
    columns: Vec<Column>,
    /// The place is kept from the beginning: two traces of one name would meet at the end.
    replacement: Replacement,
}

/// One tensor `[rounds, users, width]`, or `[rounds, users]`.
#[derive(Debug)]
struct Column {
    name: &'static str,
    dtype: Dtype,
    width: Option<usize>,
    bytes: Bytes,
    file: BufWriter<File>,
}

/// The first that many elements of a batch's tensor, as they stand in the file.
type Bytes = fn(&RoundSnapshot, usize) -> Vec<u8>;

impl Trace {
    /// A trace of the first `users` users to be written to `path`, for actions of `dimensions`, slates of `shown` items and
    /// beliefs in `clusters`.
    pub(crate) fn create(
        path: PathBuf,
        users: usize,
        dimensions: usize,
        shown: usize,
        clusters: usize,
    ) -> anyhow::Result<Self> {
        let replacement = Replacement::claim(&path)?;
        let column = |(name, dtype, width, bytes)| {
            let file = BufWriter::new(tempfile::tempfile_in(folder_of(&path))?);
            Ok(Column { name, dtype, width, bytes, file })
        };
        // In the order of a safetensors file: wide types first, then by name.
        let columns: [(_, _, _, Bytes); 6] = [
            ("action", Dtype::F32, Some(dimensions), |batch, rows| floats(&batch.action[..rows])),
            ("belief_after", Dtype::F32, Some(clusters), |batch, rows| floats(&batch.belief[..rows])),
            ("belief_before", Dtype::F32, Some(clusters), |batch, rows| floats(&batch.belief_before[..rows])),
            ("reward", Dtype::F32, None, |batch, rows| floats(&batch.reward[..rows])),
            ("slate", Dtype::U32, Some(shown), |batch, rows| {
                batch.slate[..rows].iter().flat_map(|item| item.to_le_bytes()).collect()
            }),
            ("accepted", Dtype::U8, Some(shown), |batch, rows| {
                batch.accepted[..rows].iter().map(|&taken| u8::from(taken)).collect()
            }),
        ];
        let columns = columns.map(column).into_iter().collect::<io::Result<_>>();
        let columns = columns.with_context(|| format!("could not write a trace beside {}", path.display()))?;
        Ok(Self { path, users, rounds: 0, columns, replacement })
    }

    /// Where it is written to.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a round, from the batches of the traced users in their order.
    pub(crate) fn round(&mut self, snapshots: &[RoundSnapshot]) -> anyhow::Result<()> {
        let mut left = self.users;
        for batch in snapshots {
            let count = batch.users.len().min(left);
            for column in &mut self.columns {
                let bytes = (column.bytes)(batch, count * column.width.unwrap_or(1));
                let written = column.file.write_all(&bytes);
                written.with_context(|| format!("could not write the trace {}", self.path.display()))?;
            }
            left -= count;
        }
        self.rounds += 1;
        Ok(())
    }

    /// Puts the file together.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        let header = self.header()?;
        let columns = &mut self.columns;
        self.replacement.fill(|file| {
            file.write_all(&(header.len() as u64).to_le_bytes())?;
            file.write_all(&header)?;
            for column in columns {
                column.file.flush()?;
                column.file.get_mut().rewind()?;
                io::copy(column.file.get_mut(), file)?;
            }
            Ok(())
        })?;
        self.replacement.commit()
    }

    fn header(&self) -> anyhow::Result<Vec<u8>> {
        let mut end = 0;
        let tensors = self.columns.iter().map(|column| {
            let mut shape = vec![self.rounds, self.users];
            shape.extend(column.width);
            let start = end;
            end += shape.iter().product::<usize>() * column.dtype.bitsize() / 8;
            let info = TensorInfo { dtype: column.dtype, shape, data_offsets: (start, end) };
            (column.name.to_owned(), info)
        });
        let metadata = Metadata::new(None, tensors.collect()).map_err(io::Error::other)?;
        let mut header = serde_json::to_vec(&metadata)?;
        header.resize(header.len().next_multiple_of(8), b' ');
        Ok(header)
    }
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}
