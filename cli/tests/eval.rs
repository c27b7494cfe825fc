//! `recsim eval`: results do not depend on how they are computed, and are printed as tables and as JSON.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::path::Path;
use std::process::Output;

use common::{TestDir, json, stderr, stdout};
use serde_json::Value;

const METRICS: [&str; 13] = [
    "normalized_area",
    "area",
    "area_iqm",
    "distance",
    "rounds_to_tenth",
    "improved_share",
    "total_reward",
    "acceptance",
    "item_coverage",
    "gini",
    "diversity",
    "entropy",
    "calibration",
];

/// Evaluates on the tiny configuration, and expects success.
fn eval(dir: &TestDir, more: &[&str]) -> Output {
    let arguments = [&["eval", "--config", "tiny.yaml", "--backend", "reference", "--seeds", "2"], more].concat();
    let output = dir.run(&arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    output
}

/// The file without what may differ between two equal evaluations.
fn results(path: &Path) -> Value {
    let mut value = json(path);
    let fields = value.as_object_mut().unwrap();
    for key in ["timestamp", "command", "device", "config"] {
        assert!(fields.remove(key).is_some(), "{key}");
    }
    value
}

#[test]
fn evaluation_repeats_bytes_but_for_the_timestamp() {
    let dir = TestDir::new();
    let one = eval(&dir, &["--out", "one.json", "--json"]);
    let two = eval(&dir, &["--out", "two.json", "--json", "-q"]);
    assert_eq!(stdout(&one), stdout(&two));
    let [one, two] = ["one.json", "two.json"].map(|file| {
        let text = std::fs::read_to_string(dir.path(file)).unwrap();
        let (timestamps, rest): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.starts_with("  \"timestamp\": "));
        assert_eq!(timestamps.len(), 1, "{timestamps:?}");
        rest.join("\n")
    });
    assert_eq!(one, two);
}

#[test]
fn results_do_not_depend_on_threads_batches_and_backend() {
    let dir = TestDir::new();
    eval(&dir, &["--out", "plain.json"]);
    let expected = results(&dir.path("plain.json"));
    let mut others: Vec<&[&str]> =
        vec![&["--threads", "1"], &["--threads", "2"], &["--set", "training.batch_size=7"]];
    if cfg!(feature = "cpu") {
        others.push(&["--backend", "cpu", "--threads", "1"]);
        others.push(&["--backend", "cpu", "--threads", "3", "--set", "training.batch_size=3"]);
    } else {
        eprintln!(
            "skipped: results_do_not_depend_on_threads_batches_and_backend: no feature `cpu`, so no backend `cpu`"
        );
    }
    for other in others {
        // A flag that is given twice is refused.
        let base = ["eval", "--config", "tiny.yaml", "--seeds", "2", "--out", "other.json", "-q"];
        let backend: &[&str] = if other.contains(&"--backend") { &[] } else { &["--backend", "reference"] };
        let output = dir.run(&[&base, backend, other].concat());
        assert!(output.status.success(), "{other:?}: {}", stderr(&output));
        assert_eq!(results(&dir.path("other.json")), expected, "{other:?}");
    }
}

