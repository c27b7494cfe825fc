//! Wrong input is refused before any work, with exit code 2 and a message that names location, problem and remedy.
#![allow(clippy::unwrap_used, reason = "a test that cannot continue has failed")]

mod common;

use common::{TestDir, stderr};

/// A wrong configuration file or wrong flags, and parts of the expected message.
struct BadCase {
    config: &'static str,
    flags: &'static [&'static str],
    expected: &'static [&'static str],
}

const fn file(config: &'static str, expected: &'static [&'static str]) -> BadCase {
    BadCase { config, flags: &[], expected }
}

const fn flags(flags: &'static [&'static str], expected: &'static [&'static str]) -> BadCase {
    BadCase { config: "", flags, expected }
}

/// The default backend is not part of every build.
const BACKEND: &[&str] = if cfg!(feature = "cpu") { &[] } else { &["--backend", "reference"] };

const CASES: &[BadCase] = &[
    // Unknown keys and groups.
    file("td3:\n  taau: 0.1\n", &["bad.yaml:2", "`td3.taau`", "did you mean `td3.tau`?"]),
    file("trainin:\n  episodes: 1\n", &["bad.yaml:1", "`trainin`", "did you mean `training`?"]),
    file("training:\n  tau: 0.1\n", &["bad.yaml:2", "`training.tau`", "`td3.tau`"]),
    file("tau: 0.1\n", &["bad.yaml:1", "there is no key `tau`", "did you mean `td3.tau`?"]),
    file("td3:\n  xyzzy: 0.1\n", &["bad.yaml:2", "`td3.xyzzy`", "recsim config"]),
    flags(&["--set", "td3.taau=1"], &["--set td3.taau=1", "did you mean `td3.tau`?"]),
    flags(&["--set", "tau=1"], &["--set tau=1", "there is no key `tau`", "did you mean `td3.tau`?"]),
    flags(&["--set", "td3=1"], &["there is no key `td3`"]),
    flags(&["--set", "td3.tau"], &["there is no `=`", "KEY=VALUE"]),
    flags(&["--set", "td3.tau="], &["`td3.tau`", "given no value"]),
    flags(&["--set", "td3.tau={a: 1}"], &["`td3.tau`"]),
    // Duplicate keys; not YAML; not a configuration.
    file(
        "td3:\n  hidden: [8]\n  tau: 0.1\n  hidden_sizes: [8]\n",
        &["bad.yaml:4", "`td3.hidden_sizes` and `td3.hidden` on line 2", "keep only `td3.hidden_sizes`"],
    ),
    file("td3:\n  tau: 0.1\n  tau: 0.2\n", &["bad.yaml:3", "`tau` is given twice", "line 2"]),
    file("td3:\n  tau: 0.1\nreward:\n  kind: shaped\ntd3:\n  tau: 0.1\n", &["bad.yaml:5", "`td3` is given twice"]),
    file("td3: [\n", &["bad.yaml:", "not YAML"]),
    file("td3:\n\ttau: 1\n", &["bad.yaml:2"]),
    file("3\n", &["bad.yaml:1", "must contain keys"]),
    file("td3: 3\n", &["bad.yaml:1", "`td3` is 3, and must contain keys"]),
    file("td3:\n  tau:\n    a: 1\n", &["bad.yaml:2", "`td3.tau`"]),
    file("a: &x [1]\nb: *x\n", &["bad.yaml:2", "alias"]),
    file("td3:\n  tau: 0.1\n---\ntd3:\n  tau: 0.1\n", &["bad.yaml:4", "second document"]),
    // Wrong types.
    file("td3:\n  batch_size: many\n", &["bad.yaml:2", "`td3.batch_size` is \"many\"", "whole number"]),
    file("td3:\n  batch_size: 1.5\n", &["bad.yaml:2", "`td3.batch_size` is 1.5", "whole number"]),
    file("td3:\n  batch_size: -1\n", &["bad.yaml:2", "`td3.batch_size` is -1", "whole number"]),
    file("td3:\n  batch_size: 4294967296\n", &["bad.yaml:2", "4294967295"]),
    file("td3:\n  batch_norm: 1\n", &["bad.yaml:2", "`td3.batch_norm` is 1", "true or false"]),
    file("td3:\n  tau: fast\n", &["bad.yaml:2", "`td3.tau` is \"fast\"", "must be a finite number"]),
    file("td3:\n  tau:\n", &["bad.yaml:2", "`td3.tau` is null", "must be a finite number"]),
    file("td3:\n  hidden_sizes: 512\n", &["bad.yaml:2", "`td3.hidden_sizes` is 512", "a list"]),
    file(
        "td3:\n  hidden_sizes: [512, x]\n",
        &["bad.yaml:2", "`td3.hidden_sizes`", "must be a list of whole numbers"],
    ),
    file("environment:\n  max_action: 1e-38\n", &["bad.yaml:2", "is 1e-38, and must be from 1.17"]),
    file("training:\n  users_per_round: all\n", &["bad.yaml:2", "`auto` or a whole number"]),
    file("recommendation:\n  similarity_metric: euclid\n", &["bad.yaml:2", "`cosine` or `dot`"]),
    file("reward:\n  kind: best\n", &["bad.yaml:2", "`shaped` or `potential`"]),
    // Not finite.
    file("td3:\n  tau: .nan\n", &["bad.yaml:2", "`td3.tau` is \".nan\", and must be a finite number"]),
    file("environment:\n  max_action: .inf\n", &["bad.yaml:2", "`environment.max_action` is \".inf\""]),
    file("environment:\n  max_action: 1e999\n", &["bad.yaml:2", "is \"1e999\"", "a finite number"]),
    file(
        "environment:\n  sigmoid_scale: 1e200\n",
        &["bad.yaml:2", "`environment.sigmoid_scale`", "finite float32"],
    ),
    flags(
        &["--set", "td3.learning_rate=.inf"],
        &["--set td3.learning_rate=.inf", "`td3.learning_rate` is \".inf\"", "a finite number"],
    ),
    // Impossible values.
    file("td3:\n  batch_size: 0\n", &["bad.yaml:2", "`td3.batch_size` is 0", "at least 1"]),
    file("td3:\n  batch_size: 1\n", &["bad.yaml:2", "`td3.batch_size` is 1", "batch_norm"]),
    file("training:\n  batch_size: 0\n", &["bad.yaml:2", "`training.batch_size` is 0"]),
    file("td3:\n  tau: 0\n", &["bad.yaml:2", "`td3.tau` is 0", "above 0 and at most 1"]),
    file("td3:\n  tau: 1.5\n", &["bad.yaml:2", "`td3.tau` is 1.5"]),
    file("td3:\n  dropout: 1.0\n", &["bad.yaml:2", "`td3.dropout`"]),
    file("world:\n  items: 0\n", &["bad.yaml:2", "`world.items` is 0"]),
    file("world:\n  clusters: 0\n", &["bad.yaml:2", "`world.clusters` is 0"]),
    file("world:\n  dimensions: 0\n", &["bad.yaml:2", "`world.dimensions` is 0"]),
    flags(&["--users", "0"], &["--users", "is 0", "at least 1"]),
    flags(&["--episodes", "0"], &["--episodes: `training.episodes` is 0", "at least 1"]),
    flags(&["--rounds", "0"], &["--rounds: `training.rounds_per_episode` is 0"]),
    flags(&["--threads", "0"], &["--threads: `experiment.threads` is 0"]),
    flags(&["--threads", "4294967295"], &["--threads: `experiment.threads` is 4294967295"]),
    flags(
        &["--isa", "sse9"],
        &["--instruction-set: `experiment.instruction_set` is sse9", "avx512, avx2, neon or portable"],
    ),
    flags(&["--backend", "gpu"], &["--backend: there is no backend `gpu`", "cpu, cuda or reference"]),
    // Values that contradict each other or the world. The message names the key that was given.
    file("recommendation:\n  total_recommendations: 5\n", &["bad.yaml:2", "`recommendation.rl_list_size` (10)"]),
    file(
        "world:\n  items: 19\n",
        &["bad.yaml:2", "`recommendation.total_recommendations`", "items (19)", "correct `world.items` there"],
    ),
    file("world:\n  items: 3\n", &["bad.yaml:2", "`world.clusters` is 5", "correct `world.items` there"]),
    file("td3:\n  buffer_size: 0\n", &["bad.yaml:2", "`td3.buffer_size` is 0", "from 1"]),
    file("td3:\n  buffer_size: 50000\n", &["bad.yaml:2", "`training.warmup_transitions` is 100000"]),
    flags(&["--set", "td3.buffer_size=50"], &["--set td3.buffer_size=50: `training.warmup_transitions`"]),
    file("recommendation:\n  rl_list_size: 30\n", &["bad.yaml:2", "`recommendation.total_recommendations` is 20"]),
    file("environment:\n  max_action: 3e38\n", &["bad.yaml:2", "`environment.max_action` is 3e38", "overflows"]),
    file("td3:\n  tau: 1e-40\n", &["bad.yaml:2", "`td3.tau` is 1e-40"]),
    file(
        "world:\n  pretrained_len: 19\n",
        &["bad.yaml:2", "`world.pretrained_len` is 19", "`recommendation.total_recommendations` (20)"],
    ),
    file("td3:\n  candidates: 19131\n", &["bad.yaml:2", "`td3.candidates` is 19131", "items (19130)"]),
    file(
        "world:\n  pretrained_len: 19131\n",
        &["bad.yaml:2", "`world.pretrained_len` is 19131", "`world.items` (19130)"],
    ),
    file("world:\n  items: 30\n  clusters: 31\n", &["bad.yaml:3", "`world.clusters` is 31"]),
    file(
        "world:\n  users: 9\ntraining:\n  users_per_round: 10\n",
        &["bad.yaml:4", "at most the world's users (9)"],
    ),
    file("environment:\n  state_dim: 70\n", &["bad.yaml:2", "`environment.state_dim` is 70", "K + D (69)"]),
    file("environment:\n  action_dim: 63\n", &["bad.yaml:2", "`environment.action_dim` is 63", "D (64)"]),
    file("training:\n  warmup_transitions: 2000000\n", &["bad.yaml:2", "`td3.buffer_size` (1000000)"]),
    // More memory than any machine has.
    flags(&["--users", "4294967295"], &["memory: ", "GiB of it for the world", "`world.users`"]),
    flags(&["--set", "td3.batch_size=2000000000"], &["GiB of it for an update", "`td3.batch_size`"]),
    flags(
        &["--set", "td3.hidden_sizes=[65536, 65536, 65536, 65536, 65536]"],
        &["for the networks", "`td3.hidden_sizes`"],
    ),
    // The whole replay buffer is allocated at the start, even if few rounds fill it.
    file("td3:\n  buffer_size: 4294967295\n", &["for the replay buffer", "`td3.buffer_size`"]),
    flags(&["--set", "world.dimensions=4294967295"], &["memory: ", "GiB"]),
    // The command line itself.
    flags(&["--users", "many"], &["--users", "many"]),
    flags(&["--users", "-3"], &["-3"]),
    flags(&["--shadow", "cpu"], &["--shadow", "reference"]),
    flags(
        &["--shadow", "reference", "--set", "td3.batch_size=7"],
        &["--set td3.batch_size=7", "8 or more with --shadow while `td3.batch_norm` is true"],
    ),
    flags(&["--frobnicate"], &["--frobnicate"]),
    flags(&["--trace-users", "0", "--trace", "t"], &["--trace-users"]),
    // Files and folders.
    flags(&["--config", "nowhere.yaml"], &["nowhere.yaml", "No such file"]),
    flags(&["--config", "."], &[".: "]),
    flags(&["--config", "latin1.yaml"], &["latin1.yaml", "UTF-8"]),
    flags(&["--config", "huge.yaml"], &["huge.yaml", "not a configuration"]),
    flags(&["--world", "nowhere"], &["nowhere", "is not a world"]),
    flags(&["--out", "bad.yaml"], &["bad.yaml", "this is no folder", "--out"]),
    flags(&["--out", ""], &["--out: `experiment.output` is empty"]),
    flags(&["--out", "bad.yaml/run"], &["bad.yaml/run", "nothing can be written"]),
    flags(&["--out", "a-run"], &["a-run", "holds a run", "--force"]),
    flags(&["--out", "a-world"], &["a-world", "holds a world", "--force"]),
    flags(&["--users", "5", "--trace", "a-run"], &["a-run", "this is a folder"]),
    flags(&["--trace", "out"], &["out: this is a file of the run"]),
    flags(
        &["--config", "a-run/config.yaml", "--out", "a-run", "--force"],
        &["a-run/config.yaml: the run would replace this file of settings"],
    ),
    flags(&["--trace", "bad.yaml", "--force"], &["bad.yaml: this is the file of settings"]),
    flags(&["--trace", "out/results", "--force"], &["out/results: this is a file of the run"]),
    flags(&["--users", "5", "--trace", "bad.yaml/t"], &["nothing can be written"]),
    flags(&["--trace", "huge.yaml"], &["huge.yaml: this file is there already", "--force"]),
    flags(&["--trace", "out/run.json"], &["out/run.json: this is a file of the run"]),
    flags(&["--trace", "./a-run/../out/models/t", "--force"], &["this is a file of the run"]),
    flags(&["--world", "a-world", "--trace", "a-world/world.json", "--force"], &["world.json: this is a file of"]),
    flags(&["--out", "a-world", "--trace", "a-world/world.json", "--force"], &["world.json: this is a file of"]),
];

