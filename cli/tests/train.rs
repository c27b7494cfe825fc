//! A small run: its files, the formulas behind its numbers, and what does not change its results.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{TestDir, floats, json, json_lines, stderr, stdout, tensor};
use nalgebra::{DVector, DVectorView};
use recsim_core::model::rng::{Key, Purpose};
use recsim_core::model::slate::{TopK, fill_from_pretrained, normalize, score};
use recsim_core::model::user::step;
use recsim_core::session::config::{Config, Plan};
use recsim_core::session::metrics::pp1_distance;
use recsim_core::world::{self, OwnedWorld, SyntheticWorldConfig, row};
use serde_json::Value;

const BACKENDS: &[&str] = if cfg!(feature = "cpu") { &["reference", "cpu"] } else { &["reference"] };
const MODELS: [&str; 6] = ["actor", "critic_1", "critic_2", "actor_target", "critic_1_target", "critic_2_target"];
const ROUNDS: usize = 8;
const TRACED: usize = 20;

#[test]
fn run_writes_every_file_that_its_summary_names() {
    for &backend in BACKENDS {
        let dir = TestDir::new();
        dir.train("run", &["--backend", backend]);
        let run = json(&dir.path("run/run.json"));
        assert_eq!((&run["backend"], &run["seed"]), (&backend.into(), &5.into()));
        assert_eq!(run["world"]["provenance"]["kind"], "generated");
        let summary = json(&dir.path("run/summary.json"));
        for file in summary["files"].as_array().unwrap() {
            assert!(dir.path("run").join(file.as_str().unwrap()).exists(), "{file}");
        }
        let rounds = json_lines(&dir.path("run/rounds.jsonl"));
        assert_eq!(rounds.len(), ROUNDS);
        for (n, round) in rounds.iter().enumerate() {
            assert_eq!((&round["episode"], &round["round"]), (&(n / 4 + 1).into(), &(n % 4 + 1).into()));
            assert_eq!(round["learning"].is_object(), [2, 5].contains(&n), "rounds 3 and 6 learn");
        }
        let episodes = json_lines(&dir.path("run/episodes.jsonl"));
        assert_eq!(episodes.len(), 2);
        assert_eq!(episodes[1]["total_interactions"], 2 * 4 * 40 * 8);
        for model in MODELS {
            let bytes = std::fs::read(dir.path(&format!("run/models/{model}.safetensors"))).unwrap();
            let (shape, weights) = floats(&bytes, &format!("{model}.0.weight"));
            assert_eq!(shape, [12, if model.starts_with("actor") { 9 } else { 15 }]);
            assert!(weights.iter().all(|weight| weight.is_finite()));
        }
        assert!(!has_hidden_files(&dir.path("run")), "a temporary file is left");
    }
}

#[cfg(feature = "cpu")]
#[test]
fn config_records_the_instruction_set_so_that_the_run_can_be_repeated() {
    let dir = TestDir::new();
    dir.train("pinned", &["--backend", "cpu", "--isa", "portable"]);
    assert_eq!(json(&dir.path("pinned/run.json"))["instruction_set"], "portable");
    dir.train("any", &["--backend", "cpu"]);
    let best = json(&dir.path("any/run.json"))["instruction_set"].as_str().unwrap().to_owned();
    for (run, instruction_set) in [("pinned", "portable"), ("any", &best)] {
        let config = std::fs::read_to_string(dir.path(&format!("{run}/config.yaml"))).unwrap();
        assert!(config.contains(&format!("instruction_set: {instruction_set}")), "{config}");
    }
    let output = dir.run(&["train", "--config", "pinned/config.yaml", "--out", "again", "-q"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let models = |run: &str| std::fs::read(dir.path(&format!("{run}/models/actor.safetensors"))).unwrap();
    assert_eq!(models("again"), models("pinned"));
    assert!(best == "portable" || models("any") != models("pinned"), "the instruction set changes no bit");
}

/// Whether there is a hidden file in a folder or below it.
fn has_hidden_files(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        let hidden = path.file_name().unwrap().to_string_lossy().starts_with('.');
        hidden || (path.is_dir() && has_hidden_files(&path))
    })
}

