//! The page: one HTML file that needs nothing else. It is well-formed XML too, so that anything can read it.

mod html;
mod style;

use html::{data_url, escaped};

use super::plot::Figure;
use super::sections::{Block, Part, Section};

/// What tells a report from other pages: stands among its first bytes.
pub(super) const MARK: &str = r#"<meta name="generator" content="recsim report" />"#;

/// What a plot's file begins with.
pub(super) const PLOT_MARK: &str = "<!-- recsim report -->\n";

/// The page with these sections.
pub(super) fn page(sections: &[Section], command: &str) -> anyhow::Result<String> {
    let parts = || {
        sections.iter().filter_map(|section| match section {
            Section::There(part) => Some(part),
            Section::Missing { .. } => None,
        })
    };
    let links = parts().map(|part| format!("<a href=\"#{}\">{}</a>", part.id, escaped(part.title)));
    let links: Vec<String> = links.collect();
    let mut body = String::new();
    for part in parts() {
        body += &section(part)?;
    }
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n{MARK}\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\" />\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n\
         <meta name=\"color-scheme\" content=\"light dark\" />\n<link rel=\"icon\" href=\"data:,\" />\n\
         <title>recsim report</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>\n\
         <header>\n<h1>recsim report</h1>\n<nav>{}</nav>\n</header>\n{body}{}\
         <footer>Made by recsim {} with <code>{}</code></footer>\n</main>\n</body>\n</html>\n",
        style::sheet(),
        links.join(" "),
        missing(sections),
        env!("CARGO_PKG_VERSION"),
        escaped(command),
    ))
}

/// A plot as a file of its own.
pub(super) fn standalone(figure: &Figure) -> String {
    // One that says its size is not stretched over the window.
    PLOT_MARK.to_owned() + &figure.svg.replacen('>', &format!(">\n<style>\n{}</style>", style::of_plots()), 1)
}

fn section(part: &Part) -> anyhow::Result<String> {
    let mut html = format!(
        "<section id=\"{}\">\n<h2>{}</h2>\n<p>{}</p>\n",
        part.id,
        escaped(part.title),
        escaped(&part.words)
    );
    for block in &part.blocks {
        match block {
            Block::Heading(text) => html += &format!("<h3>{}</h3>\n", escaped(text)),
            Block::Figures(figures) => {
                html += "<div class=\"figures\">\n";
                for figure in figures {
                    html += &self::figure(figure)?;
                }
                html += "</div>\n";
            }
            Block::Table { header, rows } => html += &table(header, rows),
            Block::Folded { title, header, rows } => {
                let rows = table(header, rows);
                html += &format!("<details><summary>{}</summary>\n{rows}</details>\n", escaped(title));
            }
            Block::Command(command) => html += &format!("<pre><code>{}</code></pre>\n", escaped(command)),
            Block::File { name, text } => {
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
    // A picture that scales is told by its name, and has no size of its own.
    let (_, rest) = figure.svg.split_once("viewBox").unwrap_or(("", &figure.svg));
    let words = if figure.words.is_empty() { String::new() } else { format!("<p>{}</p>", escaped(&figure.words)) };
    Ok(format!(
        "<figure id=\"{id}\">\n<figcaption><h4>{title}</h4>{words}</figcaption>\n\
         <svg role=\"img\" aria-label=\"{title}\" viewBox{rest}\
         <a class=\"numbers\" download=\"{id}.csv\" href=\"{csv}\">numbers (CSV)</a>\n</figure>\n",
        id = figure.id,
        title = escaped(&figure.title),
        csv = data_url("text/csv", &figure.numbers.csv()?),
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

/// What there is not, and why.
fn missing(sections: &[Section]) -> String {
    let missing = sections.iter().filter_map(|section| match section {
        Section::There(_) => None,
        Section::Missing { title, why } => Some(format!("<li><b>{}</b>: {}.</li>\n", escaped(title), escaped(why))),
    });
    let missing: Vec<String> = missing.collect();
    if missing.is_empty() {
        return String::new();
    }
    format!("<section id=\"missing\">\n<h2>Not in this report</h2>\n<ul>\n{}</ul>\n</section>\n", missing.concat())
}
