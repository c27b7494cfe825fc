//! `recsim report`: one page with everything, the numbers beside it, and nothing written where something is wrong.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{TestDir, json, json_lines, stderr, stdout};
use serde_json::Value;

/// Two runs that differ in their seed, `a` and `b`, and an evaluation of the first.
fn dir() -> TestDir {
    let dir = TestDir::new();
    dir.train("a", &["--backend", "reference", "-q"]);
    dir.train("b", &["--backend", "reference", "-q", "--seed", "6"]);
    let settings = ["--config", "tiny.yaml", "--backend", "reference", "--seeds", "2", "-q"];
    let policies = ["--policies", "actor:a,random,greedy,anti", "--out", "e.json"];
    let output = dir.run(&[&["eval"], &settings[..], &policies].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    dir
}

/// Reports, and expects success; what `--json` tells.
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

fn plots(told: &Value) -> Vec<&str> {
    told["plots"].as_array().unwrap().iter().map(|plot| plot.as_str().unwrap()).collect()
}

/// A CSV file's rows, by column.
fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    csv::Reader::from_path(path).unwrap().deserialize().map(Result::unwrap).collect()
}

/// Every tag is closed where it should be, and no attribute is given twice.
fn assert_well_formed(markup: &str) {
    let mut open = Vec::new();
    for piece in markup.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').expect("a tag ends");
        assert!(!text.contains('>') && !tag.contains('\u{0}'), "{piece}");
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
fn a_report_of_runs_and_an_evaluation_has_every_part_and_needs_nothing_else() {
    let dir = dir();
    let told = report(&dir, &["a", "b", "e.json"]);
    assert_eq!((&told["report"], &told["missing"]), (&"report.html".into(), &serde_json::json!([])));
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
    let plots = plots(&told);
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
    // Nothing is fetched: every reference is to the page itself or holds what it names.
    for reference in page.split(" href=\"").skip(1).chain(page.split(" src=\"").skip(1)) {
        assert!(reference.starts_with("data:") || reference.starts_with('#'), "{reference:.80}");
    }
    assert!(!page.contains("<script") && !page.contains("@import") && !page.contains("url("));
    // Colours are names, so that there are light ones and dark ones.
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("stroke=\"var(--blue)\""));
    assert!(!page.contains("=\"#0066B3\""));
    for said in [
        "2 runs",
        "sigmoid_scale",
        "recsim eval --config tiny.yaml",
        "recsim train --config config.yaml",
        "actor:a",
    ] {
        assert!(page.contains(said), "{said}");
    }
}