#[test]
fn trace_follows_from_the_formulas_and_ends_in_the_belief_file() {
    for &backend in BACKENDS {
        let dir = TestDir::new();
        let users = TRACED.to_string();
        dir.train("run", &["--backend", backend, "--trace", "t.safetensors", "--trace-users", &users]);
        let trace = ParsedTrace::read(&dir.path("t.safetensors"));
        let (generated, plan) = world_and_plan();
        let world = generated.view().unwrap();
        let shape = world.shape();
        for round in 0..ROUNDS {
            let (episode, round_of_episode) = (round / 4 + 1, round % 4 + 1);
            let key = Key::new(5, Purpose::Acceptance).fold_in(episode as u64).fold_in(round_of_episode as u64);
            for user in 0..TRACED {
                let index = round * TRACED + user;
                let before = &trace.belief_before[row(index, 3)];
                match round_of_episode {
                    1 => assert_eq!(before, world.beliefs(user), "an episode begins with the initial beliefs"),
                    _ => assert_eq!(before, &trace.belief_after[row(index - TRACED, 3)]),
                }
                assert_eq!(trace.slate[row(index, 8)], slate(&generated, &trace.action[row(index, 6)], user));
                let (mut beliefs, mut unchanged) = (DVector::from_column_slice(before), DVector::zeros(3));
                let mut accepted = [false; 8];
                let arrays = *world.arrays();
                let reward = step(
                    &plan.environment.user_model,
                    &DVectorView::from_slice(world.target(), shape.clusters),
                    &|item: u32| (arrays.item_cluster[item as usize] as usize, arrays.item_distance[item as usize]),
                    &trace.slate[row(index, 8)],
                    &mut key.fold_in(user as u64),
                    &mut beliefs,
                    &mut unchanged,
                    &mut DVector::zeros(3),
                    &mut accepted,
                );
                assert_eq!(trace.accepted[row(index, 8)], accepted.map(u8::from));
                assert_eq!(trace.belief_after[row(index, 3)], *beliefs.as_slice());
                assert_eq!(trace.reward[index].to_bits(), reward.to_bits());
            }
        }
        assert!(
            trace.accepted.contains(&1) && trace.accepted.contains(&0),
            "some items are accepted and some are not"
        );
        assert_belief_file_matches(
            &json(&dir.path("run/results/current_user_beliefs.json")),
            &trace,
            world.target(),
        );
    }
}

/// The slate for an action, by core's functions.
fn slate(world: &OwnedWorld, action: &[f32], user: usize) -> [u32; 8] {
    let world = world.view().unwrap();
    let (mut slate, mut scores) = ([0; 8], [0.0; 4]);
    let mut best = TopK::new(&mut slate[..4], &mut scores);
    for item in 0..world.shape().items {
        let mut embedding = world.item_embedding(item).to_vec();
        normalize(&mut embedding);
        best.push(item as u32, score(action, &embedding));
    }
    assert_eq!(fill_from_pretrained(&mut slate, 4, world.pretrained(user)), 8);
    slate
}

fn assert_belief_file_matches(file: &Value, trace: &ParsedTrace, target: &[f32]) {
    assert_eq!((&file["episode"], &file["total_users"]), (&2.into(), &40.into()));
    let timestamp = file["timestamp"].as_str().unwrap();
    let shape: String = timestamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00 00:00:00");
    let users = file["user_beliefs"].as_object().unwrap();
    assert_eq!(users.len(), 40);
    for user in 0..TRACED {
        let entry = &users[&format!("U{}", user + 1)];
        let beliefs = &trace.belief_after[row((ROUNDS - 1) * TRACED + user, 3)];
        let read = |key: &str| -> Vec<f32> {
            entry[key].as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
        };
        assert_eq!(read("beliefs"), beliefs);
        let distances: Vec<f32> =
            beliefs.iter().zip(target).map(|(belief, target)| (target - belief).abs()).collect();
        assert_eq!(read("cluster_distances"), distances);
        let (actual, expected) = (entry["pp1_distance"].as_f64().unwrap(), pp1_distance(beliefs, target));
        // Parsing JSON may change the last bit.
        assert!((actual - expected).abs() <= 2.0 * f64::EPSILON * expected);
    }
}

