//! A file is synced before it is renamed to its name, and its name is synced before an older file is removed: checked
//! by system calls, traced by `strace`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{TestDir, skipped, stderr};

#[test]
fn files_are_synced_before_they_are_renamed() {
    let dir = TestDir::new();
    let path = |name: &str| dir.path(name).canonicalize().unwrap_or_else(|_| dir.path(name)).display().to_string();
    let (run, world, traced) = (path("run"), path("world"), path("trace"));
    let train = ["train", "--config", "tiny.yaml", "--backend", "reference", "-q", "--out", &run, "--set"];
    let train = [&train[..], &["experiment.checkpoint_every=2", "--trace", &traced]].concat();
    let Some(calls) = FileCalls::trace(&dir, &train) else {
        return skipped("strace is missing or may not trace");
    };
    assert!(calls.unsynced_logs.is_empty(), "a checkpoint needs unsynced {:?}", calls.unsynced_logs);
    let checkpoint = |name: &Path| name.parent().is_some_and(|above| above.ends_with("checkpoints"));
    let numbered = |(_, to): &&(PathBuf, PathBuf)| checkpoint(to) && !to.ends_with(".old");
    assert_eq!(
        calls.renamed.iter().filter(numbered).count(),
        4,
        "one every two of eight rounds: {:?}",
        calls.renamed
    );
    let retired = calls.renamed.iter().filter(|(from, to)| checkpoint(from) && to.ends_with(".old"));
    assert_eq!(retired.count(), 2, "two of four checkpoints stay");
    for name in ["config.yaml", "run.json", "summary.json", "results/current_user_beliefs.json"] {
        assert!(calls.has_renamed_to(&Path::new(&run).join(name)), "{name}: {:?}", calls.renamed);
    }
    assert!(
        calls.has_renamed_to(&Path::new(&run).join("models/actor.safetensors"))
            && calls.has_renamed_to(Path::new(&traced))
    );

    for _ in 0..2 {
        let generate = ["world", "new", &world, "--force", "--users", "5", "--items", "50", "-q"];
        let calls = FileCalls::trace(&dir, &generate).unwrap();
        assert!(
            ["world.json", "world.safetensors"]
                .iter()
                .all(|name| calls.has_renamed_to(&Path::new(&world).join(name)))
        );
    }
    let results = path("e.json");
    let evaluate = ["eval", "--config", "tiny.yaml", "--backend", "reference", "--seeds", "1", "--rounds", "1"];
    let calls = FileCalls::trace(&dir, &[&evaluate[..], &["--out", &results]].concat()).unwrap();
    assert!(calls.has_renamed_to(Path::new(&results)));
}

/// What a process did to files, from its system calls.
#[derive(Debug, Default)]
struct FileCalls {
    /// Files that were written since they were last synced.
    unsynced: BTreeSet<PathBuf>,
    /// Folders in which a file was renamed since they were last synced.
    unsynced_names: BTreeSet<PathBuf>,
    /// Files and folders that were synced since they were last renamed.
    synced: BTreeSet<PathBuf>,
    renamed: Vec<(PathBuf, PathBuf)>,
    /// The run's append-only files that were not synced at the last rename.
    unsynced_logs: Vec<PathBuf>,
}

impl FileCalls {
    /// Runs the command, and checks every call. `None` if `strace` is missing or may not trace.
    fn trace(dir: &TestDir, arguments: &[&str]) -> Option<Self> {
        let trace = dir.path("strace");
        let traced = "trace=write,pwrite64,writev,copy_file_range,sendfile,fsync,fdatasync,rename,renameat,renameat2,\
                     unlink,unlinkat,rmdir";
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-qq", "-e", traced, "-o"]).arg(&trace).arg(env!("CARGO_BIN_EXE_recsim"));
        let output = command.args(arguments).current_dir(dir.path(".")).stdin(Stdio::null()).output().ok()?;
        if stderr(&output).contains("ptrace") {
            return None;
        }
        assert!(output.status.success(), "{}", stderr(&output));
        let mut calls = Self::default();
        let text = std::fs::read_to_string(trace).unwrap();
        text.lines().for_each(|line| calls.call(line));
        assert!(calls.unsynced_names.is_empty(), "names that were not synced: {:?}", calls.unsynced_names);
        Some(calls)
    }