#[test]
fn json_is_one_line_with_all_metrics_sorted_by_area() {
    let dir = TestDir::new();
    let printed = stdout(&eval(&dir, &["--json", "-q"]));
    assert_eq!(printed.lines().count(), 1);
    let policies: Vec<Value> = serde_json::from_str(&printed).unwrap();
    let names: Vec<&str> = policies.iter().map(|policy| policy["policy"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 7);
    let area = |name: &str| {
        let index = names.iter().position(|other| *other == name).unwrap();
        policies[index]["normalized_area"]["mean"].as_f64().unwrap()
    };
    assert_eq!((area("random"), area("greedy")), (0.0, 1.0));
    assert!(names.iter().map(|name| area(name)).is_sorted_by(|a, b| a >= b), "{names:?}");
    assert!(area("anti") < 0.0 && area("greedy-full") > 1.0, "{printed}");
    for policy in &policies {
        assert_eq!(policy.as_object().unwrap().len(), 1 + METRICS.len());
        for metric in METRICS {
            let interval = &policy[metric];
            let [low, mean, high] = ["low", "mean", "high"].map(|end| interval[end].as_f64());
            if let (Some(low), Some(mean), Some(high)) = (low, mean, high) {
                assert!(low <= mean && mean <= high, "{metric}: {interval}");
            } else {
                assert_eq!(metric, "rounds_to_tenth", "{interval}");
            }
        }
    }
}

#[test]
fn file_has_curves_pairs_and_the_command_that_repeats_it() {
    let dir = TestDir::new();
    std::fs::create_dir(dir.path("folder")).unwrap();
    eval(&dir, &["--out", "folder", "--policies", "popular,anti", "--rounds", "3", "--seed", "9", "-q"]);
    let file = json(&dir.path("folder/evaluation.json"));
    assert_eq!((&file["format"], &file["version"]), (&"recsim evaluation".into(), &2.into()));
    assert_eq!((&file["seeds"], &file["interrupted"]), (&serde_json::json!([9, 10]), &false.into()));
    assert_eq!((&file["rounds"], &file["users"], &file["rl_slots"]), (&3.into(), &40.into(), &4.into()));
    assert_eq!(file["slate_len"], 8);
    let policies = file["policies"].as_array().unwrap();
    assert_eq!(policies.len(), 4, "both baselines of the scale are added");
    assert_eq!(file["pairs"].as_array().unwrap().len(), 6);
    for policy in policies {
        let curve = policy["curves"]["distance"].as_array().unwrap();
        let area: f64 = curve.iter().map(|round| round["mean"].as_f64().unwrap()).sum();
        assert!(curve.len() == 3 && (area - policy["area"]["mean"].as_f64().unwrap()).abs() < 1e-9);
        let shown: u64 = policy["reliability"]["bins"]
            .as_array()
            .unwrap()
            .iter()
            .map(|bin| bin["shown"].as_u64().unwrap())
            .sum();
        assert_eq!(shown, 40 * 3 * 8 * 2);
        let sum = |counts: &str, kind: &str| -> u64 {
            let rows = policy[counts][kind].as_array().unwrap().iter();
            rows.flat_map(|row| row.as_array().unwrap().iter().map(|count| count.as_u64().unwrap())).sum()
        };
        assert_eq!((sum("by_round", "shown"), sum("by_distance", "shown")), (shown, shown));
        assert_eq!(sum("by_round", "accepted"), sum("by_distance", "accepted"));
        // Beliefs never exceed the target, so that the mean distance is the target minus the mean beliefs.
        let sum_of = |values: &Value| -> f64 {
            values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).sum()
        };
        let distance = sum_of(&file["target"]) - sum_of(&policy["beliefs"][2]);
        assert!((distance - curve[2]["mean"].as_f64().unwrap()).abs() < 1e-6);
    }
    for pair in file["pairs"].as_array().unwrap() {
        let mean_of = |name: &Value, metric: &str| {
            policies.iter().find(|policy| &policy["policy"] == name).unwrap()[metric]["mean"].as_f64().unwrap()
        };
        let expected = mean_of(&pair["first"], "area") - mean_of(&pair["second"], "area");
        assert_eq!(pair["difference"]["area"]["mean"].as_f64().unwrap(), expected);
        assert!((0.0..=1.0).contains(&pair["probability_of_improvement"]["mean"].as_f64().unwrap()));
    }
    // The recorded command repeats the evaluation.
    let command = file["command"].as_str().unwrap();
    let words: Vec<&str> = command.split(' ').skip(1).chain(["--out", "again.json", "-q"]).collect();
    assert!(dir.run(&words).status.success(), "{command}");
    assert_eq!(results(&dir.path("again.json")), results(&dir.path("folder/evaluation.json")));
}

#[test]
fn tables_are_printed_unless_quiet() {
    let dir = TestDir::new();
    let output = eval(&dir, &[]);
    let (progress, printed) = (stderr(&output), stdout(&output));
    for expected in [
        "normalized area",
        "IQM",
        "final",
        "rounds to 10 %",
        "total reward",
        "greedy-full",
        "items covered",
        "P(improvement)",
        "deviation (SE)",
        "calibration error",
    ] {
        assert!(printed.contains(expected), "`{expected}` is missing in {printed}");
    }
    assert!(progress.contains("user-steps/s") && !(progress + &printed).contains(['\x1b', '\r']));
    let output = eval(&dir, &["-q"]);
    assert_eq!((stdout(&output), stderr(&output)), (String::new(), String::new()));
}

#[test]
fn actor_of_a_run_is_evaluated_with_its_own_settings() {
    let dir = TestDir::new();
    dir.train("run", &["--backend", "reference", "-q"]);
    let printed = stdout(&eval(&dir, &["--policies", "actor:run,random,greedy", "--json", "-q"]));
    let policies: Vec<Value> = serde_json::from_str(&printed).unwrap();
    let actor = policies.iter().find(|policy| policy["policy"] == "actor:run").unwrap();
    assert!(actor["area"]["mean"].as_f64().unwrap() > 0.0);
    // The run's settings apply, not those of the evaluation.
    let settings =
        ["--policies", "actor:run,random,greedy", "--json", "-q", "--set", "td3.normalize_beliefs=false"];
    let other = ["--set", "td3.hidden_sizes=[3]", "--set", "recommendation.similarity_metric=dot"];
    assert_eq!(stdout(&eval(&dir, &[&settings[..], &other].concat())), printed);
}