#[test]
fn wrong_input_is_refused_with_location_problem_and_remedy() {
    let dir = TestDir::new();
    dir.write("latin1.yaml", b"# \xe9\n");
    dir.write("huge.yaml", vec![b'#'; (1 << 20) + 1]);
    for (folder, file) in [("a-run", "run.json"), ("a-world", "world.json")] {
        std::fs::create_dir(dir.path(folder)).unwrap();
        dir.write(&format!("{folder}/{file}"), "{}");
        dir.write(&format!("{folder}/config.yaml"), "");
    }
    let mut failures = Vec::new();
    for BadCase { config, flags, expected } in CASES {
        dir.write("bad.yaml", config);
        let config: &[&str] = if flags.contains(&"--config") { &[] } else { &["--config", "bad.yaml"] };
        let out: &[&str] = if flags.contains(&"--out") { &[] } else { &["--out", "out"] };
        let backend = if flags.contains(&"--backend") { &[] } else { BACKEND };
        let arguments = [&["train"], config, out, backend, flags].concat();
        let output = dir.run(&arguments);
        let message = stderr(&output);
        let file = std::fs::read_to_string(dir.path("bad.yaml")).unwrap();
        let context = format!("{arguments:?}\n{file}\n--- message\n{message}");
        let written = dir.path("out").exists() || dir.path("runs").exists();
        let checks = [
            ("the exit code is not 2", output.status.code() == Some(2)),
            ("there is no remedy", message.contains("help: ") || message.contains("try '--help'")),
            ("it panicked", !message.contains("panicked")),
            ("something was written", !written),
        ];
        failures.extend(
            checks.iter().filter(|(_, passed)| !passed).map(|(failure, _)| format!("{failure}: {context}")),
        );
        let missing = expected.iter().filter(|text| !message.contains(**text));
        failures.extend(missing.map(|text| format!("{text:?} is missing: {context}")));
        let _ = std::fs::remove_dir_all(dir.path("out"));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[cfg(feature = "cpu")]
#[test]
fn missing_instruction_set_is_refused_with_the_available_ones() {
    let dir = TestDir::new();
    // No machine has both avx2 and neon.
    let foreign = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
    let output = dir.run(&["train", "--config", "tiny.yaml", "--instruction-set", foreign, "--out", "out"]);
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(
        message.contains(&format!("--instruction-set: this machine has no {foreign}"))
            && message.contains("or portable"),
        "{message}"
    );
    assert!(!dir.path("out").exists());
}

#[cfg(not(feature = "cuda"))]
#[test]
fn backend_that_was_not_built_is_refused() {
    let dir = TestDir::new();
    let output = dir.run(&["train", "--config", "tiny.yaml", "--backend", "cuda"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("built without `cuda`: build it with --features cuda"));
}

#[cfg(feature = "cuda")]
#[test]
fn missing_device_is_a_failure_and_writes_nothing() {
    let dir = TestDir::new();
    let output = dir.run(&["train", "--config", "tiny.yaml", "--backend", "cuda", "--out", "out"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("help: select another with --backend") && !dir.path("out").exists());
}

#[test]
fn world_that_contradicts_the_settings_is_named() {
    let dir = TestDir::new();
    let made = dir.run(&["world", "new", "small", "--users", "9", "--items", "19", "--pretrained-len", "15", "-q"]);
    assert!(made.status.success());
    let slate = "`recommendation.total_recommendations` is 20, and must be at most the world's items (19)";
    for (flags, expected) in [
        (
            &[][..],
            [
                "small: the default of `recommendation.total_recommendations` does not fit this world",
                slate,
                "or another world",
            ],
        ),
        (&["--users", "10"], ["--users, with the world in small", "the world's users (9)", "or another world"]),
        (
            &["--set", "recommendation.total_recommendations=16"],
            ["with the world in small", "pre-trained lists (15)", "or another world"],
        ),
    ] {
        let output = dir.run(&[&["train", "--out", "out", "--world", "small"], BACKEND, flags].concat());
        assert_eq!(output.status.code(), Some(2));
        let message = stderr(&output);
        assert!(expected.iter().all(|text| message.contains(text)) && !dir.path("out").exists(), "{message}");
    }
}

#[test]
fn trace_of_too_many_users_is_refused() {
    let dir = TestDir::new();
    let traced = ["--config", "tiny.yaml", "--out", "out", "--trace", "t", "--trace-users", "41"];
    let output = dir.run(&[&["train"], BACKEND, &traced].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--trace-users: 41 users are to be traced, and 40 are served"));
    assert!(!dir.path("out").exists() && !dir.path("t").exists());
    let all = ["--config", "tiny.yaml", "--out", "out", "--trace", "t"];
    assert!(dir.run(&[&["train"], BACKEND, &all].concat()).status.success(), "all 40 where 100 are not served");
}

#[test]
fn endless_configuration_is_refused() {
    let dir = TestDir::new();
    let endless = ["--config", "/dev/zero", "--out", "out"];
    let output = dir.run(&[&["train"][..], &endless].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("/dev/zero: a file of more than 1048576 bytes is not a configuration"));
}

#[test]
fn show_refuses_other_folders_than_runs() {
    let dir = TestDir::new();
    for folder in ["nowhere", "."] {
        let output = dir.run(&["show", folder]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("this is not a run's folder"), "{}", stderr(&output));
    }
}

#[test]
fn damaged_records_are_refused_but_an_unfinished_line_is_not() {
    let dir = TestDir::new();
    dir.train("run", &["--backend", "reference", "--set", "experiment.checkpoint_every=0"]);
    for file in ["run.json", "rounds.jsonl", "episodes.jsonl", "summary.json"] {
        let path = format!("run/{file}");
        let whole = std::fs::read(dir.path(&path)).unwrap();
        dir.write(&path, [b"{\"episode\": \n", &whole[..]].concat());
        let output = dir.run(&["show", "run"]);
        assert_eq!(output.status.code(), Some(2), "{file}");
        let message = stderr(&output);
        assert!(message.contains(file) && message.contains("help: ") && !message.contains("panicked"), "{message}");
        if file.ends_with("jsonl") {
            dir.write(&path, &whole[..whole.len() - 5]);
            assert!(dir.run(&["show", "run"]).status.success(), "{file}");
        }
        dir.write(&path, whole);
    }
    dir.train("checked", &["--backend", "reference"]);
    for file in ["checked/rounds.jsonl", "checked/episodes.jsonl"] {
        let whole = std::fs::read_to_string(dir.path(file)).unwrap();
        for changed in
            [whole.replacen("rate\":0.", "rate\":0.9", 1), whole[..whole.len() - 5].to_owned(), String::new()]
        {
            dir.write(file, changed);
            let output = dir.run(&["show", "checked"]);
            assert_eq!(output.status.code(), Some(2), "{file}: {}", stderr(&output));
            assert!(stderr(&output).contains(file) && stderr(&output).contains("help: "), "{}", stderr(&output));
        }
        dir.write(file, whole);
        assert!(dir.run(&["show", "checked"]).status.success());
    }
}
