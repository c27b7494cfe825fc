//! `recsim doctor`: which backends are usable on this machine.

use crate::device::findings;
use crate::output;

/// Prints a table, or one line of JSON.
///
/// # Errors
/// If standard output cannot be written.
pub(crate) fn run(json: bool) -> anyhow::Result<()> {
    let findings = findings();
    if json {
        return output::json(&findings);
    }
    let yes_or_no = |is_usable| if is_usable { "yes" } else { "no" };
    let rows = findings.iter().map(|finding| {
        vec![finding.backend.to_owned(), yes_or_no(finding.usable).to_owned(), finding.found.clone()]
    });
    output::text(&output::table(&["backend", "usable", "found"], rows, false))
}
