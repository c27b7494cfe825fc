//! How to reproduce the results: configuration, machine, world, seeds and commands.

use super::overview::status;
use super::{ReportBlock, Section, SectionContent, header};
use crate::config::plain;
use crate::device::DeviceInfo;
use crate::output::{counted, thousands};
use crate::report::run_data::RunData;
use crate::report::sources::{NamedEvaluation, Sources};
use crate::source::Provenance;

pub(super) fn of(sources: &Sources) -> Section {
    let runs = sources.runs.iter().flat_map(run);
    let evaluations = sources.evaluations.iter().flat_map(evaluation);
    let intro = "Configuration, environment and seeds. The same settings, seed and instruction set on the same \
                 backend give bit-identical results, except for times.";
    Section::Present(SectionContent {
        id: "origins",
        title: "How to reproduce it",
        intro: intro.to_owned(),
        blocks: runs.chain(evaluations).collect(),
    })
}

fn run(run: &RunData) -> Vec<ReportBlock> {
    let record = &run.run;
    let mut facts = vec![
        ("recsim", record.version.clone()),
        ("started, ended (UTC)", {
            let ended = run.end.as_ref().map_or("-", |end| &end.ended);
            format!("{}, {ended}: {}", record.started, status(run))
        }),
        ("seed", record.seed.to_string()),
        ("computed by", computed_by(&record.device)),
        ("world", world(&record.world)),
        ("users per round", thousands(record.users_per_round as u64)),
    ];
    for resumption in &record.resumed {
        let changes = if resumption.changes.is_empty() { "nothing" } else { &*resumption.changes.join(", ") };
        facts.push((
            "resumed",
            format!("{} after {}; changed: {changes}", resumption.at, counted(resumption.rounds as usize, "round")),
        ));
    }
    vec![
        ReportBlock::Heading(run.name.clone()),
        table(facts),
        ReportBlock::Command("recsim train --config config.yaml --out runs/again".to_owned()),
        ReportBlock::File { name: "config.yaml".to_owned(), text: run.config_text.clone() },
    ]
}

fn evaluation(NamedEvaluation { name, evaluation }: &NamedEvaluation) -> Vec<ReportBlock> {
    let seeds: Vec<String> = evaluation.seeds.iter().map(ToString::to_string).collect();
    let facts = vec![
        ("recsim", evaluation.recsim.clone()),
        ("written (UTC)", evaluation.timestamp.clone()),
        ("seeds", seeds.join(", ")),
        ("computed by", computed_by(&evaluation.device)),
        ("world", world(&evaluation.world)),
        ("users per round", thousands(evaluation.users as u64)),
        ("items of a slate", format!("{} of {} selected by the policy", evaluation.rl_slots, evaluation.slate_len)),
        (
            "intervals",
            format!("95 %, {} bootstrap resamples, users in {} blocks", evaluation.resamples, evaluation.blocks),
        ),
    ];
    vec![
        ReportBlock::Heading(name.clone()),
        table(facts),
        ReportBlock::Command(format!("{} --out evaluation.json", evaluation.command)),
        ReportBlock::File { name: "config.yaml".to_owned(), text: plain(&evaluation.config) },
    ]
}

fn table(facts: Vec<(&str, String)>) -> ReportBlock {
    let rows = facts.into_iter().map(|(name, fact)| vec![name.to_owned(), fact]).collect();
    ReportBlock::Table { header: header(&[]), rows }
}

fn computed_by(device: &DeviceInfo) -> String {
    format!("{}, {}, {}", device.backend, counted(device.threads, "thread"), device.instruction_set)
}

fn world(world: &Provenance) -> String {
    let checksum = world.checksum.as_ref().map_or(String::new(), |checksum| format!(", SHA-256 {checksum}"));
    format!(
        "{}: {}, {}, {}, {}{checksum}",
        world.path.as_deref().unwrap_or("generated"),
        counted(world.users, "user"),
        counted(world.items, "item"),
        counted(world.clusters, "cluster"),
        counted(world.dimensions, "dimension"),
    )
}
