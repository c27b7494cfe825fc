//! A checkpoint that is being built.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use recsim_core::session::checkpoint::{NamedArray, named_arrays};
use recsim_core::td3::replay::Transitions;
use recsim_core::td3::{AgentSpec, AgentState};
use sha2::{Digest, Sha256};

use super::checksums::{self, FileChecksums};
use super::rows::RowLayout;
use super::{
    AGENT, BELIEFS, CheckpointInfo, INFO, NEXT, ReplayFile, USERS, folder_name, next_number, numbered, remove,
    remove_unfinished,
};
use crate::files::atomic::{folder_of, sync_folder};
use crate::files::models::ArrayView;
use crate::files::names;
use crate::files::run_dir::RunDir;

/// Builds the checkpoints of a run, one after the other, in the folder [`NEXT`].
///
/// Every method that writes fails if the run's folder was moved.
#[derive(Debug)]
pub(super) struct CheckpointBuilder {
    /// The folder of the run's checkpoints.
    folder: PathBuf,
    run_dir: RunDir,
    layout: RowLayout,
    /// The size of the replay buffer, in transitions.
    buffer_size: u64,
    /// The files of transitions, in order. Each continues where the one before it ends.
    replay: Vec<HashedReplayFile>,
    /// Whether [`NEXT`] exists, with the files of `replay` in it. If not, they are in `last`.
    is_begun: bool,
    /// The last complete checkpoint.
    last: Option<PathBuf>,
}

/// A file of transitions, and its checksum so far.
#[derive(Clone, Debug)]
pub(super) struct HashedReplayFile {
    pub(super) file: ReplayFile,
    pub(super) hash: Sha256,
}

impl CheckpointBuilder {
    /// Builds the first checkpoint of a run, or the one after `last`, whose files of transitions are `replay`.
    /// `buffer_size` is in transitions.
    pub(super) fn new(
        run_dir: RunDir,
        layout: RowLayout,
        buffer_size: usize,
        last: Option<PathBuf>,
        replay: Vec<HashedReplayFile>,
    ) -> Self {
        let folder = run_dir.path().join(names::CHECKPOINTS);
        Self { folder, run_dir, layout, buffer_size: buffer_size as u64, replay, is_begun: false, last }
    }

    /// Removes incomplete checkpoints, checkpoints newer than `last`, and checkpoints older than the one before `last`.
    /// The newer ones are damaged, and their positions lie behind the ends of the run's append-only files.
    ///
    /// # Errors
    /// If a file cannot be removed, or the run's folder was moved.
    pub(super) fn tidy(&self) -> io::Result<()> {
        self.run_dir.check()?;
        remove_unfinished(&self.folder)?;
        let all: Vec<_> = numbered(&self.folder)?.into_iter().map(|(_, path)| path).collect();
        let Some(last) = all.iter().position(|path| Some(path) == self.last.as_ref()) else { return Ok(()) };
        let (older, newer) = (&all[..last.saturating_sub(1)], &all[last + 1..]);
        newer.iter().chain(older).try_for_each(|path| remove(path))
    }

    /// Appends transitions, and removes files whose transitions the replay buffer has overwritten.
    ///
    /// # Errors
    /// If a file cannot be written or removed, or the run's folder was moved.
    pub(super) fn push(&mut self, transitions: &Transitions) -> io::Result<()> {
        self.run_dir.check()?;
        let end = self.replay.last().map_or(0, |last| last.file.end());
        let first = transitions.inserted - transitions.user.len() as u64;
        if first > end {
            // The transitions in between were not handed over: the replay buffer will have overwritten them.
            self.begin()?;
            self.remove_leading(|_| true)?;
        }
        self.begin()?;
        let skipped = end.saturating_sub(first);
        if self.replay.last().is_none_or(|last| self.is_full(last)) {
            let file = ReplayFile { first: first + skipped, rows: 0 };
            self.replay.push(HashedReplayFile { file, hash: Sha256::new() });
        }
        let bytes = self.layout.encode(transitions, skipped as usize);
        let last = self.replay.last_mut().expect("a file was added if there was none");
        let path = self.folder.join(NEXT).join(last.file.name());
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(&bytes)?;
        last.hash.update(&bytes);
        last.file.rows += (bytes.len() / self.layout.bytes()) as u64;
        let overwritten = transitions.inserted.saturating_sub(self.buffer_size);
        self.remove_leading(|file| file.end() <= overwritten)
    }

