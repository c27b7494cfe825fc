//! Users' mean beliefs before and after, against the target.

use super::{ReportBlock, Section, SectionContent, heading, numbered, policy_colors};
use crate::report::groups::RunGroup;
use crate::report::plot::{Figure, PlotColor, RadarPlot, radar};
use crate::report::sources::NamedEvaluation;

pub(super) fn of(groups: &[RunGroup<'_>], evaluations: &[NamedEvaluation]) -> anyhow::Result<Section> {
    let mut figures = Vec::new();
    for run in groups.iter().flat_map(|group| &group.runs) {
        let Some((means, (initial, target))) = run.beliefs.as_ref().zip(run.initial_and_target()) else { continue };
        if means.beliefs.len() != target.len()
            || initial.as_ref().is_some_and(|beliefs| beliefs.len() != target.len())
        {
            continue;
        }
        let caption = match initial {
            Some(_) => "In training, exploration included.",
            None => "In training, exploration included. The run's record lacks the initial beliefs.",
        };
        let before = initial.map(|initial| ("before".to_owned(), BEFORE, initial));
        let after = (format!("after episode {}", means.episode), PlotColor::Series(0), means.beliefs.clone());
        figures.push(radar(RadarPlot {
            id: numbered("beliefs-run", figures.len()),
            title: run.name.clone(),
            caption: caption.to_owned(),
            target,
            beliefs: before.into_iter().chain([after]).collect(),
        })?);
    }
    let mut blocks = if figures.is_empty() { Vec::new() } else { vec![ReportBlock::Figures(figures)] };
    let mut num_figures = 0;
    for named in evaluations {
        let mut figures = Vec::new();
        for (policy, color) in named.evaluation.policies.iter().zip(policy_colors(named)) {
            let Some(last) = policy.beliefs.last() else { continue };
            figures.push(of_policy(named, &policy.policy, color, last, num_figures)?);
            num_figures += 1;
        }
        blocks.extend(heading(&named.name, evaluations.len()));
        blocks.push(ReportBlock::Figures(figures));
    }
    if blocks.is_empty() {
        let why = "no run has finished an episode, and no evaluation was given".to_owned();
        return Ok(Section::Missing { title: TITLE, why });
    }
    let intro = "The mean of the users' beliefs. Each axis is a cluster and ends at the target's belief in it, so \
                 that the outer polygon is the target. The CSV values contain the beliefs themselves.";
    Ok(Section::Present(SectionContent { id: "beliefs", title: TITLE, intro: intro.to_owned(), blocks }))
}

fn of_policy(
    named: &NamedEvaluation,
    policy: &str,
    color: PlotColor,
    last: &[f64],
    n: usize,
) -> anyhow::Result<Figure> {
    let evaluation = &named.evaluation;
    let after = format!("after round {}", evaluation.rounds);
    radar(RadarPlot {
        id: numbered("beliefs-policy", n),
        title: policy.to_owned(),
        caption: String::new(),
        target: evaluation.target.iter().copied().map(f64::from).collect(),
        beliefs: vec![
            ("before".to_owned(), BEFORE, evaluation.initial_beliefs.clone()),
            (after, color, last.to_vec()),
        ],
    })
}

const TITLE: &str = "Beliefs before, after, and the target";
const BEFORE: PlotColor = PlotColor::Series(4);
