//! The page: one self-contained HTML file, which is also well-formed XML.

mod html;
mod style;

use html::{data_url, escaped};

use super::plot::Figure;
use super::sections::{ReportBlock, Section, SectionContent};

/// Identifies a report: occurs among its first bytes.
pub(super) const MARK: &str = r#"<meta name="generator" content="recsim report" />"#;

/// Identifies a plot's file: its first bytes.
pub(super) const PLOT_MARK: &str = "<!-- recsim report -->\n";

/// The page with these sections.
///
/// # Errors
/// If the values of a plot cannot be written as CSV.
pub(super) fn page(sections: &[Section], command: &str) -> anyhow::Result<String> {
    let contents = || {
        sections.iter().filter_map(|section| match section {
            Section::Present(content) => Some(content),
            Section::Missing { .. } => None,
        })
    };
    let links = contents().map(|content| format!("<a href=\"#{}\">{}</a>", content.id, escaped(content.title)));
    let links: Vec<String> = links.collect();
    let mut body = String::new();
    for content in contents() {
        body += &section(content)?;
    }
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n{MARK}\n<meta \
         http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src \
         data:\" />\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n<meta \
         name=\"color-scheme\" content=\"light dark\" />\n<link rel=\"icon\" href=\"data:,\" />\n<title>recsim \
         report</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>recsim \
         report</h1>\n<nav>{}</nav>\n</header>\n{body}{}<footer>Written by recsim {} with \
         <code>{}</code></footer>\n</main>\n</body>\n</html>\n",
        style::sheet(),
        links.join(" "),
        missing(sections),
        env!("CARGO_PKG_VERSION"),
        escaped(command),
    ))
}

/// A plot as an SVG file.
pub(super) fn standalone(figure: &Figure) -> String {
    PLOT_MARK.to_owned() + &figure.svg.replacen('>', &format!(">\n<style>\n{}</style>", style::of_plots()), 1)
}

fn section(content: &SectionContent) -> anyhow::Result<String> {
    let mut html = format!(
        "<section id=\"{}\">\n<h2>{}</h2>\n<p>{}</p>\n",
        content.id,
        escaped(content.title),
        escaped(&content.intro)
    );
    for block in &content.blocks {
        match block {
            ReportBlock::Heading(text) => html += &format!("<h3>{}</h3>\n", escaped(text)),
            ReportBlock::Figures(figures) => {
                html += "<div class=\"figures\">\n";
                for figure in figures {
                    html += &self::figure(figure)?;
                }
                html += "</div>\n";
            }
            ReportBlock::Table { header, rows } => html += &table(header, rows),
            ReportBlock::Folded { title, header, rows } => {
                let rows = table(header, rows);
                html += &format!("<details><summary>{}</summary>\n{rows}</details>\n", escaped(title));
            }
            ReportBlock::Command(command) => html += &format!("<pre><code>{}</code></pre>\n", escaped(command)),
            ReportBlock::File { name, text } => {
                html += &format!(
                    "<details><summary>{0}</summary>\n<p><a download=\"{0}\" href=\"{1}\">Save</a></p>\n\
                     <pre><code>{2}</code></pre></details>\n",
                    escaped(name),
                    data_url("text/yaml", text),
                    escaped(text)
                );
            }
        }
    }
    Ok(html + "</section>\n")
}

fn figure(figure: &Figure) -> anyhow::Result<String> {
    // Within the page, a plot has a label and no fixed size, so that it scales.
    let (_, rest) = figure.svg.split_once("viewBox").unwrap_or(("", &figure.svg));
    let caption =
        if figure.caption.is_empty() { String::new() } else { format!("<p>{}</p>", escaped(&figure.caption)) };
    Ok(format!(
        "<figure id=\"{id}\">\n<figcaption><h4>{title}</h4>{caption}</figcaption>\n\
         <svg role=\"img\" aria-label=\"{title}\" viewBox{rest}\
         <a class=\"csv\" download=\"{id}.csv\" href=\"{csv}\">values (CSV)</a>\n</figure>\n",
        id = figure.id,
        title = escaped(&figure.title),
        csv = data_url("text/csv", &figure.data.csv()?),
    ))
}

fn table(header: &[String], rows: &[Vec<String>]) -> String {
    let row = |cells: &[String], tag: &str| {
        let cells: Vec<String> = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect();
        format!("<tr>{}</tr>\n", cells.concat())
    };
    let head = if header.is_empty() { String::new() } else { format!("<thead>{}</thead>", row(header, "th")) };
    let class = if header.is_empty() { "facts" } else { "values" };
    let rows: Vec<String> = rows.iter().map(|cells| row(cells, "td")).collect();
    format!(
        "<div class=\"scroll\"><table class=\"{class}\">{head}<tbody>\n{}</tbody></table></div>\n",
        rows.concat()
    )
}

/// The list of missing sections, with reasons.
fn missing(sections: &[Section]) -> String {
    let missing = sections.iter().filter_map(|section| match section {
        Section::Present(_) => None,
        Section::Missing { title, why } => Some(format!("<li><b>{}</b>: {}.</li>\n", escaped(title), escaped(why))),
    });
    let missing: Vec<String> = missing.collect();
    if missing.is_empty() {
        return String::new();
    }
    format!("<section id=\"missing\">\n<h2>Not in this report</h2>\n<ul>\n{}</ul>\n</section>\n", missing.concat())
}