#[test]
fn agent_of_another_world_gives_a_warning() {
    let dir = TestDir::new();
    let is_warned = |dir: &TestDir, more: &[&str]| {
        let arguments = ["--policies", "actor:run,random,greedy", "--rounds", "1"];
        stderr(&eval(dir, &[&arguments[..], more].concat())).contains("was trained in another world")
    };
    dir.train("run", &["--backend", "reference", "-q"]);
    assert_eq!([is_warned(&dir, &[]), is_warned(&dir, &["--set", "world.seed=1"])], [false, true]);
    let world = |out, seed| {
        let sizes = ["--users", "40", "--items", "120", "--clusters", "3", "--dim", "6", "--seed", seed];
        let output = dir.run(&[&["world", "new", out, "-q"][..], &sizes].concat());
        assert!(output.status.success(), "{}", stderr(&output));
    };
    world("one", "0");
    world("other", "1");
    dir.train("run", &["--backend", "reference", "-q", "--world", "one", "--force"]);
    std::fs::rename(dir.path("one"), dir.path("moved")).unwrap();
    assert_eq!(["moved", "other"].map(|world| is_warned(&dir, &["--world", world])), [false, true]);
}

#[test]
fn undefined_normalized_area_gives_a_warning() {
    let dir = TestDir::new();
    let one = [
        "eval",
        "--config",
        "tiny.yaml",
        "--backend",
        "reference",
        "--users",
        "3",
        "--rounds",
        "1",
        "--seeds",
        "1",
    ];
    let mut undefined = 0;
    for seed in ["0", "1", "2", "3", "4", "5", "6", "7"] {
        let more = ["--policies", "random,greedy,anti", "--seed", seed, "--json"];
        let output = dir.run(&[&one[..], &more].concat());
        let policies: Vec<Value> = serde_json::from_str(&stdout(&output)).unwrap();
        let value = |n: usize, metric: &str| policies[n][metric]["mean"].as_f64();
        assert!((0..3).map(|n| value(n, "area").unwrap()).is_sorted(), "{policies:?}");
        let of = |name: &str| value(policies.iter().position(|policy| policy["policy"] == name).unwrap(), "area");
        let is_defined = of("random").unwrap() > of("greedy").unwrap() + 1e-9;
        assert!((0..3).all(|n| value(n, "normalized_area").is_some() == is_defined), "{policies:?}");
        let ends = |n: usize| ["low", "high"].map(|end| policies[n]["normalized_area"][end].as_f64().is_some());
        // The interval is undefined if it is so in any resample.
        let has_interval = ends(0)[0];
        assert!((0..3).all(|n| ends(n) == [has_interval; 2]) && (is_defined || !has_interval), "{policies:?}");
        assert_eq!(
            stderr(&output).contains("the normalized area is undefined"),
            !has_interval,
            "{}",
            stderr(&output)
        );
        undefined += u32::from(!is_defined);
    }
    assert!((1..8).contains(&undefined), "{undefined}");
}

#[test]
fn seeds_and_policies_do_not_affect_each_other() {
    let dir = TestDir::new();
    let mean = |more: &[&str]| {
        let base = ["eval", "--config", "tiny.yaml", "--backend", "reference", "--json", "-q"];
        let output = dir.run(&[&base, more].concat());
        let policies: Vec<Value> = serde_json::from_str(&stdout(&output)).unwrap();
        let random = policies.iter().find(|policy| policy["policy"] == "random").unwrap().clone();
        random["area"]["mean"].as_f64().unwrap()
    };
    let single = mean(&["--seeds", "1", "--seed", "6", "--policies", "random"]);
    assert_eq!(mean(&["--seeds", "1", "--seed", "6"]), single);
    let (both, first) = (mean(&["--seeds", "2", "--seed", "5"]), mean(&["--seeds", "1", "--seed", "5"]));
    assert!((both - (first + single) / 2.0).abs() < 1e-12 && first != single);
}

