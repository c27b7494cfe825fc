//! A checkpoint's files, damaged: refused, unless the sums were put right, and then refused or gone on from.
#![no_main]

mod damage;
mod place;
mod run;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use damage::Damage;
use libfuzzer_sys::fuzz_target;
use run::Run;

#[derive(Debug, arbitrary::Arbitrary)]
struct Input {
    /// Which files, by their places among the names, and how.
    damaged: Vec<(u8, Damage)>,
    sealed: bool,
}

struct Kept {
    run: Run,
    /// The newest checkpoint, and its files.
    folder: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
}

static KEPT: LazyLock<Kept> = LazyLock::new(|| {
    let run = Run::new();
    let entries = |path: PathBuf| std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry"));
    let folder = entries(run.path().join("checkpoints")).map(|entry| entry.path()).max().expect("a checkpoint");
    let files = entries(folder.clone())
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read(entry.path()).expect("a file"))
        })
        .collect();
    let kept = Kept { run, folder, files };
    kept.run.experiment.go_on(&kept.run.path()).expect("a whole checkpoint is gone on from");
    kept
});

fuzz_target!(|input: Input| {
    let Kept { run, folder, files } = &*KEPT;
    let mut now = files.clone();
    for (which, damage) in &input.damaged {
        let file = now.values_mut().nth(usize::from(*which) % files.len()).expect("there are as many");
        *file = damage.to(file);
    }
    if input.sealed {
        let named = now.iter().map(|(name, bytes)| (&**name, &**bytes)).filter(|(name, _)| *name != SUMS);
        let sums = recsim_cli::fuzzing::sums(named).into_bytes();
        now.insert(SUMS.to_owned(), sums);
    }
    for (name, bytes) in &now {
        std::fs::write(folder.join(name), bytes).expect("a file is written");
    }
    match run.experiment.go_on(&run.path()) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(()) => assert!(input.sealed || *files == now, "damage is accepted"),
    }
});

const SUMS: &str = "SHA256SUMS";
