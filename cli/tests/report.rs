//! `recsim report`: one self-contained page, the plots' values as CSV, and errors before anything is written.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{TestDir, json, json_lines, stderr, stdout};
use serde_json::Value;

/// Two runs, `a` and `b`, that differ in their seed, and an evaluation of the first.
fn dir_with_inputs() -> TestDir {
    let dir = TestDir::new();
    dir.train("a", &["--backend", "reference", "-q"]);
    dir.train("b", &["--backend", "reference", "-q", "--seed", "6"]);
    let settings = ["--config", "tiny.yaml", "--backend", "reference", "--seeds", "2", "-q"];
    let policies = ["--policies", "actor:a,random,greedy,anti", "--out", "e.json"];
    let output = dir.run(&[&["eval"], &settings[..], &policies].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    dir
}

/// Runs `recsim report --json`, expects success, and returns what it printed.
fn report(dir: &TestDir, arguments: &[&str]) -> Value {
    let arguments = [&["report", "--json"], arguments].concat();
    let output = dir.run(&arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    assert_eq!((stdout(&output).lines().count(), stderr(&output)), (1, String::new()));
    serde_json::from_str(&stdout(&output)).unwrap()
}

fn page(dir: &TestDir, name: &str) -> String {
    std::fs::read_to_string(dir.path(name)).unwrap()
}

fn plots(summary: &Value) -> Vec<&str> {
    summary["plots"].as_array().unwrap().iter().map(|plot| plot.as_str().unwrap()).collect()
}

/// A CSV file's rows, by column.
fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    csv::Reader::from_path(path).unwrap().deserialize().map(Result::unwrap).collect()
}

/// Asserts that tags are closed in order and that attributes are quoted.
fn assert_well_formed(markup: &str) {
    let mut open = Vec::new();
    for chunk in markup.split('<').skip(1) {
        let (tag, text) = chunk.split_once('>').expect("a tag ends");
        assert!(!text.contains('>') && !tag.contains('\u{0}'), "{chunk}");
        let name = tag.split([' ', '\n']).next().unwrap();
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
        } else if !tag.ends_with('/') && !name.starts_with('!') {
            open.push(name.to_owned());
        }
        assert!(tag.matches('"').count().is_multiple_of(2), "{tag}");
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn report_has_every_section_and_is_self_contained() {
    let dir = dir_with_inputs();
    let summary = report(&dir, &["a", "b", "e.json"]);
    assert_eq!((&summary["report"], &summary["missing"]), (&"report.html".into(), &serde_json::json!([])));
    let page = page(&dir, "report.html");
    assert_well_formed(&page);
    for id in [
        "overview",
        "learning",
        "policies",
        "beliefs",
        "acceptance",
        "slates",
        "reliability",
        "losses",
        "timings",
        "origins",
    ] {
        assert!(page.contains(&format!("<section id=\"{id}\">")), "{id}");
    }
    let plots = plots(&summary);
    for plot in [
        "learning-distance",
        "policies-ranking",
        "beliefs-run",
        "beliefs-policy-4",
        "slates-policy",
        "losses-value",
    ] {
        assert!(plots.contains(&plot), "{plot}: {plots:?}");
    }
    let ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(ids.iter().all(|id| ids.iter().filter(|other| *other == id).count() == 1), "{ids:?}");
    for plot in &plots {
        assert_eq!(page.matches(&format!("<figure id=\"{plot}\">")).count(), 1, "{plot}");
        assert!(page.contains(&format!("download=\"{plot}.csv\" href=\"data:text/csv")), "{plot}");
    }
    assert_eq!(page.matches("<svg ").count(), plots.len());
    // Nothing is fetched: every reference is to the page itself or a `data:` URL.
    for reference in page.split(" href=\"").skip(1).chain(page.split(" src=\"").skip(1)) {
        assert!(reference.starts_with("data:") || reference.starts_with('#'), "{reference:.80}");
    }
    assert!(!page.contains("<script") && !page.contains("@import") && !page.contains("url("));
    // Colors are CSS variables with a light and a dark value.
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("stroke=\"var(--blue)\""));
    assert!(!page.contains("=\"#0066B3\""));
    for expected in [
        "2 runs",
        "P(improvement)",
        "rounds to 10 %",
        "total reward",
        "4 of 8 selected by the policy",
        "discounted return",
        "How to reproduce it",
        "sigmoid_scale",
        "recsim eval --config tiny.yaml",
        "recsim train --config config.yaml",
        "actor:a",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
}

#[test]
fn report_repeats_bytes_and_replaces_reports_only() {
    let dir = dir_with_inputs();
    report(&dir, &["a", "e.json", "--plots", "p"]);
    let files = || {
        let names = std::fs::read_dir(dir.path("p")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = names.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
        files.sort();
        files
    };
    let (expected_page, expected_files) = (page(&dir, "report.html"), files());
    // A temporary file of a report that was killed.
    dir.write("p/.policies-distance.csv.new", "half");
    let summary = report(&dir, &["a", "e.json", "--plots", "p"]);
    assert_eq!((page(&dir, "report.html"), files()), (expected_page, expected_files));
    assert_eq!(files().len(), 2 * plots(&summary).len());
    for (path, text) in files() {
        if path.extension().is_some_and(|kind| kind == "svg") {
            let text = String::from_utf8(text).unwrap();
            assert_well_formed(&text);
            assert!(
                text.starts_with("<!-- recsim report -->\n<svg width=")
                    && text.contains("prefers-color-scheme: dark")
            );
        }
    }
    let summary = report(&dir, &["a", "--plots", "p"]);
    assert_eq!(files().len(), 2 * plots(&summary).len(), "plots of the previous report are removed");
    std::fs::create_dir(dir.path("folder")).unwrap();
    for _ in 0..2 {
        report(&dir, &["a", "-o", "folder", "--plots", "folder"]);
    }
    assert!(dir.path("folder/report.html").is_file());
    let output = dir.run(&["report", "a", "-q"]);
    assert!(output.status.success() && stdout(&output).is_empty() && stderr(&output).is_empty());
    let printed = stdout(&dir.run(&["report", "a"]));
    assert!(printed.starts_with("report.html: ") && printed.contains("Slates over time"), "{printed}");
}

#[test]
fn csv_values_are_those_of_the_inputs() {
    let dir = dir_with_inputs();
    report(&dir, &["a", "b", "e.json", "--plots", "p"]);
    let csv = |name: &str| rows(&dir.path(&format!("p/{name}.csv")));
    let number = |row: &BTreeMap<String, String>, column: &str| row[column].parse::<f64>().unwrap();
    // The median of two runs is their mean, and the band reaches from one to the other.
    let [a, b] = ["a", "b"].map(|run| json_lines(&dir.path(run).join("episodes.jsonl")));
    let learning = csv("learning-distance");
    assert_eq!(learning.len(), 2);
    for ((row, a), b) in learning.iter().zip(&a).zip(&b) {
        let [a, b] = [a, b].map(|episode| episode["mean_distance"].as_f64().unwrap());
        assert_eq!(
            (number(row, "distance"), number(row, "low"), number(row, "high")),
            ((a.min(b) + a.max(b)) / 2.0, a.min(b), a.max(b))
        );
    }
    let evaluation = json(&dir.path("e.json"));
    let policies = evaluation["policies"].as_array().unwrap();
    let of = |rows: Vec<BTreeMap<String, String>>, column: &str, policy: &Value| -> Vec<BTreeMap<String, String>> {
        rows.into_iter().filter(|row| row[column] == policy["policy"]).collect()
    };
    for (n, policy) in policies.iter().enumerate() {
        let distances = of(csv("policies-distance"), "line", policy);
        for (row, round) in distances.iter().zip(policy["curves"]["distance"].as_array().unwrap()) {
            for (column, key) in [("distance", "mean"), ("low", "low"), ("high", "high")] {
                assert_eq!(number(row, column), round[key].as_f64().unwrap());
            }
        }
        assert_eq!(distances.len(), 4);
        let ranking = of(csv("policies-ranking"), "policy", policy);
        assert_eq!(number(&ranking[0], "normalized area"), policy["normalized_area"]["mean"].as_f64().unwrap());
        let id = if n == 0 { "slates-policy".to_owned() } else { format!("slates-policy-{}", n + 1) };
        for row in csv(&id) {
            let (round, cluster) =
                (number(&row, "round") as usize - 1, row["part"].strip_prefix("cluster ").unwrap());
            let shown = policy["by_round"]["shown"][round][cluster.parse::<usize>().unwrap()].as_f64().unwrap();
            assert_eq!(number(&row, "share of shown items"), shown / (40.0 * 8.0 * 2.0));
        }
        for row in of(csv("acceptance-cluster"), "policy", policy) {
            let cluster: usize = row["cluster"].parse().unwrap();
            let sum = |what: &str| -> f64 {
                (0..10).map(|tenth| policy["by_distance"][what][cluster][tenth].as_f64().unwrap()).sum()
            };
            let share = row["share accepted"].parse::<f64>().ok();
            assert_eq!(share, (sum("shown") > 0.0).then(|| sum("accepted") / sum("shown")));
        }
        let beliefs = csv(&if n == 0 { "beliefs-policy".to_owned() } else { format!("beliefs-policy-{}", n + 1) });
        let after: Vec<f64> = beliefs[3..].iter().map(|row| number(row, "belief")).collect();
        assert_eq!(serde_json::json!(after), policy["beliefs"][3]);
    }
    // A run's beliefs before and after.
    let run = json(&dir.path("a/run.json"));
    let beliefs = csv("beliefs-run");
    let before: Vec<f64> = beliefs[..3].iter().map(|row| number(row, "belief")).collect();
    assert_eq!(serde_json::json!(before), run["beliefs"]["initial"]);
    let users = json(&dir.path("a/results/current_user_beliefs.json"));
    let users: Vec<&Value> = users["user_beliefs"].as_object().unwrap().values().collect();
    let mean = users.iter().map(|user| user["beliefs"][1].as_f64().unwrap()).sum::<f64>() / users.len() as f64;
    assert!((number(&beliefs[4], "belief") - mean).abs() < 1e-12);
}

#[test]
fn sections_without_data_are_listed_with_reasons() {
    let dir = dir_with_inputs();
    let summary = report(&dir, &["e.json"]);
    let missing = |summary: &Value| -> Vec<String> {
        summary["missing"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| part["part"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(missing(&summary), ["Learning", "Losses and values", "Timings"]);
    assert!(page(&dir, "report.html").contains("<b>Learning</b>: no run was given"));
    let summary = report(&dir, &["a"]);
    assert_eq!(missing(&summary).len(), 4);
    assert!(page(&dir, "report.html").contains("<b>Slates over time</b>: no evaluation was given"));
    // A run without a finished episode, whose record lacks the initial beliefs.
    std::fs::write(dir.path("b/episodes.jsonl"), "").unwrap();
    std::fs::write(dir.path("b/rounds.jsonl"), "{\"episode\":1,\"rou").unwrap();
    for gone in ["summary.json", "results/current_user_beliefs.json"] {
        std::fs::remove_file(dir.path("b").join(gone)).unwrap();
    }
    std::fs::remove_dir_all(dir.path("b/checkpoints")).unwrap();
    let summary = report(&dir, &["b"]);
    assert_eq!((missing(&summary).len(), plots(&summary).len()), (8, 0));
    assert!(page(&dir, "report.html").contains("no run has finished an episode"));
}

#[test]
fn runs_are_grouped_by_settings_and_folders_contribute_evaluations() {
    let dir = dir_with_inputs();
    dir.train("c", &["--backend", "reference", "-q", "--set", "td3.discount=0.9"]);
    std::fs::copy(dir.path("e.json"), dir.path("c/evaluation.json")).unwrap();
    let summary = report(&dir, &["a", "b", "c", "--plots", "p"]);
    let page = page(&dir, "report.html");
    assert!(page.contains("td3.discount=0.5 (2 runs)") && page.contains("td3.discount=0.9"));
    assert!(plots(&summary).contains(&"losses-value-2") && plots(&summary).contains(&"policies-distance"));
    let lines: Vec<String> =
        rows(&dir.path("p/learning-area.csv")).into_iter().map(|row| row["line"].clone()).collect();
    assert_eq!(
        lines,
        ["td3.discount=0.5 (2 runs)", "td3.discount=0.5 (2 runs)", "td3.discount=0.9", "td3.discount=0.9"]
    );
    // An evaluation in a folder that is also given by its own path is read once.
    assert_eq!(plots(&report(&dir, &["c", "c/evaluation.json"])), plots(&report(&dir, &["c"])));
}

/// `evaluation.json` as recsim 0.1.0 wrote it, with the keys of that version.
#[test]
fn evaluation_of_0_1_0_is_read() {
    const OLD: &str = include_str!("../../testdata/compatibility/0.1.0/evaluation.json");
    let dir = TestDir::new();
    dir.write("old.json", OLD);
    // The same evaluation with the new keys.
    let mut new: Value = serde_json::from_str(OLD).unwrap();
    let rename = |value: &mut Value, old: &str, new: &str| {
        let object = value.as_object_mut().unwrap();
        let value = object.remove(old).unwrap_or_else(|| panic!("0.1.0 wrote `{old}`"));
        object.insert(new.to_owned(), value);
    };
    rename(&mut new, "chosen", "rl_slots");
    rename(&mut new, "shown", "slate_len");
    for policy in new["policies"].as_array_mut().unwrap() {
        rename(policy, "normalised_area", "normalized_area");
        rename(policy, "return", "total_reward");
    }
    for pair in new["pairs"].as_array_mut().unwrap() {
        rename(pair, "improvement", "probability_of_improvement");
        rename(&mut pair["difference"], "normalised_area", "normalized_area");
        rename(&mut pair["difference"], "return", "total_reward");
    }
    dir.write("new.json", new.to_string());
    for name in ["old", "new"] {
        report(&dir, &[&format!("{name}.json"), "--out", &format!("{name}.html")]);
    }
    let old = page(&dir, "old.html");
    assert!(old.contains("10 of 20 selected by the policy") && old.contains("actor:run"));
    assert_eq!(old.replace("old.", "new."), page(&dir, "new.html"));
}

#[test]
fn policy_names_are_escaped() {
    let dir = dir_with_inputs();
    let mut evaluation = json(&dir.path("e.json"));
    evaluation["policies"][0]["policy"] = "actor:<b>&\"'\u{1b}".into();
    dir.write("odd.json", evaluation.to_string());
    report(&dir, &["odd.json"]);
    let page = page(&dir, "report.html");
    assert!(!page.contains("<b>&") && page.contains("actor:&lt;b&gt;&amp;"));
    assert_well_formed(&page);
}

#[test]
fn invalid_input_is_refused_before_anything_is_written() {
    let dir = dir_with_inputs();
    let damaged = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut evaluation = json(&dir.path("e.json"));
        change(&mut evaluation);
        dir.write(name, evaluation.to_string());
    };
    damaged("old.json", &|e| e["version"] = 1.into());
    damaged("type.json", &|e| e["policies"][1]["beliefs"] = "none".into());
    damaged("short.json", &|e| e["policies"][1]["curves"]["distance"] = serde_json::json!([]));
    damaged("many.json", &|e| e["policies"][0]["reliability"]["bins"][3]["shown"] = u64::MAX.into());
    damaged("other.json", &|e| e["format"] = "something else".into());
    dir.write("text.json", "no JSON");
    dir.write("half.json", &std::fs::read(dir.path("e.json")).unwrap()[..500]);
    dir.write("mine.html", "<html></html>");
    std::fs::create_dir(dir.path("empty")).unwrap();
    std::fs::create_dir(dir.path("full")).unwrap();
    dir.write("full/thesis.tex", "mine");
    for (run, file, text) in [
        ("r1", "run.json", "{\"version\": 3}"),
        ("r2", "rounds.jsonl", "{\"episode\":1}\n"),
        ("r3", "episodes.jsonl", "?\n"),
        ("r4", "config.yaml", "td3:\n  taau: 1\n"),
        ("r5", "results/current_user_beliefs.json", "{\"episode\": 1, \"user_beliefs\": {\"U1\": {}}}"),
        ("r6", "summary.json", "[]"),
    ] {
        dir.train(run, &["--backend", "reference", "-q", "--episodes", "1"]);
        dir.write(&format!("{run}/{file}"), text);
    }
    dir.train("r7", &["--backend", "reference", "-q", "--episodes", "1"]);
    std::fs::remove_file(dir.path("r7/rounds.jsonl")).unwrap();
    fn twice(lines: &str) -> String {
        lines.split_inclusive('\n').flat_map(|line| [line; 2]).collect()
    }
    fn without_first_line(lines: &str) -> String {
        lines.split_inclusive('\n').skip(1).collect()
    }
    fn negative(lines: &str) -> String {
        lines.replacen("\"acceptance_rate\":", "\"acceptance_rate\":-", 1)
    }
    fn with_higher_acceptance(lines: &str) -> String {
        lines.replacen("\"acceptance_rate\":0.", "\"acceptance_rate\":0.9", 1)
    }
    fn empty(_: &str) -> String {
        String::new()
    }
    let changed = |run: &str, file: &str, change: fn(&str) -> String| {
        dir.train(run, &["--backend", "reference", "-q", "--episodes", "1"]);
        let path = format!("{run}/{file}");
        dir.write(&path, change(&std::fs::read_to_string(dir.path(&path)).unwrap()));
    };
    changed("r9", "rounds.jsonl", twice);
    changed("r10", "rounds.jsonl", without_first_line);
    changed("r11", "rounds.jsonl", negative);
    changed("r12", "rounds.jsonl", empty);
    changed("r13", "episodes.jsonl", twice);
    changed("r14", "episodes.jsonl", negative);
    changed("r15", "rounds.jsonl", with_higher_acceptance);
    changed("r16", "episodes.jsonl", with_higher_acceptance);
    dir.train("r8", &["--backend", "reference", "-q", "--episodes", "1"]);
    damaged("r8/evaluation.json", &|e| e["timestamp"] = "2020-01-01 00:00:00".into());
    std::fs::create_dir_all(dir.path("copy/results")).unwrap();
    for file in ["run.json", "rounds.jsonl", "episodes.jsonl", "config.yaml", "summary.json"] {
        std::fs::copy(dir.path(&format!("a/{file}")), dir.path(&format!("copy/{file}"))).unwrap();
    }
    for file in ["drawn/mine.svg", "counted/mine.csv"] {
        std::fs::create_dir(dir.path(file).parent().unwrap()).unwrap();
        dir.write(file, "<svg/>");
    }
    let cases: &[(&[&str], &[&str])] = &[
        (&["r8"], &["r8/evaluation.json: `timestamp` is 2020", "evaluate that run"]),
        (&["nowhere"], &["nowhere: there is no such file or folder", "give the folder of a run"]),
        (&["empty"], &["empty: this folder contains neither run.json of a run nor evaluation.json", "run.json"]),
        (&["a", "./a"], &["./a: this is given twice", "leave out one"]),
        (&["a", "copy"], &["copy: this is a copy of a", "leave out one"]),
        (
            &["old.json"],
            &["old.json: `version` is 1", "reads evaluations of version 2", "make it again: recsim eval"],
        ),
        (&["type.json"], &["type.json: this is damaged", "beliefs", "make it again"]),
        (&["short.json"], &["short.json", "`policies[1].curves.distance`", "make it again"]),
        (&["many.json"], &["many.json", "`policies[0].reliability`", "make it again"]),
        (&["other.json"], &["other.json: `format` is `something else`"]),
        (&["text.json"], &["text.json: this is no evaluation", "make it again"]),
        (&["half.json"], &["half.json: this is no evaluation, or a damaged one"]),
        (&["r1"], &["run.json: this is damaged", "version", "repeat the run"]),
        (&["r2"], &["rounds.jsonl:1: this is damaged", "missing field `round`"]),
        (&["r3"], &["episodes.jsonl:1: this is damaged"]),
        (&["r9"], &["rounds.jsonl:2: this is damaged: round 1 of episode 1 follows round 1 of episode 1"]),
        (&["r10"], &["rounds.jsonl:1: this is damaged: round 2 of episode 1 follows"]),
        (&["r11"], &["rounds.jsonl:1: this is damaged: `acceptance_rate` is -0."]),
        (&["r12"], &["rounds.jsonl: this is damaged: there are 1 finished episodes, and rounds of 0"]),
        (&["r13"], &["episodes.jsonl:2: this is damaged: `episode` is 1, and 2 is expected"]),
        (&["r14"], &["episodes.jsonl:1: this is damaged: `acceptance_rate` is -0."]),
        (&["r15"], &["rounds.jsonl: was changed or damaged", "restore the file"]),
        (&["r16"], &["episodes.jsonl: was changed or damaged", "restore the file"]),
        (&["r4"], &["config.yaml:2", "did you mean `td3.tau`?"]),
        (&["r5"], &["current_user_beliefs.json: this is damaged", "missing field `beliefs`"]),
        (&["r6"], &["summary.json: this is damaged"]),
        (&["r7"], &["rounds.jsonl: cannot be read", "give the folder of a run that is whole"]),
        (&["a", "-o", "no/such/r.html"], &["no/such: this folder does not exist", "create it first"]),
        (&["a", "-o", ""], &["--out"]),
        (&["a", "-o", &"a".repeat(252)], &["give --out a shorter name"]),
        (&["a", "-o", "mine.html"], &["mine.html: this file exists and is not a report"]),
        (&["a", "-o", "a/config.yaml"], &["config.yaml: this file exists and is not a report"]),
        (
            &["a", "--plots", "full"],
            &["full: this folder contains a file that is not a plot of a report: thesis.tex"],
        ),
        (
            &["a", "--plots", "drawn"],
            &["drawn: this folder contains a file that is not a plot of a report: mine.svg"],
        ),
        (&["a", "--plots", "counted"], &["counted: this folder contains a file that is not a plot", "mine.csv"]),
        (&["a", "-o", "x.html", "--plots", "x.html"], &["x.html: the page is written to this path"]),
        (&["a", "--plots", "no/such"], &["no: this folder does not exist"]),
        (&["a", "--plots", "e.json"], &["e.json: plots cannot be written here"]),
        (&[], &["RUN|EVALUATION"]),
    ];
    for (arguments, expected) in cases {
        let output = dir.run(&[&["report"], *arguments].concat());
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        for text in *expected {
            assert!(error.contains(text), "{arguments:?}: `{text}` is missing in {error}");
        }
        assert!(!error.contains("panicked") && stdout(&output).is_empty(), "{arguments:?}: {error}");
    }
    assert!(!dir.path("report.html").exists() && page(&dir, "mine.html") == "<html></html>");
}