#[test]
fn the_same_makes_the_same_bytes_and_replaces_a_report_only() {
    let dir = dir();
    report(&dir, &["a", "e.json", "--plots", "p"]);
    let files = || {
        let names = std::fs::read_dir(dir.path("p")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = names.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
        files.sort();
        files
    };
    let (first, drawn) = (page(&dir, "report.html"), files());
    // The rest of one that was killed.
    dir.write("p/.policies-distance.csv.new", "half");
    let told = report(&dir, &["a", "e.json", "--plots", "p"]);
    assert_eq!((page(&dir, "report.html"), files()), (first, drawn));
    assert_eq!(files().len(), 2 * plots(&told).len());
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
    let told = report(&dir, &["a", "--plots", "p"]);
    assert_eq!(files().len(), 2 * plots(&told).len(), "plots of the report before are gone");
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
fn the_numbers_are_those_of_the_inputs() {
    let dir = dir();
    report(&dir, &["a", "b", "e.json", "--plots", "p"]);
    let csv = |name: &str| rows(&dir.path(&format!("p/{name}.csv")));
    let number = |row: &BTreeMap<String, String>, column: &str| row[column].parse::<f64>().unwrap();
    // Two runs: the middle between them, and a band from one to the other.
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
        assert_eq!(number(&ranking[0], "normalised area"), policy["normalized_area"]["mean"].as_f64().unwrap());
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
    // What a run began with, and where it ended.
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
fn parts_without_data_are_left_out_and_the_page_says_why() {
    let dir = dir();
    let told = report(&dir, &["e.json"]);
    let missing = |told: &Value| -> Vec<String> {
        told["missing"].as_array().unwrap().iter().map(|part| part["part"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(missing(&told), ["Learning", "Losses and values", "Timings"]);
    assert!(page(&dir, "report.html").contains("<b>Learning</b>: no run was given"));
    let told = report(&dir, &["a"]);
    assert_eq!(missing(&told).len(), 4);
    assert!(page(&dir, "report.html").contains("<b>Slates over time</b>: no evaluation was given"));
    // A run that has not come far, and does not say where its users began.
    std::fs::write(dir.path("b/episodes.jsonl"), "").unwrap();
    std::fs::write(dir.path("b/rounds.jsonl"), "{\"episode\":1,\"rou").unwrap();
    for gone in ["summary.json", "results/current_user_beliefs.json"] {
        std::fs::remove_file(dir.path("b").join(gone)).unwrap();
    }
    std::fs::remove_dir_all(dir.path("b/checkpoints")).unwrap();
    let told = report(&dir, &["b"]);
    assert_eq!((missing(&told).len(), plots(&told).len()), (8, 0));
    assert!(page(&dir, "report.html").contains("no run has finished an episode"));
}

#[test]
fn runs_with_other_settings_are_told_apart_and_a_folder_gives_all_that_it_holds() {
    let dir = dir();
    dir.train("c", &["--backend", "reference", "-q", "--set", "td3.discount=0.9"]);
    std::fs::copy(dir.path("e.json"), dir.path("c/evaluation.json")).unwrap();
    let told = report(&dir, &["a", "b", "c", "--plots", "p"]);
    let page = page(&dir, "report.html");
    assert!(page.contains("td3.discount=0.5 (2 runs)") && page.contains("td3.discount=0.9"));
    assert!(plots(&told).contains(&"losses-value-2") && plots(&told).contains(&"policies-distance"));
    let lines: Vec<String> =
        rows(&dir.path("p/learning-area.csv")).into_iter().map(|row| row["line"].clone()).collect();
    assert_eq!(
        lines,
        ["td3.discount=0.5 (2 runs)", "td3.discount=0.5 (2 runs)", "td3.discount=0.9", "td3.discount=0.9"]
    );
    // The folder's file given too is meant once.
    assert_eq!(plots(&report(&dir, &["c", "c/evaluation.json"])), plots(&report(&dir, &["c"])));
}

#[test]
fn names_that_are_markup_stay_names() {
    let dir = dir();
    let mut evaluation = json(&dir.path("e.json"));
    evaluation["policies"][0]["policy"] = "actor:<b>&\"'\u{1b}".into();
    dir.write("odd.json", evaluation.to_string());
    report(&dir, &["odd.json"]);
    let page = page(&dir, "report.html");
    assert!(!page.contains("<b>&") && page.contains("actor:&lt;b&gt;&amp;"));
    assert_well_formed(&page);
}

#[test]
fn whatever_is_wrong_is_refused_with_a_remedy_before_anything_is_written() {
    let dir = dir();
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
    fn beheaded(lines: &str) -> String {
        lines.split_inclusive('\n').skip(1).collect()
    }
    fn negative(lines: &str) -> String {
        lines.replacen("\"acceptance_rate\":", "\"acceptance_rate\":-", 1)
    }
    fn better(lines: &str) -> String {
        lines.replacen("\"acceptance_rate\":0.", "\"acceptance_rate\":0.9", 1)
    }
    fn nothing(_: &str) -> String {
        String::new()
    }
    let changed = |run: &str, file: &str, change: fn(&str) -> String| {
        dir.train(run, &["--backend", "reference", "-q", "--episodes", "1"]);
        let path = format!("{run}/{file}");
        dir.write(&path, change(&std::fs::read_to_string(dir.path(&path)).unwrap()));
    };
    changed("r9", "rounds.jsonl", twice);
    changed("r10", "rounds.jsonl", beheaded);
    changed("r11", "rounds.jsonl", negative);
    changed("r12", "rounds.jsonl", nothing);
    changed("r13", "episodes.jsonl", twice);
    changed("r14", "episodes.jsonl", negative);
    changed("r15", "rounds.jsonl", better);
    changed("r16", "episodes.jsonl", better);
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
        (&["empty"], &["empty: this folder holds neither a run nor an evaluation", "run.json"]),
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
        (&["r13"], &["episodes.jsonl:2: this is damaged: `episode` is 1 where 2 is due"]),
        (&["r14"], &["episodes.jsonl:1: this is damaged: `acceptance_rate` is -0."]),
        (&["r15"], &["rounds.jsonl: was changed or damaged", "restore the file"]),
        (&["r16"], &["episodes.jsonl: was changed or damaged", "restore the file"]),
        (&["r4"], &["config.yaml:2", "did you mean `td3.tau`?"]),
        (&["r5"], &["current_user_beliefs.json: this is damaged", "missing field `beliefs`"]),
        (&["r6"], &["summary.json: this is damaged"]),
        (&["r7"], &["rounds.jsonl: cannot be read", "give the folder of a run that is whole"]),
        (&["a", "-o", "no/such/r.html"], &["no/such: there is no such folder", "make it first"]),
        (&["a", "-o", ""], &["--out"]),
        (&["a", "-o", &"a".repeat(252)], &["give --out a shorter name"]),
        (&["a", "-o", "mine.html"], &["mine.html: this is there already, and is no report"]),
        (&["a", "-o", "a/config.yaml"], &["config.yaml: this is there already, and is no report"]),
        (&["a", "--plots", "full"], &["full: this folder holds other things than plots of a report: thesis.tex"]),
        (&["a", "--plots", "drawn"], &["drawn: this folder holds other things than plots of a report: mine.svg"]),
        (&["a", "--plots", "counted"], &["counted: this folder holds other things", "mine.csv"]),
        (&["a", "-o", "x.html", "--plots", "x.html"], &["x.html: this is where the page goes"]),
        (&["a", "--plots", "no/such"], &["no: there is no such folder"]),
        (&["a", "--plots", "e.json"], &["e.json: plots cannot be put here"]),
        (&[], &["RUN|EVALUATION"]),
    ];
    for (arguments, says) in cases {
        let output = dir.run(&[&["report"], *arguments].concat());
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        for said in *says {
            assert!(told.contains(said), "{arguments:?}: `{said}` is missing in {told}");
        }
        assert!(!told.contains("panicked") && stdout(&output).is_empty(), "{arguments:?}: {told}");
    }
    assert!(!dir.path("report.html").exists() && page(&dir, "mine.html") == "<html></html>");
}
