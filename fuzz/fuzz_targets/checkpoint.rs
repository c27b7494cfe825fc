//! A checkpoint with damaged files: it is refused. If the checksums match, it is refused or the run resumes from it.
#![no_main]

mod damage;
mod fuzz_dir;
mod run_fixture;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use damage::Damage;
use libfuzzer_sys::fuzz_target;
use run_fixture::RunFiles;

#[derive(Debug, arbitrary::Arbitrary)]
struct CheckpointInput {
    /// Indices of files among the sorted names, and the damage to each.
    damaged: Vec<(u8, Damage)>,
    has_valid_checksums: bool,
}

struct CheckpointFixture {
    run: RunFiles,
    /// The newest checkpoint, and its files.
    folder: PathBuf,
    files: BTreeMap<String, Vec<u8>>,
}

static FIXTURE: LazyLock<CheckpointFixture> = LazyLock::new(|| {
    let run = RunFiles::new();
    let entries = |path: PathBuf| std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry"));
    let folder = entries(run.path().join("checkpoints")).map(|entry| entry.path()).max().expect("a checkpoint");
    let files = entries(folder.clone())
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read(entry.path()).expect("a file"))
        })
        .collect();
    let fixture = CheckpointFixture { run, folder, files };
    fixture.run.run.resume_one_round(&fixture.run.path()).expect("an undamaged checkpoint is accepted");
    fixture
});

fuzz_target!(|input: CheckpointInput| {
    let CheckpointFixture { run, folder, files } = &*FIXTURE;
    let mut damaged_files = files.clone();
    for (index, damage) in &input.damaged {
        let file =
            damaged_files.values_mut().nth(usize::from(*index) % files.len()).expect("the index is in range");
        *file = damage.apply(file);
    }
    if input.has_valid_checksums {
        let named =
            damaged_files.iter().map(|(name, bytes)| (&**name, &**bytes)).filter(|(name, _)| *name != CHECKSUMS);
        let checksums = recsim_cli::fuzzing::checksums(named).into_bytes();
        damaged_files.insert(CHECKSUMS.to_owned(), checksums);
    }
    for (name, bytes) in &damaged_files {
        std::fs::write(folder.join(name), bytes).expect("a file is written");
    }
    match run.run.resume_one_round(&run.path()) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(()) => assert!(input.has_valid_checksums || *files == damaged_files, "damage was accepted"),
    }
});

const CHECKSUMS: &str = "SHA256SUMS";