    fn has_renamed_to(&self, path: &Path) -> bool {
        self.renamed.iter().any(|(_, to)| to == path)
    }

    /// Follows a line of the trace: a process id, a call and its arguments, open files with their paths in angle
    /// brackets.
    fn call(&mut self, line: &str) {
        let Some((name, arguments)) = line.split_once(' ').and_then(|(_, call)| call.trim_start().split_once('('))
        else {
            return;
        };
        let between = |open: char, close: char| -> Vec<PathBuf> {
            let paths = arguments.split(open).skip(1).filter_map(|rest| rest.split_once(close));
            paths.map(|(path, _)| PathBuf::from(path)).collect()
        };
        match name {
            "write" | "pwrite64" | "writev" | "sendfile" => {
                self.unsynced.extend(between('<', '>').into_iter().take(1));
            }
            "copy_file_range" => self.unsynced.extend(between('<', '>').into_iter().nth(1)),
            "fsync" | "fdatasync" => {
                for path in between('<', '>') {
                    self.unsynced.remove(&path);
                    self.unsynced_names.remove(&path);
                    self.synced.insert(path);
                }
            }
            "rename" | "renameat" | "renameat2" => {
                let paths: Vec<PathBuf> = arguments.split('"').skip(1).step_by(2).map(PathBuf::from).collect();
                let [from, to] = &paths[..] else { panic!("{line}") };
                self.rename(from, to, line);
            }
            "unlink" | "unlinkat" | "rmdir" => {
                let of_a_checkpoint = |path: &Path| {
                    let names: Vec<_> = path.iter().map(|name| name.to_string_lossy()).collect();
                    names.windows(2).any(|pair| pair[0] == "checkpoints" && pair[1].parse::<u32>().is_ok())
                };
                let paths = arguments.split(['"', '<', '>']).map(Path::new);
                assert!(
                    !paths.into_iter().any(of_a_checkpoint),
                    "a file of a numbered checkpoint is removed: {line}"
                );
            }
            _ => {}
        }
    }

    /// Follows a rename, whose source must be synced.
    fn rename(&mut self, from: &Path, to: &Path, line: &str) {
        let is_hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(".recsim-world-");
        let last = to.iter().next_back().unwrap().to_string_lossy().into_owned();
        let moved: Vec<PathBuf> = self.unsynced.iter().filter(|path| path.starts_with(from)).cloned().collect();
        if to.iter().any(is_hidden) || last == ".old" {
            // A temporary name. The newer checkpoint in the same folder must be synced before. (Other folders may have
            // unsynced names: models are written concurrently.)
            let pending = self.unsynced_names.contains(to.parent().unwrap());
            assert!(last != ".old" || !pending, "{line}: {:?}", self.unsynced_names);
        } else {
            assert!(moved.is_empty(), "{line}\nis not synced: {moved:?}");
            assert!(self.synced.remove(from), "{line}\nwas never synced");
            let of_a_run = |path: &Path| path.iter().any(|name| name == "run");
            let is_log =
                |path: &&PathBuf| of_a_run(path) && !path.file_name().unwrap().to_string_lossy().starts_with('.');
            self.unsynced_logs = self.unsynced.iter().filter(is_log).cloned().collect();
            self.unsynced_names.insert(to.parent().unwrap().to_owned());
        }
        for path in moved {
            self.unsynced.remove(&path);
            self.unsynced.insert(to.join(path.strip_prefix(from).unwrap()));
        }
        self.renamed.push((from.to_owned(), to.to_owned()));
    }
}