#[test]
fn threads_and_batches_change_no_bit() {
    for &backend in BACKENDS {
        let dir = TestDir::new();
        let options: [&[&str]; 4] = [
            &["--threads", "1"],
            &["--threads", "2"],
            &["--threads", "2", "--set", "training.batch_size=7"],
            &["--threads", "1", "--set", "training.batch_size=40"],
        ];
        let results: Vec<_> = options
            .into_iter()
            .enumerate()
            .map(|(n, options)| {
                let (out, trace) = (format!("run-{n}"), format!("trace-{n}"));
                dir.train(
                    &out,
                    &[&["--backend", backend, "--trace", &trace], options, &["--trace-users", "40"]].concat(),
                );
                results_of(&dir.path(&out), &dir.path(&trace))
            })
            .collect();
        for (other, options) in results[1..].iter().zip(&options[1..]) {
            for (file, bytes) in &results[0] {
                assert!(other[file] == *bytes, "{backend} {options:?}: {file} differs");
            }
        }
        assert_eq!(results[0].len(), 1 + 1 + 2 + MODELS.len());
    }
}

/// A run's results without times, by name.
fn results_of(run: &Path, trace: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut results = BTreeMap::from([("trace".to_owned(), std::fs::read(trace).unwrap())]);
    for file in ["rounds.jsonl", "episodes.jsonl"] {
        let mut lines = json_lines(&run.join(file));
        for line in &mut lines {
            let line = line.as_object_mut().unwrap();
            line.remove("seconds");
            line.remove("user_steps_per_second");
        }
        results.insert(file.to_owned(), serde_json::to_vec(&lines).unwrap());
    }
    for model in MODELS {
        results.insert(model.to_owned(), std::fs::read(run.join(format!("models/{model}.safetensors"))).unwrap());
    }
    let beliefs = &json(&run.join("results/current_user_beliefs.json"))["user_beliefs"];
    results.insert("beliefs".to_owned(), beliefs.to_string().into_bytes());
    results
}

#[test]
fn seed_changes_the_run() {
    let dir = TestDir::new();
    let run = |seed| {
        dir.train(
            seed,
            &["--backend", "reference", "--seed", seed, "--trace", "t", "--trace-users", "40", "--force"],
        );
        std::fs::read(dir.path("t")).unwrap()
    };
    assert!(run("1") != run("2"));
}

