//! What is written is on the disk before it gets its name, and its name is before anything older goes: by the system
//! calls, as `strace` sees them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{TestDir, skipped, stderr};

#[test]
fn whatever_gets_its_name_is_on_the_disk() {
    let dir = TestDir::new();
    let path = |name: &str| dir.path(name).canonicalize().unwrap_or_else(|_| dir.path(name)).display().to_string();
    let (run, world, traced) = (path("run"), path("world"), path("trace"));
    let train = ["train", "--config", "tiny.yaml", "--backend", "reference", "-q", "--out", &run, "--set"];
    let train = [&train[..], &["experiment.checkpoint_every=2", "--trace", &traced]].concat();
    let Some(seen) = System::watching(&dir, &train) else {
        return skipped("there is no strace, or it may not look");
    };
    assert!(seen.lagging.is_empty(), "a checkpoint rests on {:?}", seen.lagging);
    let checkpoint = |name: &Path| name.parent().is_some_and(|above| above.ends_with("checkpoints"));
    let numbered = |(_, to): &&(PathBuf, PathBuf)| checkpoint(to) && !to.ends_with(".old");
    assert_eq!(
        seen.renamed.iter().filter(numbered).count(),
        4,
        "one every two of eight rounds: {:?}",
        seen.renamed
    );
    let retired = seen.renamed.iter().filter(|(from, to)| checkpoint(from) && to.ends_with(".old"));
    assert_eq!(retired.count(), 2, "of four, two are kept");
    for name in ["config.yaml", "run.json", "summary.json", "results/current_user_beliefs.json"] {
        assert!(seen.has_named(&Path::new(&run).join(name)), "{name}: {:?}", seen.renamed);
    }
    assert!(
        seen.has_named(&Path::new(&run).join("models/actor.safetensors")) && seen.has_named(Path::new(&traced))
    );

    for _ in 0..2 {
        let made = ["world", "new", &world, "--force", "--users", "5", "--items", "50", "-q"];
        let seen = System::watching(&dir, &made).unwrap();
        assert!(
            ["world.json", "world.safetensors"].iter().all(|name| seen.has_named(&Path::new(&world).join(name)))
        );
    }
    let findings = path("e.json");
    let evaluate = ["eval", "--config", "tiny.yaml", "--backend", "reference", "--seeds", "1", "--rounds", "1"];
    let seen = System::watching(&dir, &[&evaluate[..], &["--out", &findings]].concat()).unwrap();
    assert!(seen.has_named(Path::new(&findings)));
}

/// What a program did to files, followed call by call.
#[derive(Debug, Default)]
struct System {
    /// Files that have been written to since they were last brought to the disk.
    unsynced: BTreeSet<PathBuf>,
    /// Folders in which something has got its name since.
    unsynced_names: BTreeSet<PathBuf>,
    /// What has been brought to the disk, files and folders, since it last got another name.
    synced: BTreeSet<PathBuf>,
    renamed: Vec<(PathBuf, PathBuf)>,
    /// Of a run, the files that grow and were not on the disk when something got its name last.
    lagging: Vec<PathBuf>,
}

impl System {
    /// Runs the command, checks every call, and gives what was seen.
    fn watching(dir: &TestDir, arguments: &[&str]) -> Option<Self> {
        let trace = dir.path("strace");
        let calls = "trace=write,pwrite64,writev,copy_file_range,sendfile,fsync,fdatasync,rename,renameat,renameat2,\
                     unlink,unlinkat,rmdir";
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-qq", "-e", calls, "-o"]).arg(&trace).arg(env!("CARGO_BIN_EXE_recsim"));
        let output = command.args(arguments).current_dir(dir.path(".")).stdin(Stdio::null()).output().ok()?;
        if stderr(&output).contains("ptrace") {
            return None;
        }
        assert!(output.status.success(), "{}", stderr(&output));
        let mut seen = Self::default();
        let text = std::fs::read_to_string(trace).unwrap();
        text.lines().for_each(|line| seen.call(line));
        assert!(seen.unsynced_names.is_empty(), "names that are not on the disk: {:?}", seen.unsynced_names);
        Some(seen)
    }

    fn has_named(&self, path: &Path) -> bool {
        self.renamed.iter().any(|(_, to)| to == path)
    }

    /// A line: a process, a call and its arguments, open files with their paths in angle brackets.
    fn call(&mut self, line: &str) {
        let Some((name, arguments)) = line.split_once(' ').and_then(|(_, call)| call.trim_start().split_once('('))
        else {
            return;
        };
        let between = |open: char, close: char| -> Vec<PathBuf> {
            let parts = arguments.split(open).skip(1).filter_map(|part| part.split_once(close));
            parts.map(|(path, _)| PathBuf::from(path)).collect()
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
                    "a checkpoint is taken apart under its number: {line}"
                );
            }
            _ => {}
        }
    }

    /// Renames what must be on the disk.
    fn rename(&mut self, from: &Path, to: &Path, line: &str) {
        let is_hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(".recsim-world-");
        let last = to.iter().next_back().unwrap().to_string_lossy().into_owned();
        let moved: Vec<PathBuf> = self.unsynced.iter().filter(|path| path.starts_with(from)).cloned().collect();
        if to.iter().any(is_hidden) || last == ".old" {
            // No name that anybody relies on. What made it needless, beside it, must be there for good before. (Names
            // elsewhere may be new: checkpoints are written beside the models.)
            let pending = self.unsynced_names.contains(to.parent().unwrap());
            assert!(last != ".old" || !pending, "{line}: {:?}", self.unsynced_names);
        } else {
            assert!(moved.is_empty(), "{line}\nis not on the disk: {moved:?}");
            // A folder has names in it; a file has what is in it, if that is anything.
            assert!(self.synced.remove(from), "{line}\nwas never brought to the disk");
            let of_a_run = |path: &Path| path.iter().any(|name| name == "run");
            let grows =
                |path: &&PathBuf| of_a_run(path) && !path.file_name().unwrap().to_string_lossy().starts_with('.');
            self.lagging = self.unsynced.iter().filter(grows).cloned().collect();
            self.unsynced_names.insert(to.parent().unwrap().to_owned());
        }
        for path in moved {
            self.unsynced.remove(&path);
            self.unsynced.insert(to.join(path.strip_prefix(from).unwrap()));
        }
        self.renamed.push((from.to_owned(), to.to_owned()));
    }
}
