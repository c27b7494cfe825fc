//! A checkpoint being written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use recsim_core::session::checkpoint::{NamedArray, named_arrays};
use recsim_core::td3::replay::Transitions;
use recsim_core::td3::{AgentSpec, AgentState};
use sha2::{Digest, Sha256};

use super::rows::Row;
use super::sums::{self, Sums};
use super::{
    ABOUT, AGENT, About, BELIEFS, NEXT, Part, USERS, next_number, numbered, numeral, remove_unfinished, retire,
};
use crate::files::atomic::{folder_of, sync_folder};
use crate::files::home::Home;
use crate::files::models::Tensor;
use crate::files::names;

/// The folder of a run's checkpoints, and what will be the next.
#[derive(Debug)]
pub(super) struct Draft {
    folder: PathBuf,
    /// The run's folder.
    home: Home,
    row: Row,
    capacity: u64,
    /// Files of transitions, in their order; none lacks any that stand between them.
    parts: Vec<Written>,
    /// Whether [`NEXT`] is there, with the parts in it.
    begun: bool,
    /// The last checkpoint, whose files of transitions those are if it is not.
    last: Option<PathBuf>,
}

/// A file of transitions, so far.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) part: Part,
    pub(super) hash: Sha256,
}

impl Draft {
    /// The first checkpoint of a run, or the one after `last`, which holds `parts`.
    pub(super) fn new(home: Home, row: Row, capacity: usize, last: Option<PathBuf>, parts: Vec<Written>) -> Self {
        let folder = home.path().join(names::CHECKPOINTS);
        Self { folder, home, row, capacity: capacity as u64, parts, begun: false, last }
    }

    /// Removes what a program that was killed left half done, and checkpoints newer than the one that is gone on from, which
    /// are damaged, and know more of the run's growing files than there is by now.
    pub(super) fn tidy(&self) -> io::Result<()> {
        self.home.look()?;
        remove_unfinished(&self.folder)?;
        let all: Vec<_> = numbered(&self.folder)?.into_iter().map(|(_, path)| path).collect();
        let Some(last) = all.iter().position(|path| Some(path) == self.last.as_ref()) else { return Ok(()) };
        let (older, newer) = (&all[..last.saturating_sub(1)], &all[last + 1..]);
        newer.iter().chain(older).try_for_each(|path| retire(path))
    }

    /// Adds transitions; those that the ring holds no longer go.
    pub(super) fn push(&mut self, transitions: &Transitions) -> io::Result<()> {
        self.home.look()?;
        let end = self.parts.last().map_or(0, |last| last.part.end());
        let first = transitions.inserted - transitions.user.len() as u64;
        if first > end {
            // What lies between was never asked for: the ring will not hold it.
            self.begin()?;
            self.keep(|_| false)?;
        }
        self.begin()?;
        let skipped = end.saturating_sub(first);
        if self.parts.last().is_none_or(|last| self.is_full(last)) {
            let part = Part { first: first + skipped, rows: 0 };
            self.parts.push(Written { part, hash: Sha256::new() });
        }
        let bytes = self.row.encode(transitions, skipped as usize);
        let last = self.parts.last_mut().expect("one was just added, if there was none");
        let path = self.folder.join(NEXT).join(last.part.name());
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(&bytes)?;
        last.hash.update(&bytes);
        last.part.rows += (bytes.len() / self.row.bytes()) as u64;
        let gone = transitions.inserted.saturating_sub(self.capacity);
        self.keep(|part| part.end() > gone)
    }

    /// Writes the rest, and gives it its number once all is on the disk. The one before it stays, and no older one.
    pub(super) fn finish(
        &mut self,
        about: &mut About,
        spec: &AgentSpec,
        agent: &AgentState,
        beliefs: &[f32],
        logs: &[File],
    ) -> io::Result<Finished> {
        self.home.look()?;
        self.begin()?;
        let next = self.folder.join(NEXT);
        about.replay = self.parts.iter().map(|written| written.part.clone()).collect();
        let mut sums = Sums::default();
        for Written { part, hash } in &self.parts {
            File::open(next.join(part.name()))?.sync_all()?;
            sums.0.insert(part.name(), hash.clone());
        }
        let mut write = |name: &str, bytes: &[u8]| {
            sums.0.insert(name.to_owned(), Sha256::new_with_prefix(bytes));
            write_synced(&next.join(name), bytes)
        };
        write(AGENT, &serialized(&named_arrays(spec, agent))?)?;
        let shape = vec![beliefs.len() / self.row.clusters, self.row.clusters];
        write(USERS, &serialized(&[NamedArray { name: BELIEFS.to_owned(), shape, values: beliefs }])?)?;
        write(ABOUT, &serde_json::to_vec_pretty(about)?)?;
        write_synced(&next.join(sums::FILE), sums.text().as_bytes())?;
        sync_folder(&next);
        logs.iter().try_for_each(File::sync_all)?;

        self.home.look()?;
        let path = self.folder.join(numeral(next_number(&self.folder)?));
        fs::rename(&next, &path)?;
        sync_folder(&self.folder);
        sync_folder(folder_of(&self.folder));
        self.begun = false;
        let before = self.last.replace(path.clone());
        self.remove_all_but([before.as_deref(), Some(&path)])?;
        let bytes = sums.0.keys().map(|name| Ok(fs::metadata(path.join(name))?.len())).sum::<io::Result<u64>>()?;
        Ok(Finished { path, bytes })
    }

    /// Removes what is not finished.
    pub(super) fn abandon(&self) {
        if self.home.look().is_err() {
            return;
        }
        // An error that led here is told already.
        let _ = fs::remove_dir_all(self.folder.join(NEXT));
        let _ = fs::remove_dir(&self.folder);
    }

    /// Makes the folder of the next one, with the transitions of the last.
    fn begin(&mut self) -> io::Result<()> {
        if self.begun {
            return Ok(());
        }
        let next = self.folder.join(NEXT);
        fs::create_dir_all(&next)?;
        if let Some(last) = &self.last {
            for written in &self.parts {
                let (from, to) = (last.join(written.part.name()), next.join(written.part.name()));
                // One that may grow must not do so under its other name.
                if !self.is_full(written) || fs::hard_link(&from, &to).is_err() {
                    fs::copy(&from, &to)?;
                }
            }
        }
        self.begun = true;
        Ok(())
    }

    /// Whether the next transitions belong into another file.
    fn is_full(&self, written: &Written) -> bool {
        written.part.rows >= (self.capacity / PARTS).max(1)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Drops parts, all of which lie before the others.
    fn keep(&mut self, wanted: impl Fn(&Part) -> bool) -> io::Result<()> {
        while let Some(Written { part, .. }) = self.parts.first()
            && !wanted(part)
        {
            fs::remove_file(self.folder.join(NEXT).join(part.name()))?;
            self.parts.remove(0);
        }
        Ok(())
    }

    fn remove_all_but(&self, kept: [Option<&Path>; 2]) -> io::Result<()> {
        let others = numbered(&self.folder)?.into_iter().map(|(_, path)| path);
        others.filter(|path| !kept.contains(&Some(path))).try_for_each(|path| retire(&path))
    }
}

/// A checkpoint that is there.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    pub(super) path: PathBuf,
    /// Of all its files.
    pub(super) bytes: u64,
}

fn serialized(tables: &[NamedArray<'_>]) -> io::Result<Vec<u8>> {
    let views = tables.iter().map(|table| (&*table.name, Tensor(table)));
    safetensors::serialize(views, None).map_err(io::Error::other)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A ring of transitions is kept in about so many files: each checkpoint names them all, and rewrites one.
const PARTS: u64 = 32;