    /// Writes the other files, syncs all to the disk, and renames the folder to the next number. Sets `info.replay`.
    /// Removes all checkpoints but this one and the one before it.
    ///
    /// # Errors
    /// If a file cannot be written, synced, renamed or removed, or the run's folder was moved.
    pub(super) fn finish(
        &mut self,
        info: &mut CheckpointInfo,
        spec: &AgentSpec,
        agent: &AgentState,
        beliefs: &[f32],
        logs: &[File],
    ) -> io::Result<BuiltCheckpoint> {
        self.run_dir.check()?;
        self.begin()?;
        let next = self.folder.join(NEXT);
        info.replay = self.replay.iter().map(|hashed| hashed.file.clone()).collect();
        let mut checksums = FileChecksums::default();
        for HashedReplayFile { file, hash } in &self.replay {
            File::open(next.join(file.name()))?.sync_all()?;
            checksums.0.insert(file.name(), hash.clone());
        }
        let mut write = |name: &str, bytes: &[u8]| {
            checksums.0.insert(name.to_owned(), Sha256::new_with_prefix(bytes));
            write_synced(&next.join(name), bytes)
        };
        write(AGENT, &serialize(&named_arrays(spec, agent))?)?;
        let shape = vec![beliefs.len() / self.layout.clusters, self.layout.clusters];
        write(USERS, &serialize(&[NamedArray { name: BELIEFS.to_owned(), shape, values: beliefs }])?)?;
        write(INFO, &serde_json::to_vec_pretty(info)?)?;
        write_synced(&next.join(checksums::FILE), checksums.text().as_bytes())?;
        sync_folder(&next);
        logs.iter().try_for_each(File::sync_all)?;

        self.run_dir.check()?;
        let path = self.folder.join(folder_name(next_number(&self.folder)?));
        fs::rename(&next, &path)?;
        sync_folder(&self.folder);
        sync_folder(folder_of(&self.folder));
        self.is_begun = false;
        let previous = self.last.replace(path.clone());
        self.remove_all_but([previous.as_deref(), Some(&path)])?;
        let sizes = checksums.0.keys().map(|name| Ok(fs::metadata(path.join(name))?.len()));
        let bytes = sizes.sum::<io::Result<u64>>()?;
        Ok(BuiltCheckpoint { path, bytes })
    }

    /// Removes the incomplete checkpoint, unless the run's folder was moved.
    pub(super) fn abandon(&self) {
        if self.run_dir.check().is_err() {
            return;
        }
        // The error that led here is reported already.
        let _ = fs::remove_dir_all(self.folder.join(NEXT));
        let _ = fs::remove_dir(&self.folder);
    }

    /// Creates [`NEXT`], if it does not exist yet, with the transitions of the last checkpoint.
    fn begin(&mut self) -> io::Result<()> {
        if self.is_begun {
            return Ok(());
        }
        let next = self.folder.join(NEXT);
        fs::create_dir_all(&next)?;
        if let Some(last) = &self.last {
            for hashed in &self.replay {
                let (from, to) = (last.join(hashed.file.name()), next.join(hashed.file.name()));
                // A file that is not full is appended to, and must not change in the last checkpoint.
                if !self.is_full(hashed) || fs::hard_link(&from, &to).is_err() {
                    fs::copy(&from, &to)?;
                }
            }
        }
        self.is_begun = true;
        Ok(())
    }

    /// Whether the next transitions go to a new file.
    fn is_full(&self, hashed: &HashedReplayFile) -> bool {
        hashed.file.rows >= (self.buffer_size / NUM_REPLAY_FILES).max(1)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes files of transitions from the front, as long as `is_needless`.
    fn remove_leading(&mut self, is_needless: impl Fn(&ReplayFile) -> bool) -> io::Result<()> {
        while let Some(HashedReplayFile { file, .. }) = self.replay.first()
            && is_needless(file)
        {
            fs::remove_file(self.folder.join(NEXT).join(file.name()))?;
            self.replay.remove(0);
        }
        Ok(())
    }

    fn remove_all_but(&self, retained: [Option<&Path>; 2]) -> io::Result<()> {
        let others = numbered(&self.folder)?.into_iter().map(|(_, path)| path);
        others.filter(|path| !retained.contains(&Some(path))).try_for_each(|path| remove(&path))
    }
}

/// A complete checkpoint.
#[derive(Clone, Debug)]
pub(super) struct BuiltCheckpoint {
    pub(super) path: PathBuf,
    /// The size of its files, `SHA256SUMS` excepted.
    pub(super) bytes: u64,
}

fn serialize(arrays: &[NamedArray<'_>]) -> io::Result<Vec<u8>> {
    let views = arrays.iter().map(|array| (&*array.name, ArrayView(array)));
    safetensors::serialize(views, None).map_err(io::Error::other)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A full replay buffer is stored in about this many files. Consecutive checkpoints share all but one of them.
const NUM_REPLAY_FILES: u64 = 32;