#[test]
fn invalid_input_is_refused_with_a_remedy() {
    let dir = TestDir::new();
    dir.train("run", &["--backend", "reference", "-q"]);
    dir.train("untrained", &["--backend", "reference", "-q"]);
    std::fs::remove_dir_all(dir.path("untrained/models")).unwrap();
    dir.train("damaged", &["--backend", "reference", "-q"]);
    dir.write("damaged/models/actor.safetensors", "not a model");
    dir.write("notes.txt", "mine");
    let wide: &[&str] = &["--policies", "actor:run", "--set", "world.dimensions=7"];
    let cases: &[(&[&str], &[&str])] = &[
        (&["--policies", "gredy"], &["--policies: there is no policy `gredy`", "did you mean `greedy`?"]),
        (&["--policies", "actr:run"], &["there is no policy `actr:run`", "did you mean `actor:RUN`?"]),
        (&["--policies", "xyz"], &["there is no policy `xyz`", "random-full"]),
        (&["--policies", "actor"], &["`actor` names no run", "actor:runs/"]),
        (&["--policies", "actor:"], &["`actor:` names no run"]),
        (&["--policies", "random,random"], &["`random` is given twice"]),
        (&["--policies", "actor:nowhere"], &["nowhere: this is not a run's folder", "help: "]),
        (&["--policies", "actor:untrained"], &["actor.safetensors: this file is missing", "help: "]),
        (&["--policies", "actor:damaged"], &["actor.safetensors", "restore it from a copy"]),
        (wide, &["run: its agent expects 6 dimensions and 3 clusters, and this world has 7 and 3"]),
        (&["--seeds", "0"], &["--seeds"]),
        (
            &["--seeds", "2", "--seed", "18446744073709551615"],
            &["--seed: 2 seeds from 18446744073709551615 on exceed"],
        ),
        (&["--rounds", "0"], &["--rounds: `training.rounds_per_episode` is 0"]),
        (&["--users", "0"], &["--users"]),
        (&["--out", "notes.txt"], &["notes.txt: this is there already, and is no evaluation"]),
        (&["--out", ""], &["--out"]),
        (&["--out", "notes.txt/file"], &["notes.txt"]),
        (&["--out", &"a".repeat(250)], &["give --out a shorter name"]),
        (&["--out", &"a".repeat(235)], &[".interrupted.json: cannot be written", "give --out a shorter name"]),
        (&["--world", "nowhere"], &["nowhere: is not a world"]),
        (&["--backend", "gpu"], &["there is no backend `gpu`"]),
        (&["--set", "td3.taau=1"], &["did you mean `td3.tau`?"]),
    ];
    for (flags, expected) in cases {
        let backend: &[&str] = if flags.contains(&"--backend") { &[] } else { &["--backend", "reference"] };
        let output = dir.run(&[&["eval", "--config", "tiny.yaml"], backend, flags].concat());
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {error}");
        for text in *expected {
            assert!(error.contains(text), "{flags:?}: `{text}` is missing in {error}");
        }
        assert!(!error.contains("panicked") && stdout(&output).is_empty(), "{flags:?}: {error}");
    }
    assert_eq!(std::fs::read_to_string(dir.path("notes.txt")).unwrap(), "mine");
}

#[test]
fn users_flag_takes_the_first_users_of_a_world() {
    let dir = TestDir::new();
    let world = "world new world --users 30 --items 100 --clusters 3 --dim 6 --seed 1 -q";
    let output = dir.run(&world.split(' ').collect::<Vec<_>>());
    assert!(output.status.success(), "{}", stderr(&output));
    let base = ["eval", "--backend", "reference", "--world", "world", "--users", "20", "--rounds", "2"];
    let output = dir.run(&[&base[..], &["--out", "some/where/e.json", "-q", "--seeds", "1"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let file = json(&dir.path("some/where/e.json"));
    assert_eq!((&file["users"], &file["world"]["users"]), (&20.into(), &30.into()));
    let output = dir.run(&[&base[..], &["--out", "world/world.json"]].concat());
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("a file of the world"));
}

#[cfg(unix)]
#[test]
fn interrupt_writes_the_finished_seeds() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};
    let dir = TestDir::new();
    let arguments =
        ["eval", "--config", "tiny.yaml", "--backend", "reference", "--seeds", "1000", "--rounds", "300"];
    let mut command = dir.command(&[&arguments[..], &["--out", "e.json"]].concat());
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut progress = BufReader::new(run.stderr.take().unwrap());
    let mut line = String::new();
    // Blocks until a progress line says that the first seed is finished.
    while line.is_empty() || line.starts_with("seed 1/") {
        line.clear();
        assert!(progress.read_line(&mut line).unwrap() > 0, "the evaluation ended by itself");
    }
    assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    progress.read_to_string(&mut rest).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130), "{rest}");
    let file = json(&dir.path("e.json"));
    let seeds = file["seeds"].as_array().unwrap().len();
    assert!(file["interrupted"] == true && (1..1000).contains(&seeds), "{seeds}");
    assert!(rest.contains(&format!("stopped: {seeds} of 1000 seeds are finished")), "{rest}");
}
