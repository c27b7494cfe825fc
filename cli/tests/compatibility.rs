//! Files of version 0.1.0 are still read: `testdata/compatibility/0.1.0` has a world of 30 users, a run on it that was
//! trained for 2 episodes (`cpu` backend, `portable` instruction set, 2 threads), and an evaluation of its actor.
#![allow(clippy::unwrap_used, reason = "a test that cannot continue has failed")]

mod common;

use std::path::Path;

use common::{TestDir, json, json_lines, stderr, stdout, tree};
use serde_json::Value;

/// A directory with copies of the files: `world`, `run` and `evaluation.json`.
fn old_files() -> TestDir {
    let dir = TestDir::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/compatibility/0.1.0");
    for (name, bytes) in tree(&source) {
        let path = dir.path(name.to_str().unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    dir
}

/// Runs a command that must succeed without a warning, and returns its standard output.
fn succeed(dir: &TestDir, line: &str) -> String {
    let output = dir.run(&line.split(' ').collect::<Vec<_>>());
    assert!(output.status.success(), "{line}: {}", stderr(&output));
    assert!(!stderr(&output).contains("is now"), "{line}: {}", stderr(&output));
    stdout(&output)
}

#[test]
fn world_of_0_1_0_is_read() {
    let dir = old_files();
    let info: Value = serde_json::from_str(&succeed(&dir, "world info world --json")).unwrap();
    assert_eq!((&info["users"], &info["dimensions"], &info["pretrained_len"]), (&30.into(), &4.into(), &40.into()));
}

#[test]
fn run_of_0_1_0_is_shown_and_reported() {
    let dir = old_files();
    assert!(succeed(&dir, "show run").contains("run (finished)"));
    succeed(&dir, "report run evaluation.json --plots plots -q");
    assert!(dir.path("report.html").is_file());
}

#[test]
fn run_of_0_1_0_is_resumed_as_version_0_1_0_resumes_it() {
    let dir = old_files();
    let backend = if cfg!(feature = "cpu") { "" } else { " --backend reference" };
    succeed(&dir, &format!("train --resume run --set training.episodes=3 -q{backend}"));
    assert_eq!(json_lines(&dir.path("run/episodes.jsonl")).len(), 3);
    let config = std::fs::read_to_string(dir.path("run/config.yaml")).unwrap();
    assert!(config.contains("hidden_sizes: [6]") && config.contains("kind: shaped"), "{config}");
    if cfg!(feature = "cpu") {
        // Checksums of the files of `recsim 0.1.0 train --resume run --set training.episodes=3`.
        for (file, expected) in [
            ("models/actor.safetensors", "70598021743eb35cb74c21f4dded4efd3933521fc8858d081a24f263751ba9eb"),
            (
                "checkpoints/000003/agent.safetensors",
                "8a203874c288fd268d786cca8b7d1338e449b3382aa2f939dc40e8183e216060",
            ),
            (
                "checkpoints/000003/users.safetensors",
                "eb2da641ec214f2d468c77b59f6f3b1ecbb13c99317099a3eb932e4c2b5b75f5",
            ),
        ] {
            assert_eq!(checksum(&std::fs::read(dir.path("run").join(file)).unwrap()), expected, "{file}");
        }
        // The first line has the time of the run.
        let beliefs = std::fs::read_to_string(dir.path("run/results/current_user_beliefs.json")).unwrap();
        let (_, beliefs) = beliefs.split_once('\n').unwrap();
        let expected = "847de27732f9acc9357cd74fbbce7ed66c946bf36f94cf96ade7ef3567285b03";
        assert_eq!(checksum(beliefs.as_bytes()), expected, "{beliefs}");
    }
}

#[test]
fn renamed_settings_of_a_run_of_0_1_0_are_checked_under_both_names() {
    let dir = old_files();
    let resume =
        |options: &[&str]| dir.run(&[&["train", "--resume", "run", "--episodes", "3", "-q"], options].concat());
    let changed = ["--set", "td3.exploration_items=0.5", "--backend", "reference"];
    let output = resume(&changed);
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    let warning = "warning: --set td3.exploration_items=0.5: `td3.exploration_items` is now `td3.item_epsilon`";
    assert!(message.contains(warning) && message.contains("`td3.item_epsilon` is 0.5"), "{message}");
    let output = resume(&[&changed[..], &["--may-change", "td3.exploration_items"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("--allow-config-change td3.exploration_items: `td3.exploration_items` is now")
    );
}

#[test]
fn actor_of_0_1_0_is_evaluated() {
    let dir = old_files();
    let backend = if cfg!(feature = "cpu") { "cpu" } else { "reference" };
    let options = format!("--world world --backend {backend} --seeds 1 --rounds 3 --json -q");
    let policies: Vec<Value> =
        serde_json::from_str(&succeed(&dir, &format!("eval --policies actor:run,random,greedy {options}")))
            .unwrap();
    assert_eq!(policies.len(), 3);
    succeed(&dir, &format!("recommend --run run --user U7 --backend {backend}"));
    assert_eq!(json(&dir.path("run/run.json"))["version"], "0.1.0", "the run is unchanged");
}

#[test]
fn settings_of_0_1_0_are_read_with_a_warning_for_each_old_name() {
    let dir = TestDir::new();
    dir.write(
        "old.yaml",
        "td3:\n  exploration_items: 0.3\n  scale_beliefs: false\n  replay_capacity: 500000\n  grad_clip_norm: 0.5\n  \
         hidden: [6]\nreward:\n  kind: seed\nexperiment:\n  isa: portable\nworld:\n  dim: 4\n  list: 40\n",
    );
    dir.write(
        "new.yaml",
        "td3:\n  item_epsilon: 0.3\n  normalize_beliefs: false\n  buffer_size: 500000\n  max_grad_norm: 0.5\n  \
         hidden_sizes: [6]\nreward:\n  kind: shaped\nexperiment:\n  instruction_set: portable\nworld:\n  \
         dimensions: 4\n  pretrained_len: 40\n",
    );
    let [old, new] = ["old.yaml", "new.yaml"].map(|file| dir.run(&["config", "--config", file]));
    assert_eq!(stdout(&old), stdout(&new));
    assert_eq!(stderr(&new), "");
    assert_eq!(
        stderr(&old),
        "warning: old.yaml:2: `td3.exploration_items` is now `td3.item_epsilon`\n\
         warning: old.yaml:3: `td3.scale_beliefs` is now `td3.normalize_beliefs`\n\
         warning: old.yaml:4: `td3.replay_capacity` is now `td3.buffer_size`\n\
         warning: old.yaml:5: `td3.grad_clip_norm` is now `td3.max_grad_norm`\n\
         warning: old.yaml:6: `td3.hidden` is now `td3.hidden_sizes`\n\
         warning: old.yaml:8: `reward.kind: seed` is now `reward.kind: shaped`\n\
         warning: old.yaml:10: `experiment.isa` is now `experiment.instruction_set`\n\
         warning: old.yaml:12: `world.dim` is now `world.dimensions`\n\
         warning: old.yaml:13: `world.list` is now `world.pretrained_len`\n"
    );
}

#[test]
fn old_options_are_accepted() {
    let dir = TestDir::new();
    succeed(&dir, "config --isa portable");
    succeed(&dir, "world new old --users 3 --items 50 --dim 2 --list 30 -q");
    succeed(&dir, "world new new --users 3 --items 50 --dimensions 2 --pretrained-len 30 -q");
    assert_eq!(tree(&dir.path("old")), tree(&dir.path("new")));
}

fn checksum(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