#[test]
fn diverging_run_fails_with_a_remedy() {
    let dir = TestDir::new();
    let wild = ["td3.learning_rate=3e38", "td3.max_grad_norm=1e30", "td3.batch_norm=false"];
    let wild: Vec<&str> = wild.iter().flat_map(|setting| ["--set", setting]).collect();
    let output = dir
        .run(&[&["train", "--config", "tiny.yaml", "--out", "run", "--backend", "reference"], &wild[..]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("diverged") && stderr(&output).contains("`td3.learning_rate`"));
    assert_eq!(json_lines(&dir.path("run/rounds.jsonl")).len(), 2, "the rounds before stay");
    assert!(dir.run(&["show", "run"]).status.success());
}

#[test]
fn saturated_agent_is_warned_about_once_and_in_the_summary() {
    let dir = TestDir::new();
    let steep = ["--backend", "reference", "--episodes", "4", "--set", "td3.learning_rate=0.03"];
    let output = dir.train("run", &[&steep[..], &["--set", "td3.gradient_steps=40"]].concat());
    let saturated = |text: &str| text.matches("components lie at their bounds").count();
    assert_eq!((saturated(&stderr(&output)), saturated(&stdout(&output))), (1, 1), "{}", stderr(&output));
    let summary: Value = serde_json::from_str(&stdout(&dir.run(&["show", "run", "--json"]))).unwrap();
    assert_eq!(summary["warnings"][0]["warning"], "saturated");
    assert_eq!(summary["warnings"][0]["share"], summary["episodes"][3]["action_saturation"]);
    let idle = dir.train("idle", &["--backend", "reference", "--set", "training.warmup_transitions=100000"]);
    assert!(stdout(&idle).contains("warning: nothing was learned"), "{}", stdout(&idle));
    let calm = dir.train("calm", &["--backend", "reference"]);
    assert!(!stderr(&calm).contains("warning") && !stdout(&calm).contains("warning"));
}

/// The first update has finite losses, and leaves non-finite weights.
#[test]
fn agent_with_non_finite_weights_is_not_saved() {
    let dir = TestDir::new();
    let wild = ["td3.learning_rate=1e38", "td3.gradient_steps=1", "training.episodes=1"];
    let wild: Vec<&str> = wild.iter().flat_map(|setting| ["--set", setting]).collect();
    let output = dir
        .run(&[&["train", "--config", "tiny.yaml", "--out", "run", "--backend", "reference"], &wild[..]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("diverged") && stderr(&output).contains("`td3.learning_rate`"));
    let models = std::fs::read_dir(dir.path("run/models")).map_or(0, Iterator::count);
    assert_eq!(models, 0, "no model is written");
}

#[test]
fn force_replaces_an_older_run_and_leaves_other_files() {
    let dir = TestDir::new();
    dir.train("run", &["--backend", "reference"]);
    let mine = ["run/notes.txt", "run/models/mine.txt", "run/tensorboard/events.out.tfevents.1.other"];
    mine.iter().for_each(|file| drop(dir.write(file, "mine")));
    dir.train("run", &["--backend", "reference", "--episodes", "1", "--force"]);
    assert_eq!(json_lines(&dir.path("run/rounds.jsonl")).len(), 4);
    assert_eq!(std::fs::read_dir(dir.path("run/tensorboard")).unwrap().count(), 2);
    for file in mine {
        assert!(dir.path(file).exists(), "{file} is not the run's and stays");
    }
}

#[test]
fn trace_in_the_run_folder_is_replaced_with_the_run() {
    let dir = TestDir::new();
    for episodes in ["2", "1"] {
        let trace = ["--trace", "run/trace.safetensors", "--trace-users", "3"];
        dir.train("run", &[&["--backend", "reference", "--force", "--episodes", episodes], &trace[..]].concat());
    }
    let trace = std::fs::read(dir.path("run/trace.safetensors")).unwrap();
    assert_eq!(tensor(&trace, "reward").0, [4, 3]);
}

#[test]
fn config_of_a_run_repeats_it() {
    let dir = TestDir::new();
    dir.train("run", &["--backend", "reference", "--users", "17", "--set", "td3.tau=0.5"]);
    let output = dir.run(&["train", "--config", "run/config.yaml", "--set", "experiment.output=again"]);
    assert!(output.status.success());
    let models = ["run", "again"].map(|run| std::fs::read(dir.path(run).join("models/actor.safetensors")).unwrap());
    assert_eq!(models[0], models[1]);
}

#[cfg(feature = "cpu")]
#[test]
fn shadowed_run_agrees_with_its_shadow_and_changes_no_bit() {
    let dir = TestDir::new();
    dir.train("plain", &["--backend", "cpu"]);
    dir.train("shadowed", &["--backend", "cpu", "--shadow", "reference"]);
    assert_eq!(json(&dir.path("shadowed/run.json"))["shadow"], "reference");
    let models =
        ["plain", "shadowed"].map(|run| std::fs::read(dir.path(run).join("models/actor.safetensors")).unwrap());
    assert_eq!(models[0], models[1]);
}

/// A trace of [`TRACED`] users over [`ROUNDS`] rounds, parsed.
struct ParsedTrace {
    action: Vec<f32>,
    slate: Vec<u32>,
    accepted: Vec<u8>,
    belief_before: Vec<f32>,
    belief_after: Vec<f32>,
    reward: Vec<f32>,
}

impl ParsedTrace {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let expect = |actual: Vec<usize>, width: Option<usize>| {
            let expected: Vec<usize> = [ROUNDS, TRACED].into_iter().chain(width).collect();
            assert_eq!(actual, expected);
        };
        let float_tensor = |name, width| {
            let (shape, values) = floats(&bytes, name);
            expect(shape, width);
            values
        };
        let (shape, slate) = tensor(&bytes, "slate");
        expect(shape, Some(8));
        let (shape, accepted) = tensor(&bytes, "accepted");
        expect(shape, Some(8));
        Self {
            action: float_tensor("action", Some(6)),
            slate: slate.chunks_exact(4).map(|item| u32::from_le_bytes(item.try_into().unwrap())).collect(),
            accepted,
            belief_before: float_tensor("belief_before", Some(3)),
            belief_after: float_tensor("belief_after", Some(3)),
            reward: float_tensor("reward", None),
        }
    }
}

/// The tiny configuration's world, and the parts of its plan that a user's step needs.
fn world_and_plan() -> (OwnedWorld, Plan) {
    let config =
        SyntheticWorldConfig { users: 40, items: 120, clusters: 3, dimensions: 6, pretrained_len: 16, seed: 0 };
    let generated = world::generate(&config, world::brute_force_lists);
    let mut config = Config::default();
    config.recommendation.rl_list_size = 4;
    config.recommendation.total_recommendations = 8;
    let plan = config.plan(&generated.view().unwrap()).unwrap();
    (generated, plan)
}

#[test]
fn second_run_in_a_folder_is_refused() {
    let dir = TestDir::new();
    let arguments = ["train", "--config", "tiny.yaml", "--backend", "reference", "--out", "run", "-q", "--seed"];
    let start = |seed| dir.command(&[&arguments[..], &[seed]].concat()).spawn().unwrap();
    let mut codes: Vec<_> = [start("1"), start("2")].map(|mut run| run.wait().unwrap().code()).into();
    codes.sort();
    assert_eq!(codes, [Some(0), Some(2)]);
    assert_eq!(json(&dir.path("run/summary.json"))["status"], "finished");
}

#[test]
fn trace_of_a_running_process_is_refused_and_the_old_run_stays() {
    let dir = TestDir::new();
    dir.train("run", &["--backend", "reference"]);
    dir.write(".t.new", "");
    let other = std::fs::File::open(dir.path(".t.new")).unwrap();
    other.lock().unwrap();
    let again =
        ["train", "--config", "tiny.yaml", "--backend", "reference", "--out", "run", "--force", "--trace", "t"];
    let output = dir.run(&again);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("error: t: another program is writing here"), "{}", stderr(&output));
    assert!(dir.path("run/summary.json").exists());
    // The unlocked file of a killed run is replaced.
    drop(other);
    assert!(dir.run(&again).status.success());
    assert!(dir.path("t").exists() && !dir.path(".t.new").exists());
}

#[test]
fn config_of_a_run_has_the_sizes_of_its_world() {
    let dir = TestDir::new();
    assert!(
        dir.run(&["world", "new", "w", "--users", "9", "--items", "50", "--clusters", "2", "--dim", "3"])
            .status
            .success()
    );
    dir.train("run", &["--backend", "reference", "--isa", "avx2", "--world", "w", "--users", "4"]);
    let config = std::fs::read_to_string(dir.path("run/config.yaml")).unwrap();
    for line in [
        "users: 9",
        "items: 50",
        "clusters: 2",
        "dimensions: 3",
        "pretrained_len: 40",
        "instruction_set: auto",
        "users_per_round: 4",
    ] {
        assert!(config.contains(&format!("  {line}\n")), "{line}: {config}");
    }
    let asked = ["train", "--world", "w", "--set", "world.items=60", "--out", "other"];
    let refused = stderr(&dir.run(&asked));
    assert!(refused.contains("--set world.items=60") && refused.contains("`world.path`"), "{refused}");
}
