//! `--trace`: the transitions of the first users, from which the simulator's arithmetic can be recomputed.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use recsim_core::backend::RoundSnapshot;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::atomic::{Replacement, folder_of};

/// Writes a trace: an unnamed temporary file for each tensor, and the trace's file at the end.
///
/// It holds one batch of users in memory. The trace of an interrupted run has the rounds that were completed.
#[derive(Debug)]
pub(crate) struct TraceWriter {
    path: PathBuf,
    users: usize,
    rounds: usize,
    columns: Vec<Column>,
    /// Claimed at the start, so that a second trace of the same name is refused then.
    replacement: Replacement,
}

/// One tensor `[rounds, users, width]`, or `[rounds, users]`.
#[derive(Debug)]
struct Column {
    name: &'static str,
    dtype: Dtype,
    width: Option<usize>,
    encode: Encode,
    file: BufWriter<File>,
}

/// Encodes the first elements of a batch's tensor, up to a count, in little-endian order.
type Encode = fn(&RoundSnapshot, usize) -> Vec<u8>;

impl TraceWriter {
    /// Begins a trace of the first `users` users at `path`, for actions of `dimensions` components, slates of
    /// `slate_len` items and beliefs about `clusters` clusters.
    ///
    /// # Errors
    /// If another process writes a trace at `path`, or if a temporary file cannot be created beside it.
    pub(crate) fn create(
        path: PathBuf,
        users: usize,
        dimensions: usize,
        slate_len: usize,
        clusters: usize,
    ) -> anyhow::Result<Self> {
        let replacement = Replacement::claim(&path)?;
        let column = |(name, dtype, width, encode)| {
            let file = BufWriter::new(tempfile::tempfile_in(folder_of(&path))?);
            Ok(Column { name, dtype, width, encode, file })
        };
        // The order of a safetensors file: types of more bytes first, then by name.
        let columns: [(_, _, _, Encode); 6] = [
            ("action", Dtype::F32, Some(dimensions), |batch, rows| floats(&batch.action[..rows])),
            ("belief_after", Dtype::F32, Some(clusters), |batch, rows| floats(&batch.belief[..rows])),
            ("belief_before", Dtype::F32, Some(clusters), |batch, rows| floats(&batch.belief_before[..rows])),
            ("reward", Dtype::F32, None, |batch, rows| floats(&batch.reward[..rows])),
            ("slate", Dtype::U32, Some(slate_len), |batch, rows| {
                batch.slate[..rows].iter().flat_map(|item| item.to_le_bytes()).collect()
            }),
            ("accepted", Dtype::U8, Some(slate_len), |batch, rows| {
                batch.accepted[..rows].iter().map(|&accepted| u8::from(accepted)).collect()
            }),
        ];
        let columns = columns.map(column).into_iter().collect::<io::Result<_>>();
        let columns = columns.with_context(|| format!("could not write a trace beside {}", path.display()))?;
        Ok(Self { path, users, rounds: 0, columns, replacement })
    }

    /// The file that it writes.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a round. `snapshots` are the batches that contain the traced users, in order.
    ///
    /// # Errors
    /// If a temporary file cannot be written.
    pub(crate) fn round(&mut self, snapshots: &[RoundSnapshot]) -> anyhow::Result<()> {
        let mut remaining = self.users;
        for batch in snapshots {
            let count = batch.users.len().min(remaining);
            for column in &mut self.columns {
                let bytes = (column.encode)(batch, count * column.width.unwrap_or(1));
                let written = column.file.write_all(&bytes);
                written.with_context(|| format!("could not write the trace {}", self.path.display()))?;
            }
            remaining -= count;
        }
        self.rounds += 1;
        Ok(())
    }

    /// Writes the trace's file.
    ///
    /// # Errors
    /// If it cannot be written.
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
